"""Meta-training: adapt to tasks of known users, and learn from what the adapted model predicts.

Outer loss = query loss after adaptation + λ · clustering loss (section 3.2.5). Each batch holds
users of one fold and reads the memory of the other folds, as newcomers are in no memory either.

Knows nothing about: epochs, validation, files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from clusterseq.config import TrainConfig
from clusterseq.data.evidence import Evidence
from clusterseq.data.graph import profiles
from clusterseq.data.memory import Memory
from clusterseq.data.sequences import Sequences, evenly
from clusterseq.data.tasks import Tasks, draw_tasks
from clusterseq.machine.accelerator import CPU
from clusterseq.machine.workers import ALONE, Workers
from clusterseq.model.catalogue import Catalogue, catalogue_loss
from clusterseq.model.clustering import clustering_loss
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.rivals import Rivals

MOST_RIVALS = 20_000
"""Items in the softmax of a batch; of a larger catalogue, some stand for the rest."""
PEOPLE_FOR_CLUSTERS = 20_000
"""Known users that cluster centres are started and revived from."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Some known users, and what everybody else's sequences remember."""

    users: Int64[np.ndarray, " users"]
    """Known users with two events or more."""
    memory: Memory | None
    """The memory without their sequences."""


@dataclass(frozen=True, eq=False)
class FoldTasks:
    """A batch of tasks with the memory that they may read."""

    tasks: Tasks
    """Support and query of users of one fold."""
    memory: Memory | None
    """What the other folds remember."""


def make_folds(
    known: Sequences,
    users: Int64[np.ndarray, " users"],
    n_items: int,
    *,
    folds: int,
    memory: bool,
    generator: np.random.Generator,
    device: torch.device = CPU,
) -> list[Fold]:
    """Deal ``users`` into folds; each fold's memory is built from the users of the others."""
    parts = [np.sort(part) for part in np.array_split(generator.permutation(users), folds)]

    def others(part: Int64[np.ndarray, " users"]) -> Memory:
        return Memory.build(known.select(np.setdiff1d(users, part)), n_items).to(device)

    return [
        Fold(part[known.lengths[part] > 1], others(part) if memory else None)
        for part in parts
        if len(part)
    ]


def task_batches(
    known: Sequences, folds: Sequence[Fold], config: TrainConfig, generator: np.random.Generator
) -> list[FoldTasks]:
    """One task of every user of every fold, in batches of one fold each, in a random order."""
    batches = []
    for fold in folds:
        users = generator.permutation(fold.users)
        for start in range(0, len(users), config.tasks_per_batch):
            chosen = users[start : start + config.tasks_per_batch]
            tasks = draw_tasks(known, chosen, generator, support=config.support)
            batches.append(FoldTasks(tasks, fold.memory))
    return [batches[index] for index in generator.permutation(len(batches))]


@dataclass(frozen=True, eq=False)
class MetaLoss:
    """Query loss after adaptation, and the clustering loss beside it."""

    model: ClusterSeq
    """The model; all of it gets gradients."""
    config: TrainConfig
    """Weights of the clustering loss."""
    settled: Catalogue | None = None
    """The items, where nothing that they are made of is trained: the same at every step."""
    workers: Workers = ALONE
    """Who shares a batch; the losses of all of them add up to that of the batch."""

    def __call__(self, batch: FoldTasks, generator: torch.Generator) -> Float[Tensor, ""]:
        """The outer loss of one batch of tasks."""
        model = self.model
        everybody = batch.tasks.to(model.device)
        tasks = everybody[self.workers.share(len(everybody))]
        catalogue = self.settled or model.catalogue()
        rivals = None
        if model.n_items > MOST_RIVALS:  # drawn first, so that all workers draw the same
            rivals = Rivals.draw(everybody.targets, model.n_items, MOST_RIVALS, generator)
        evidence = Evidence.of(batch.memory, tasks.support)
        dropout = self.workers.own_draws(generator)
        queries = model.encode(tasks.support, catalogue.table, dropout)
        heard = model.heard(tasks.support, catalogue, evidence)
        preferences = model.preferences(tasks.support, queries, catalogue, heard)
        columns = catalogue.items.columns
        if rivals is not None:
            columns = torch.nn.functional.embedding(rivals.items, columns)
        loss = catalogue_loss(preferences, columns, model.acuity, batch.memory, tasks, rivals)
        loss = loss * (len(tasks) / len(everybody)) if len(tasks) else 0 * preferences.queries.sum()
        if model.clusters is not None:
            # How balanced clusters are only everybody together can tell, and it costs little.
            errors = model.clusters.errors(model.represent(everybody.support))
            shares = model.clusters.assigned(errors)
            cluster_loss = clustering_loss(errors, shares, self.config.balance_weight)
            loss = loss + self.config.cluster_weight * cluster_loss / self.workers.size
        return loss


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
    embedding = model.items.embedding.numpy(force=True)
    model.profiles.copy_(torch.from_numpy(profiles(known, embedding)))


@torch.no_grad()
def measure_clusters(model: ClusterSeq, known: Sequences) -> None:
    """What each cluster touches and how large it is, from the known users: the prior of nobody."""
    clusters = len(model.cluster_sizes)
    popularity = model.cluster_sizes.new_zeros(model.n_items, clusters)
    for start in range(0, len(known), PEOPLE_FOR_CLUSTERS):
        part = known.select(np.arange(start, min(start + PEOPLE_FOR_CLUSTERS, len(known))))
        shares = _shares(model, part)
        owners, items = _owners_and_items(part, model.device)
        popularity.index_add_(0, items, shares[owners])
    sums = popularity.sum(dim=0).clamp_min(1e-9)
    model.cluster_popularity.copy_((popularity / sums).T)
    model.cluster_sizes.copy_((sums / sums.sum()).float())


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


def revive_clusters(model: ClusterSeq, known: Sequences) -> int:
    """Move clusters that nearly nobody is in; returns how many."""
    return 0 if model.clusters is None else model.clusters.revive(_people(model, known))
