"""Contracts that anybody's extension can be tested by, as classes of tests for pytest.

    from clusterseq.testing import ScorerContract

    class TestMine(ScorerContract):
        @pytest.fixture(scope="module")
        @classmethod
        def fit(cls):
            return Mine.fit

Our own are tested by the same classes. They need pytest 9; the rest of clusterseq needs none.

Knows nothing about: who promises.
"""

from __future__ import annotations

import pytest

# Before they are imported, so that a failed assertion shows what was compared.
pytest.register_assert_rewrite(
    *(f"{__name__}.{module}" for module in ("scorers", "stores", "readers", "parts"))
)

from clusterseq.testing.parts import (  # noqa: E402
    ClustererContract,
    ConditionerContract,
    EncoderContract,
)
from clusterseq.testing.readers import ReaderContract  # noqa: E402
from clusterseq.testing.scorers import ScorerContract  # noqa: E402
from clusterseq.testing.stores import Place, StoreContract  # noqa: E402

__all__ = [
    "ClustererContract",
    "ConditionerContract",
    "EncoderContract",
    "Place",
    "ReaderContract",
    "ScorerContract",
    "StoreContract",
]
