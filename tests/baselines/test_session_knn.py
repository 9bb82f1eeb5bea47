"""Session kNN against its formula, written out in loops, and both baselines on real data."""

from __future__ import annotations

import math
from importlib.resources import files

import numpy as np
import pytest

from clusterseq.baselines.popularity import Popularity
from clusterseq.baselines.session_knn import SessionKNN
from clusterseq.data.dataset import Dataset
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.data.split import split_users
from clusterseq.judging.evaluate import evaluate
from clusterseq.judging.metrics import metrics_of_ranks, paired_test
from clusterseq.reading.events import read_events

KNOWN = [[0, 1], [1, 2, 0, 2], [2, 3], [4], [1, 3, 0]]
N_ITEMS = 6


def known_people() -> Sequences:
    users = np.repeat(np.arange(len(KNOWN), dtype=np.int32), [len(row) for row in KNOWN])
    items = np.concatenate(KNOWN).astype(np.int32)
    return Sequences.from_codes(users, items, np.arange(len(items)), len(KNOWN))


def by_loops(history: list[int]) -> list[float]:
    people = [set(row) for row in KNOWN]
    counts = [sum(item in person for person in people) for item in range(N_ITEMS)]
    idf = [math.log(len(people) / max(count, 1)) for count in counts]
    scores = [0.0] * N_ITEMS
    for person in people:
        similarity = sum(
            place / len(history) * idf[item]
            for place, item in enumerate(history, start=1)
            if item in person
        ) / math.sqrt(len(person))
        for item in person:
            scores[item] += similarity * idf[item]
    return [score or -1 / (1 + count) for score, count in zip(scores, counts, strict=True)]


@pytest.mark.parametrize("history", [[0], [3, 0], [0, 3], [2, 2, 4], [5], [1, 2, 3, 4, 0], []])
def test_scores_follow_the_formula(history: list[int]) -> None:
    model = SessionKNN.fit(known_people(), N_ITEMS)
    scores = model.score(Histories.from_lists([history]))[0]
    assert scores.tolist() == pytest.approx(by_loops(history), rel=1e-5)


def test_without_a_history_items_rank_by_popularity() -> None:
    knn, popularity = (model.fit(known_people(), N_ITEMS) for model in (SessionKNN, Popularity))
    nobody = Histories.from_lists([[]])
    assert popularity.score(nobody).tolist() == [[3.0, 3.0, 3.0, 2.0, 1.0, 0.0]]
    # Two of the events of item 2 are of one person, who counts once as a neighbour.
    assert knn.score(nobody)[0].tolist() == pytest.approx(
        [-1 / 4, -1 / 4, *[-1 / 3] * 2, -1 / 2, -1]
    )


def test_both_reach_their_known_figures_on_movietweetings() -> None:
    events = read_events(str(files("clusterseq") / "data" / "movietweetings.parquet"))
    split = split_users(Dataset.from_events(events), "temporal", seed=0)
    counts = split.known.counts(len(split.items))
    ranks = [
        evaluate(model.fit(split.known, len(counts)), split.test, item_counts=counts).full_ranks
        for model in (Popularity, SessionKNN)
    ]
    popularity, knn = (metrics_of_ranks(each)["mrr"] for each in ranks)
    assert popularity == pytest.approx(0.045, abs=0.006)
    assert knn == pytest.approx(0.072, abs=0.006)
    assert paired_test(ranks[1], ranks[0]).p_value < 0.05
