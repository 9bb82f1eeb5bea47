"""Who chooses from a grid."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from clusterseq.baselines.peer import Peer, Setting, tune
from clusterseq.baselines.peers import PEERS
from clusterseq.data.sequences import Sequences
from clusterseq.errors import ConfigError, DataError


@pytest.mark.parametrize("people", [[], [[0], []]])
def test_a_peer_that_nobody_can_judge_is_told(people: list[list[int]]) -> None:
    setting = Setting(Sequences.from_rows([[0, 1, 2]]), Sequences.from_rows(people), 3)
    with pytest.raises(DataError, match="no validation user has two events, so nobody can judge"):
        tune(PEERS["popularity"], setting)


@pytest.mark.parametrize("values", [(), "cosine"])
def test_a_grid_without_values_is_told(values: Sequence[str]) -> None:
    with pytest.raises(ConfigError, match=r'peer "x": option = .* gives no values to try'):
        Peer("x", "An example.", PEERS["popularity"].fit, {"option": values})
