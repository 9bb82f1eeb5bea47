"""What a part of the model promises can be told of any module, on every Python."""

from __future__ import annotations

from typing import Any

import pytest

from clusterseq.model.parts import Clusterer, Conditioner, Encoder


@pytest.mark.parametrize("promise", [Encoder, Conditioner, Clusterer])
def test_a_part_promises_methods_alone(promise: Any) -> None:
    """From Python 3.12 on ``isinstance`` doesn't see a module's parameters and buffers."""
    assert not promise.__annotations__
    assert not [name for name, it in vars(promise).items() if isinstance(it, property)]
