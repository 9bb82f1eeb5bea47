"""Does it learn? Planted types of people, with the best possible ranker known exactly.

Four types share 60, 25, 10 and 5 % of the people. The model must find them from the three items
that a newcomer brings, must rank nearly as well as Bayes' rule does, and must serve the small types
no worse than a model without clusters.
"""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest
import torch
from jaxtyping import Float64
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from clusterseq.bench.planted import People, World
from clusterseq.config import Config, ModelConfig, TrainConfig
from clusterseq.data.histories import Histories
from clusterseq.judging.metrics import rank_of_target, reciprocal_rank
from clusterseq.learning.train import fit
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.ranker import Ranker

K = 3
MINOR = 2
"""Types from this one on are minor: 10 and 5 % of the people."""
TOLERANCE = 0.01
"""How much worse in MRR the minor types may be than without clusters."""
CONFIG = Config(
    model=ModelConfig(dim=32, clusters=4, dropout=0.2),
    train=TrainConfig(pretrain_epochs=30, meta_epochs=8, backbone_rate=1e-3, patience=5),
)


class Planted:
    """A world of four types, people to learn from, and people never seen."""

    def __init__(self) -> None:
        self.world = World.of(
            (0.6, 0.25, 0.1, 0.05), own=27, shared=12, generator=np.random.default_rng(0)
        )
        self.known = self.people(1_500, seed=1)
        self.validation = self.people(200, seed=2)
        # Many newcomers, for a hundred of the smallest type: their mean would be noise otherwise.
        self.newcomers = self.people(2_000, seed=3)
        rows = [items[: K + 1].astype(np.int64) for items in self.newcomers.sequences]
        self.support, self.targets = np.stack(rows)[:, :K], np.stack(rows)[:, K]
        self.histories = Histories.from_lists(list(self.support))

    def people(self, users: int, seed: int) -> People:
        return self.world.draw(users, 6, 12, np.random.default_rng(seed))

    def merits(self, scores: Tensor) -> Float64[np.ndarray, " users"]:
        """Reciprocal rank of every newcomer's next item in the catalogue less their support."""
        support = torch.from_numpy(self.support)
        touched = torch.zeros_like(scores, dtype=torch.bool).scatter(1, support, True)
        return reciprocal_rank(rank_of_target(scores, torch.from_numpy(self.targets), touched))


@cache
def planted() -> Planted:
    return Planted()


@cache
def model_of(clustering: bool) -> ClusterSeq:
    case = planted()
    model = dataclasses.replace(CONFIG.model, clustering=clustering)
    return fit(
        case.known.sequences,
        case.validation.sequences,
        dataclasses.replace(CONFIG, model=model),
        n_items=case.world.n_items,
    )


@cache
def merits_of(clustering: bool) -> Float64[np.ndarray, " users"]:
    return planted().merits(Ranker(model_of(clustering)).score(planted().histories))


@cache
def best_merits() -> Float64[np.ndarray, " users"]:
    return planted().merits(torch.from_numpy(planted().world.best_scores(planted().support)))


def test_the_best_ranker_is_not_perfect_and_knows_the_types() -> None:
    case = planted()
    posteriors = np.stack([case.world.posterior(items) for items in case.support])
    assert adjusted_rand_score(case.newcomers.types, posteriors.argmax(axis=1)) > 0.95
    assert 0.4 < best_merits().mean() < 0.8


def test_clusters_are_the_types() -> None:
    case = planted()
    clusters = model_of(True).assign(case.histories).argmax(dim=1).numpy()
    assert adjusted_rand_score(case.newcomers.types, clusters) >= 0.9


def test_cluster_sizes_are_those_of_the_types() -> None:
    sizes = sorted(model_of(True).cluster_sizes.tolist(), reverse=True)
    assert sizes == pytest.approx(planted().world.shares, abs=0.03)


def test_it_ranks_nearly_as_well_as_the_best_possible() -> None:
    assert merits_of(True).mean() >= 0.9 * best_merits().mean()


def test_minor_types_are_served_no_worse_than_without_clusters() -> None:
    minor = planted().newcomers.types >= MINOR
    assert merits_of(True)[minor].mean() >= merits_of(False)[minor].mean() - TOLERANCE
