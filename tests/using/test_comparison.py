"""A comparison by clusters: who belongs to which, some people at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from clusterseq.learning.clusters import start_clusters
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.using import comparison as module
from clusterseq.using.comparison import nearest_clusters
from tests.tiny import KNOWN, N_ITEMS, tiny


def test_how_many_are_assigned_together_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ClusterSeq(tiny({"n_items": N_ITEMS}).model)
    start_clusters(model, KNOWN, torch.Generator().manual_seed(0))
    together = nearest_clusters(model, KNOWN, slice(3))
    assert len(np.unique(together)) > 1
    monkeypatch.setattr(module, "PEOPLE_AT_ONCE", 7)
    assert np.array_equal(nearest_clusters(model, KNOWN, slice(3)), together)
