"""How well people are served who have shown 0, 1, 2, … items, beside the simple models.

Knows nothing about: drawing, files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from clusterseq.data.sequences import Sequences, evenly
from clusterseq.judging.evaluate import evaluate
from clusterseq.judging.metrics import intervals_of_ranks, metrics_of_ranks
from clusterseq.judging.scorer import Scorer
from clusterseq.machine.progress import Progress

LONGEST = 10
AT_MOST = 1_500
"""People who are judged at each length."""
LEAST = 20
"""Fewer people than this say nothing."""


@dataclass(frozen=True)
class AtLength:
    """The accuracy of one model on people who have shown so many items."""

    model: str
    k: int
    users: int
    mrr: float
    """In the full catalogue."""
    low: float
    """Where the 95 % interval of the MRR begins."""
    high: float
    """Where it ends."""


def by_length(
    models: Mapping[str, Scorer],
    people: Sequences,
    item_counts: np.ndarray,
    progress: Progress | None = None,
) -> list[AtLength]:
    """The MRR of each model at every length that enough people have; each counts at each length."""
    points = []
    for k in range(LONGEST + 1):
        users = np.flatnonzero(people.lengths > k)
        if len(users) < LEAST:
            break
        sample = people.select(evenly(users, AT_MOST))
        for name, model in models.items():
            if k or not model.needs_history:
                ranks = evaluate(model, sample, item_counts=item_counts, k=k).full_ranks
                low, high = intervals_of_ranks(ranks)["mrr"]
                mrr = metrics_of_ranks(ranks)["mrr"]
                points.append(AtLength(name, k, len(sample), mrr, low, high))
        if progress:
            progress(k + 1, LONGEST + 1)
    return points
