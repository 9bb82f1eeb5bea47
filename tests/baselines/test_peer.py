"""Who chooses from a grid."""

from __future__ import annotations

import pytest

from clusterseq.baselines.peer import Setting, tune
from clusterseq.baselines.peers import PEERS
from clusterseq.data.sequences import Sequences
from clusterseq.errors import DataError


@pytest.mark.parametrize("people", [[], [[0], []]])
def test_a_peer_that_nobody_can_judge_is_told(people: list[list[int]]) -> None:
    setting = Setting(Sequences.from_rows([[0, 1, 2]]), Sequences.from_rows(people), 3)
    with pytest.raises(DataError, match="no validation user has two events, so nobody can judge"):
        tune(PEERS["popularity"], setting)
