"""What is measured of clusters: whom they hold and what those touch, some people at a time."""

from __future__ import annotations

import pytest
import torch

from clusterseq.data.histories import Histories
from clusterseq.learning import clusters as module
from clusterseq.learning.clusters import measure_clusters
from clusterseq.model.clusterseq import ClusterSeq
from tests.tiny import KNOWN, N_ITEMS, tiny


@pytest.fixture
def model() -> ClusterSeq:
    """Untrained, with centres at some people, so that the others are shared out."""
    found = ClusterSeq(tiny({"n_items": N_ITEMS}).model)
    module.start_clusters(found, KNOWN, torch.Generator().manual_seed(0))
    return found


@pytest.mark.parametrize("at_once", [7, len(KNOWN)])
def test_a_cluster_touches_what_its_people_touch_as_far_as_they_are_its(
    model: ClusterSeq, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(module, "PEOPLE_FOR_CLUSTERS", at_once)
    measure_clusters(model, KNOWN)
    rows = [row.tolist() for row in KNOWN]
    shares = model.assign(Histories.from_lists(rows))
    masses = torch.zeros(shares.shape[1], N_ITEMS, dtype=torch.float64)
    for person, row in enumerate(rows):
        for item in row:
            masses[:, item] += shares[person]
    sums = masses.sum(dim=1)
    assert (sums > 0).sum() > 1, "not all are of one cluster"
    expected = (masses / sums.clamp_min(1e-9)[:, None]).float()
    torch.testing.assert_close(model.cluster_popularity, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(model.cluster_sizes, (sums / sums.sum()).float())
