"""The map of clusters: planted kinds of people stand apart, and have their own typical items."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from clusterseq.data.histories import Histories
from clusterseq.learning.checkpoint import Checkpoint
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.using.atlas import Atlas
from tests.tiny import tiny, trained


@pytest.fixture(scope="module")
def atlas(checkpoint: Checkpoint) -> Atlas:
    return Atlas(checkpoint.model, checkpoint.item_counts)


def test_people_of_two_kinds_stand_apart(atlas: Atlas) -> None:
    # Items 0 to 29 belong to one kind of people, 30 to 59 to the other.
    draws = np.random.default_rng(0)
    kinds = [[draws.integers(30, size=4) + 30 * kind for _ in range(40)] for kind in (0, 1)]
    one, other = (atlas.people(Histories.from_lists(rows)) for rows in kinds)
    within = max(place.std(dim=0).norm() for place in (one, other))
    assert (one.mean(dim=0) - other.mean(dim=0)).norm() > 2 * within
    assert torch.cat([one, other]).abs().max() <= 1


def test_everything_shown_is_on_the_map(atlas: Atlas) -> None:
    items, places = atlas.items(20)
    assert items.shape == (20,)
    assert places.shape == (20, 2)
    assert places.abs().max() <= 1
    counts = atlas.counts[items]
    assert (counts.diff() <= 0).all()
    assert set(atlas.clusters_of(items).tolist()) <= {0, 1, 2}


def test_a_cluster_lies_where_its_people_stand(atlas: Atlas) -> None:
    kinds = [[list(range(start, start + 4))] for start in (3, 33)]
    for history in map(Histories.from_lists, kinds):
        place, shares = atlas.people(history), atlas.model.assign(history)[0]
        own, others = atlas.centres()[shares > 0.5], atlas.centres()[shares < 0.05]
        assert len(own) == 1
        assert torch.cdist(own, place).max() < torch.cdist(others, place).min()


def test_typical_items_are_of_one_kind_of_people(atlas: Atlas) -> None:
    sizes, typical = atlas.model.cluster_sizes, atlas.typical(8)
    for cluster in (sizes > 0.2).nonzero()[:, 0].tolist():
        kinds = (typical[cluster] >= 30).float().mean().item()
        assert kinds in (0.0, 1.0), "all eight are of the same kind"


def test_somebody_without_history_stands_in_the_middle(atlas: Atlas) -> None:
    assert not atlas.people(Histories.from_lists([[]])).any()


def test_without_clusters_nobody_has_a_place() -> None:
    model: ClusterSeq = trained(tiny({"clustering": False}, meta_epochs=0))
    atlas = Atlas(model, np.ones(model.n_items, dtype=np.int64))
    assert not atlas.people(Histories.from_lists([[1, 2]])).any()
    assert not atlas.centres().any()
    assert not atlas.clusters_of(torch.tensor([0, 1])).any()
