"""The contracts find what breaks them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from clusterseq.baselines import Popularity
from clusterseq.data.histories import Histories
from clusterseq.service.store import Event
from clusterseq.service.store.sqlite import SQLiteStore
from clusterseq.testing import Place, ScorerContract, StoreContract
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
