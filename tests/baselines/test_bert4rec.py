"""BERT4Rec looks both ways, hides what it has to guess, and is asked at the end of a history."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from clusterseq.baselines.bert4rec import BERT4Rec
from clusterseq.baselines.item_table import ItemTable
from clusterseq.baselines.peer import Peer, Setting, tune
from clusterseq.baselines.popularity import Popularity
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.errors import TrainingError

WINDOWS = Histories.from_lists([[3, 7, 5, 9], [4, 8]] * 2_000)


def network(hidden: float = 0.3) -> BERT4Rec:
    torch.manual_seed(0)
    return BERT4Rec(ItemTable(30, 8), max_steps=6, blocks=1, heads=2, dropout=0.0, hidden=hidden)


def test_a_hidden_item_is_guessed_from_both_sides() -> None:
    hidden = torch.tensor([[False, True, False]])
    before, after, itself = (
        network().guesses(Histories.from_lists([row]), hidden)[0, 1]
        for row in ([3, 7, 5], [3, 7, 6], [3, 8, 5])
    )
    assert not torch.allclose(before, after)
    torch.testing.assert_close(before, itself)


def test_it_is_asked_at_a_mask_after_the_last_item() -> None:
    bert = network()
    hidden = torch.tensor([[False, False, True]])
    asked = bert.guesses(Histories.from_lists([[3, 7, 0]]), hidden)[:, 2]
    torch.testing.assert_close(bert.query(Histories.from_lists([[3, 7]])), asked)


def test_the_cloze_hides_its_share_of_items_or_the_end_of_a_prefix() -> None:
    bert = network(hidden=0.25)
    queries, targets = bert.exercises(WINDOWS, torch.Generator().manual_seed(0))
    assert len(queries) == len(targets)
    found = torch.bincount(targets, minlength=30) / 2_000
    # Half of the windows hide each item with probability ¼; the other half are cut after any item
    # from the second on, and hide that one.
    expected = {3: 1 / 8, 7: 1 / 8 + 1 / 6, 5: 1 / 8 + 1 / 6, 9: 1 / 8 + 1 / 6, 4: 1 / 8, 8: 5 / 8}
    for item, share in expected.items():
        assert abs(float(found[item]) - share) < 0.03
    assert set(targets.tolist()) == {*expected}


def test_something_is_hidden_in_every_batch() -> None:
    bert = network(hidden=0.01)
    for seed in range(50):
        generator = torch.Generator().manual_seed(seed)
        queries, _ = bert.exercises(Histories.from_lists([[3, 7]]), generator)
        assert len(queries) == 1


def test_one_bad_point_of_a_grid_does_not_cost_a_peer_its_place() -> None:
    people = Sequences.from_rows([[0, 1, 2], [1, 2]])
    setting = Setting(people, people, 3, 0)

    def fit(setting: Setting, rate: float) -> Any:
        if rate > 1:
            raise TrainingError("the loss is nan")
        return Popularity.fit(setting.known, setting.n_items)

    found = tune(Peer("x", "An example.", fit, {"rate": (9, 0.1)}), setting)
    assert found.options == {"rate": 0.1}
    assert [reached > 0 for _, reached in found.trials] == [False, True]
    with pytest.raises(TrainingError, match="the loss is nan"):
        tune(Peer("x", "An example.", fit, {"rate": (9,)}), setting)
