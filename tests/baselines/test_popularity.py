"""Popularity of late against its formula, and where there is no late."""

from __future__ import annotations

import numpy as np
import pytest

from clusterseq.baselines.popularity import Popularity
from clusterseq.data.sequences import Sequences
from tests.baselines.planted import KNOWN, WORLD


def test_an_event_is_worth_half_after_a_half_life() -> None:
    items, times = np.array([0, 1, 1, 2], dtype=np.int32), np.array([0, 100, 50, 75])
    known = Sequences(items, times, np.array([0, 2, 4]))
    span = 100 - np.quantile(times, 0.01)
    counts = Popularity.fit(known, 4, half_life=0.25).counts
    expected = [sum(0.5 ** (age / span / 0.25) for age in row) for row in ([100], [0, 50], [25])]
    assert counts.tolist() == pytest.approx([*expected, 0])


def test_with_order_only_every_event_counts_one() -> None:
    late, ever = (Popularity.fit(KNOWN, WORLD.n_items, half_life=h) for h in (0.02, None))
    assert late.counts.tolist() == ever.counts.tolist()
