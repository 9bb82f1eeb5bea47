"""The clusters of a training: started, revived, and measured on the known users.

Knows nothing about: losses, epochs, what clusters condition.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from clusterseq.data.graph import profiles
from clusterseq.data.sequences import Sequences, evenly
from clusterseq.model.clusterseq import ClusterSeq

PEOPLE_FOR_CLUSTERS = 20_000
"""Known users that cluster centres are started and revived from."""


@torch.no_grad()
def start_clusters(model: ClusterSeq, known: Sequences, generator: torch.Generator) -> None:
    """Propagate the embeddings over the users' graph and start the clusters by k-means++."""
    if model.clusters is None:
        return
    refresh_profiles(model, known)
    model.clusters.start(_people(model, known), generator)


@torch.no_grad()
def refresh_profiles(model: ClusterSeq, known: Sequences) -> None:
    """Item representations from the embeddings as they are now (see ``graph.profiles``)."""
    if model.clusters is None:
        return
    embedding = model.items.embedding.numpy(force=True)
    model.profiles.copy_(torch.from_numpy(profiles(known, embedding)))


def revive_clusters(model: ClusterSeq, known: Sequences) -> int:
    """Move clusters that nearly nobody is in; returns how many."""
    return 0 if model.clusters is None else model.clusters.revive(_people(model, known))


@torch.no_grad()
def measure_clusters(model: ClusterSeq, known: Sequences) -> None:
    """What each cluster touches and how large it is, from the known users: the prior of nobody.

    What clusters say for items follows from it, if they say anything.
    """
    clusters = len(model.cluster_sizes)
    # In single precision a count of 2²⁴ would grow no more.
    popularity = model.cluster_sizes.new_zeros(model.n_items, clusters, dtype=torch.float64)
    for start in range(0, len(known), PEOPLE_FOR_CLUSTERS):
        part = known.select(np.arange(start, min(start + PEOPLE_FOR_CLUSTERS, len(known))))
        shares = _shares(model, part)
        owners, items = _owners_and_items(part, model.device)
        popularity.index_add_(0, items, shares[owners].double())
    sums = popularity.sum(dim=0).clamp_min(1e-9)
    model.cluster_popularity.copy_((popularity / sums).T)
    model.cluster_sizes.copy_(sums / sums.sum())
    measure_lifts(model, len(known.items))


def measure_lifts(model: ClusterSeq, events: int) -> None:
    """What clusters say for items, if anything, from what each touches of so many events."""
    if model.lifts is not None and model.lifts.measured:
        model.lifts.measure(model.cluster_popularity, model.cluster_sizes, events)


def _shares(model: ClusterSeq, part: Sequences) -> Float[Tensor, "users clusters"]:
    if model.clusters is None:
        return model.cluster_sizes.new_ones(len(part), 1)
    shares: Tensor = model.clusters(_represented(model, part))
    return shares


def _people(model: ClusterSeq, known: Sequences) -> Float[Tensor, "users dim"]:
    """Representations of known users, evenly spread where there are too many."""
    return _represented(model, known.select(evenly(np.arange(len(known)), PEOPLE_FOR_CLUSTERS)))


def _represented(model: ClusterSeq, part: Sequences) -> Float[Tensor, "users dim"]:
    owners, items = _owners_and_items(part, model.device)
    sums = model.profiles.new_zeros(len(part), model.profiles.shape[1])
    sums.index_add_(0, owners, model.profiles[items])
    return torch.nn.functional.normalize(sums, dim=-1)


def _owners_and_items(
    part: Sequences, device: torch.device
) -> tuple[Int64[Tensor, " events"], Int64[Tensor, " events"]]:
    """Whose each event is, and of which item."""
    arrays = (part.user_of_event, part.items)
    owners, items = (torch.from_numpy(array.astype(np.int64)).to(device) for array in arrays)
    return owners, items
