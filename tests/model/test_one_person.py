"""What is compiled for one person; that it says the same is shown with a compiler at hand
(``tests/machine/test_compiler.py``)."""

from __future__ import annotations

import pytest

from clusterseq.config import ModelConfig
from clusterseq.data.histories import Histories
from clusterseq.model import one_person
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.ranker import Ranker


def test_beyond_its_bound_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_person, "MOST_ITEMS", 29)
    monkeypatch.setattr(one_person, "compiled", lambda *_: pytest.fail("it was compiled"))
    ranker, histories = Ranker(ClusterSeq(ModelConfig(n_items=30, dim=8))), [[3, 14]]
    before = ranker.score(Histories.from_lists(histories))
    ranker.compile()
    assert ranker.score(Histories.from_lists(histories)).equal(before)
