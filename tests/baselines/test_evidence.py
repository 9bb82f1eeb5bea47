"""What stands below all evidence."""

from __future__ import annotations

import numpy as np
import torch

from clusterseq.baselines.evidence import popularity_order, reached_first, recency_vectors
from clusterseq.data.histories import Histories


def test_items_without_evidence_follow_by_popularity() -> None:
    evidence = np.array([[0, 1e-6, 0, 0], [0, 0, 0, 0]])
    ranking = reached_first(evidence, popularity_order(np.array([5, 0, 90, 7]))).argsort(
        dim=1, descending=True
    )
    assert ranking.tolist() == [[1, 2, 3, 0], [2, 3, 0, 1]]


def test_the_power_sets_how_fast_older_items_fade() -> None:
    history = Histories.from_lists([[0, 1, 0, 2]])
    found = {power: recency_vectors(history, 4, power).toarray()[0] for power in (0.0, 1.0, 2.0)}
    assert found[0.0].tolist() == [1, 1, 1, 0]
    assert found[1.0].tolist() == [0.75, 0.5, 1, 0]
    assert found[2.0].tolist() == [0.5625, 0.25, 1, 0]


def test_single_and_double_precision_both_rank() -> None:
    order = popularity_order(np.array([1, 2]))
    for kind in (np.float32, np.float64):
        assert reached_first(np.zeros((1, 2), dtype=kind), order).dtype.is_floating_point
    assert torch.equal(
        reached_first(np.zeros((0, 2)), order), torch.zeros(0, 2, dtype=torch.float64)
    )
