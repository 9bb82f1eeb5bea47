"""STAN against its formula, one neighbour at a time."""

from __future__ import annotations

import math

import pytest

from clusterseq.baselines.stan import STAN
from clusterseq.data.clock import last_ages
from clusterseq.data.histories import Histories
from tests.baselines.planted import KNOWN, WORLD, gain_over_popularity
from tests.baselines.test_vmis_knn import N_ITEMS, sessions

OPTIONS = {"recency": 1.5, "age": 0.4, "distance": 2.0}


def by_loops(history: list[int], k: int) -> list[float]:
    known, old = sessions(), last_ages(sessions())
    places = {item: step for step, item in enumerate(history, 1)}
    similarity = {}
    for person, row in enumerate(known):
        shared = places.keys() & set(row.tolist())
        weights = [math.exp((places[item] - len(history)) / OPTIONS["recency"]) for item in shared]
        worth = math.exp(-old[person] / OPTIONS["age"])
        similarity[person] = sum(weights) * worth / math.sqrt(len(set(row.tolist())))
    scores = [0.0] * N_ITEMS
    for person in sorted(similarity, key=lambda person: -similarity[person])[:k]:
        if not similarity[person]:
            continue
        theirs = {item: step for step, item in enumerate(known[person].tolist())}
        newest = max(places.keys() & theirs.keys(), key=lambda item: places[item])
        for item, step in theirs.items():
            close = math.exp(-abs(step - theirs[newest]) / OPTIONS["distance"])
            scores[item] += similarity[person] * close
    counts = [sum(item in row for row in known) for item in range(N_ITEMS)]
    return [score or -1 / (1 + count) for score, count in zip(scores, counts, strict=True)]


@pytest.mark.parametrize("k", [100, 5])
@pytest.mark.parametrize("history", [[0], [3, 0, 7], [2, 2, 4], [4, 2, 4], [11], [*range(11)], []])
def test_scores_follow_the_formula(history: list[int], k: int) -> None:
    model = STAN.fit(sessions(), N_ITEMS, k=k, **OPTIONS)
    scores = model.score(Histories.from_lists([history]))[0]
    assert scores.tolist() == pytest.approx(by_loops(history, k), rel=1e-5)


def test_a_later_time_of_asking_changes_no_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why the newcomer's own time can be left out: it ages all neighbours by one factor."""
    near = Histories.from_lists([[3, 0, 7]])
    now = STAN.fit(sessions(), N_ITEMS, age=0.4).score(near)[0]
    monkeypatch.setattr("clusterseq.baselines.stan.last_ages", lambda known: last_ages(known) + 1)
    later = STAN.fit(sessions(), N_ITEMS, age=0.4).score(near)[0]
    reached = now > 0
    factor = math.exp(-1 / 0.4)
    assert later[reached].tolist() == pytest.approx((now[reached] * factor).tolist(), rel=1e-5)


def test_it_learns_who_goes_where() -> None:
    assert gain_over_popularity(STAN.fit(KNOWN, WORLD.n_items)) > 2.2
