"""Item kNN against its formula, and where its scores come from."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch

from clusterseq.baselines.item_knn import ItemKNN, Similarity
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.errors import ClusterSeqError
from tests.baselines.planted import KNOWN, WORLD, gain_over_popularity

ROWS = [[0, 1, 2], [1, 2, 0, 2, 4, 5, 3], [3, 0], [5, 0]]
N_ITEMS = 7


def by_loops(history: list[int], shrinkage: float) -> list[float]:
    who = [{person for person, row in enumerate(ROWS) if item in row} for item in range(N_ITEMS)]
    scores = [0.0] * N_ITEMS
    for item in set(history):
        place = max(step for step, other in enumerate(history, 1) if other == item)
        for other in range(N_ITEMS):
            if shared := len(who[item] & who[other]):
                both = math.sqrt(len(who[item]) * len(who[other]))
                scores[other] += place / len(history) * shared / (both + shrinkage)
    return [score or -1 / (1 + len(people)) for score, people in zip(scores, who, strict=True)]


@pytest.mark.parametrize("shrinkage", [0.0, 20.0])
@pytest.mark.parametrize("history", [[0], [3, 0], [2, 2, 4], [6], [1, 2, 3, 4, 0], []])
def test_cosine_scores_follow_the_formula(history: list[int], shrinkage: float) -> None:
    model = ItemKNN.fit(Sequences.from_rows(ROWS), N_ITEMS, shrinkage=shrinkage)
    scores = model.score(Histories.from_lists([history]))[0]
    assert scores.tolist() == pytest.approx(by_loops(history, shrinkage), rel=1e-5)


def test_items_that_everybody_touches_are_similar() -> None:
    people = 50_000  # whose square doesn't fit into 32 bits
    known = Sequences(
        np.tile(np.array([0, 1], np.int32), people),
        np.tile(np.arange(2), people),
        np.arange(0, 2 * people + 1, 2),
    )
    model = ItemKNN.fit(known, 2, shrinkage=0.0)
    assert model.score(Histories.from_lists([[0]]))[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("similarity", ["cosine", "tfidf", "bm25"])
def test_it_learns_who_goes_where(similarity: Similarity) -> None:
    model = ItemKNN.fit(KNOWN, WORLD.n_items, similarity=similarity)
    assert gain_over_popularity(model) > 2.2


def test_a_newcomer_is_scored_by_the_own_items_and_on_the_whole_catalogue() -> None:
    """The row of a batch that somebody stands in is no known person's row."""
    model = ItemKNN.fit(KNOWN, WORLD.n_items)
    one = model.score(Histories.from_lists([[3, 5]]))
    crowd = model.score(Histories.from_lists([*[*KNOWN][:50], [3, 5]]))
    assert one.shape == (1, WORLD.n_items)
    assert torch.equal(crowd[-1:], one)
    rows = model.similar[[3, 5]].toarray()
    reached = torch.from_numpy((rows > 0).any(axis=0))
    assert torch.equal(one[0] > 0, reached)
    assert len(set(one[0].tolist())) > WORLD.n_items / 2


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "implicit.nearest_neighbours", None)
    with pytest.raises(ClusterSeqError, match=r"pip install 'clusterseq\[bench\]'"):
        ItemKNN.fit(KNOWN, WORLD.n_items)
