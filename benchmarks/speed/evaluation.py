"""Judging many newcomers against a large catalogue: full and sampled ranks of everybody."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.speed.figures import Figure, seconds
from benchmarks.speed.settings import model_of
from benchmarks.speed.world import people
from clusterseq.bench.cost import peak_mb
from clusterseq.judging.evaluate import evaluate
from clusterseq.model.ranker import Ranker

SECTION = "evaluation"
USERS, ITEMS, JUDGED = 100_000, 100_000, 2_000
"""What the figure is for, and how many of the users are judged for it."""


def run() -> Iterator[Figure]:
    """Seconds for 100,000 newcomers × 100,000 items, extrapolated from some, and memory."""
    known = people(USERS, ITEMS)
    ranker = Ranker(model_of(known, ITEMS, members=1, dim=64))
    counts = np.bincount(known.items, minlength=ITEMS)
    judged = known.select(np.arange(JUDGED))
    before = peak_mb()
    part = seconds(lambda: evaluate(ranker, judged, item_counts=counts), runs=1, warm=0)
    after, whole = peak_mb(), part * USERS / JUDGED
    case = f"{USERS:,} × {ITEMS:,}, from {JUDGED:,} users"
    yield Figure(SECTION, case, whole, "s", target="value <= 240")
    if before is not None and after is not None:
        grown = after - before
        yield Figure(SECTION, f"memory, {JUDGED:,} users", grown, "MiB", target="value <= 2048")
