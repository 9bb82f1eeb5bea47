"""The contracts find what breaks them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from clusterseq.baselines.popularity import Popularity
from clusterseq.data.histories import Histories
from clusterseq.model.clustering import KAutoencoders
from clusterseq.model.conditioning import Gates
from clusterseq.service.store import Event
from clusterseq.service.store.sqlite import SQLiteStore
from clusterseq.testing import (
    ClustererContract,
    ConditionerContract,
    Place,
    ScorerContract,
    StoreContract,
)
from clusterseq.testing.parts import (
    BOTTLENECK,
    CLUSTERS,
    DIM,
    TEMPERATURE,
    THETA,
    WIDTH,
    drawn,
    seeded,
)
from clusterseq.testing.scorers import N_ITEMS, known_people


class Neighbourly(Popularity):
    """Scores the batch as a whole, as a model that normalises over it does."""

    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        return super().score(histories) * (1 + histories.items.sum())


class Padded(Popularity):
    """Reads padding as item 0."""

    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        touched = torch.zeros(len(histories), self.n_items)
        return super().score(histories) + touched.scatter_(1, histories.items, 1.0)


class Forgetful(SQLiteStore):
    """Counts everything as new."""

    def append(self, user: str, events: Sequence[Event]) -> int:
        super().append(user, events)
        return len(events)


class Unsaved(Gates):
    """Keeps a part of what it is where no file holds it."""

    def __init__(self, clusters: int, width: int, size: int, generator: torch.Generator) -> None:
        super().__init__(clusters, width, size, generator)
        self.factor = float(torch.rand(1, generator=generator))

    def forward(
        self, start: Float[Tensor, " size"], shares: Float[Tensor, "users clusters"]
    ) -> Float[Tensor, "users size"]:
        return super().forward(start, shares) * self.factor


class Idle(KAutoencoders):
    """Leaves clusters without people as they are."""

    def revive(self, people: Float[Tensor, "users dim"]) -> int:
        return 2


def test_a_scorer_whose_people_influence_each_other() -> None:
    scorer = Neighbourly.fit(known_people(), N_ITEMS)
    with pytest.raises(AssertionError):
        ScorerContract().test_a_batch_scores_as_one_by_one(scorer)
    with pytest.raises(AssertionError):
        ScorerContract().test_only_the_own_history_counts(scorer)


def test_a_scorer_that_reads_padding() -> None:
    scorer = Padded.fit(known_people(), N_ITEMS)
    with pytest.raises(AssertionError):
        ScorerContract().test_padding_means_nothing(scorer)


def test_a_store_that_counts_repetitions() -> None:
    place = Place(lambda retention: Forgetful(None, retention), time.sleep, shared=False)
    with pytest.raises(AssertionError):
        StoreContract().test_an_id_counts_once(place.store())
    place.close()


def test_a_conditioner_that_is_not_all_saved() -> None:
    shares = torch.full((5, CLUSTERS), 1 / CLUSTERS, dtype=torch.float64)
    part = Unsaved(CLUSTERS, WIDTH, THETA, seeded()).double()
    with pytest.raises(AssertionError, match="not equal"):
        ConditionerContract().test_all_that_it_is_lies_in_its_state(Unsaved, part, shares)


def test_a_clusterer_that_revives_nothing() -> None:
    people = torch.eye(3, DIM, dtype=torch.float64).repeat_interleave(30, 0) + 0.05 * drawn(90, DIM)
    part = Idle(CLUSTERS, DIM, BOTTLENECK, temperature=TEMPERATURE, generator=seeded()).double()
    part.start(people, seeded(2))
    with pytest.raises(AssertionError):
        ClustererContract().test_clusters_without_people_are_put_to_use(part, people)
