"""VMIS-kNN against the paper's algorithm, one item and one session at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from clusterseq.baselines.vmis_knn import VMISKNN
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from tests.baselines.planted import KNOWN, WORLD, gain_over_popularity

N_ITEMS = 12


def sessions() -> Sequences:
    """60 people with 1 to 6 items; everyone's last event has a time of its own."""
    generator = np.random.default_rng(0)
    users = np.repeat(np.arange(60, dtype=np.int32), generator.integers(1, 7, 60))
    items = generator.integers(0, N_ITEMS - 1, len(users)).astype(np.int32)
    return Sequences.from_codes(users, items, generator.permutation(len(users)), 60)


def similarities(history: list[int], m: int) -> dict[int, float]:
    """Walk back through the history and keep the m newest sessions met on the way."""
    known = sessions()
    last = known.times[known.offsets[1:] - 1]
    found: dict[int, float] = {}
    for back, item in enumerate(reversed(history)):
        if item in history[len(history) - back :]:
            continue
        touched = [person for person in range(len(known)) if item in known[person]]
        for person in sorted(touched, key=lambda person: -last[person])[:m]:
            if person not in found and len(found) == m:
                oldest = min(found, key=lambda person: last[person])
                if last[person] < last[oldest]:
                    break
                del found[oldest]
            weight = (len(history) - back) / len(history)
            found[person] = found.get(person, 0) + weight
    return found


def by_loops(history: list[int], m: int, k: int) -> list[float]:
    known = sessions()
    last = known.times[known.offsets[1:] - 1]
    counts = [sum(item in row for row in known) for item in range(N_ITEMS)]
    near = similarities(history, m)
    scores = [0.0] * N_ITEMS
    for person in sorted(near, key=lambda person: (-round(near[person], 9), -last[person]))[:k]:
        shared = [step for step, item in enumerate(history) if item in known[person]]
        decay = max(0, 1 - 0.1 * (len(history) - max(shared)))
        for item in set(known[person].tolist()):
            scores[item] += near[person] * decay * math.log(len(known) / counts[item])
    return [score or -1 / (1 + count) for score, count in zip(scores, counts, strict=True)]


@pytest.mark.parametrize(("m", "k"), [(100, 100), (100, 5), (7, 4), (1, 1)])
@pytest.mark.parametrize(
    "history", [[0], [3, 0, 7], [2, 2, 4], [4, 2, 4], [11], [*range(11), 0, 1], []]
)
def test_scores_follow_the_algorithm(history: list[int], m: int, k: int) -> None:
    model = VMISKNN.fit(sessions(), N_ITEMS, m=m, k=k)
    scores = model.score(Histories.from_lists([history]))[0]
    assert scores.tolist() == pytest.approx(by_loops(history, m, k), rel=1e-5)


def test_it_learns_who_goes_where() -> None:
    assert gain_over_popularity(VMISKNN.fit(KNOWN, WORLD.n_items)) > 2.3
