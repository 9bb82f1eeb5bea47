"""How long one newcomer takes here and now: adapt, rank the catalogue, take the ten best.

Knows nothing about: services, drawing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from clusterseq.data.histories import Histories
from clusterseq.model.ranker import Ranker

ALONE, TOGETHER, ITEMS_EACH = 300, 256, 3


@dataclass(frozen=True)
class Latency:
    """Milliseconds and rates on this machine."""

    p50_ms: float
    p99_ms: float
    """Of one newcomer, on one thread."""
    per_second: float
    """Newcomers a second in batches, on all threads."""
    threads: int


def latency(ranker: Ranker) -> Latency:
    """Measure newcomers of three random items."""
    draws = np.random.default_rng(0).integers(0, ranker.n_items, (ALONE, ITEMS_EACH))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = np.array([_seconds(ranker, draws[row : row + 1]) for row in range(ALONE)])
    finally:
        torch.set_num_threads(threads)
    batch_seconds = min(_seconds(ranker, draws[:TOGETHER]) for _ in range(3))
    p50, p99 = 1000 * np.quantile(seconds[10:], [0.5, 0.99])  # the first ones warm up
    return Latency(float(p50), float(p99), TOGETHER / batch_seconds, threads)


def _seconds(ranker: Ranker, rows: np.ndarray) -> float:
    started = time.perf_counter()
    people = ranker.adapt(Histories.from_lists(rows))
    ranker.best(people, 10, allowed=[None] * len(rows), refused=list(rows))
    return time.perf_counter() - started
