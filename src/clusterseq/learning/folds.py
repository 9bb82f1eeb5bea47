"""Folds of the known users: each trains with a memory that the others alone are in.

Newcomers are in no memory either.

Knows nothing about: losses, epochs, models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64

from clusterseq.config import TrainConfig
from clusterseq.data.memory import Memory
from clusterseq.data.sequences import Sequences
from clusterseq.data.tasks import Tasks, draw_tasks
from clusterseq.machine.accelerator import CPU


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
