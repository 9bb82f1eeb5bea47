"""Sequence rules against their formula, written out in loops."""

from __future__ import annotations

import pytest

from clusterseq.baselines.sequence_rules import SequenceRules
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from tests.baselines.planted import KNOWN, WORLD, gain_over_popularity

ROWS = [[0, 1, 2], [1, 2, 0, 2, 4, 5, 3], [3, 0], [5]]
N_ITEMS = 7


def by_loops(history: list[int], shrinkage: float) -> list[float]:
    counts = [sum(row.count(item) for row in ROWS) for item in range(N_ITEMS)]
    scores = [0.0] * N_ITEMS
    for item in set(history):
        place = max(step for step, other in enumerate(history, 1) if other == item)
        for row in ROWS:
            for start, first in enumerate(row):
                for end in range(start + 1, min(start + 6, len(row))):
                    if first == item:
                        rule = 1 / (end - start) / (counts[item] + shrinkage)
                        scores[row[end]] += place / len(history) * rule
    return [score or -1 / (1 + count) for score, count in zip(scores, counts, strict=True)]


@pytest.mark.parametrize("shrinkage", [1.0, 20.0])
@pytest.mark.parametrize("history", [[0], [3, 0], [2, 2, 4], [6], [1, 2, 3, 4, 0], []])
def test_scores_follow_the_formula(history: list[int], shrinkage: float) -> None:
    model = SequenceRules.fit(Sequences.from_rows(ROWS), N_ITEMS, shrinkage=shrinkage)
    scores = model.score(Histories.from_lists([history]))[0]
    assert scores.tolist() == pytest.approx(by_loops(history, shrinkage), rel=1e-5)


def test_it_learns_who_goes_where() -> None:
    assert gain_over_popularity(SequenceRules.fit(KNOWN, WORLD.n_items)) > 3.2
