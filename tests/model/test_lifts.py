"""What clusters say for items: the definition, where it stands in θ, whom it serves."""

from __future__ import annotations

import math

import pytest
import torch

from clusterseq.data.histories import Histories
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.head import Theta
from clusterseq.model.lifts import SHRINKAGE, Lifts
from clusterseq.model.ranker import Ranker
from tests.tiny import HISTORIES, N_ITEMS, tiny

SIZES = torch.tensor([0.8, 0.2])
POPULARITY = torch.tensor([[0.5, 0.5, 0.0], [0.25, 0.0, 0.75]])
"""What two clusters touch, the larger one first."""


def test_a_lift_is_the_logarithm_of_how_much_more_a_cluster_touches() -> None:
    lifts = Lifts(n_items=3, clusters=2)
    lifts.measure(POPULARITY, SIZES, events=10**9)
    overall = 0.8 * 0.5 + 0.2 * 0.25
    assert lifts.table[0].tolist() == pytest.approx(
        [math.log(0.5 / overall), math.log(0.25 / overall)], abs=1e-5
    )


def test_of_few_events_little_is_lifted() -> None:
    lifts = Lifts(n_items=3, clusters=2)
    lifts.measure(POPULARITY, SIZES, events=4)
    seen, in_all = 4 * 0.75, 4 * 0.2 * 0.75
    expected = math.log((seen + SHRINKAGE) / (in_all + SHRINKAGE))
    assert float(lifts.table[2, 1]) == pytest.approx(expected)
    lifts.measure(POPULARITY, SIZES, events=0)
    assert not lifts.table.any()


@pytest.mark.parametrize("others", [{}, {"conditioning": False}, {"memory": False}])
def test_a_score_gains_the_affinity_times_the_mean_lift_of_ones_clusters(
    others: dict[str, bool],
) -> None:
    model = ClusterSeq(tiny({"n_items": N_ITEMS, "meta": "none", **others}).model)
    assert model.lifts is not None
    draws = torch.Generator().manual_seed(0)
    model.profiles.copy_(torch.randn(model.profiles.shape, generator=draws))
    model.lifts.table.copy_(torch.randn(model.lifts.table.shape, generator=draws))
    histories = Histories.from_lists([row for row in HISTORIES if row])
    histories = histories.last(model.config.max_steps)
    before = Ranker(model).score(histories)
    model.lifts.affinity.data.fill_(0.7)
    gained = Ranker(model).score(histories) - before
    expected = 0.7 * model.assign(histories) @ model.lifts.table.T
    torch.testing.assert_close(gained, expected, rtol=1e-4, atol=1e-5)
    theta = Theta(model.conditioned(histories), model.catalogue().items)
    weights = theta.popularity[:, 0, -model.config.clusters :]
    torch.testing.assert_close(weights, 0.7 * model.assign(histories))
    if model.kinds:
        assert theta.trust[0, 0].tolist() == pytest.approx([0.3, 0.3]), "trust is left alone"


def test_without_clusters_there_are_none() -> None:
    assert ClusterSeq(tiny({"n_items": 5, "clustering": False}).model).lifts is None
