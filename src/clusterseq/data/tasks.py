"""Tasks for meta-training, drawn from known users' sequences, and prefixes to judge by.

A task imitates what a newcomer brings: one to K support items in order and the item that came next.
Half of the tasks are consecutive windows, the other half ordered random subsets, so that the model
also learns from things further apart. Every draw is made by an explicit generator.

Knows nothing about: models, raw ids, who is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences

SPREAD = 10
"""An ordered random subset is drawn from at most this many consecutive items."""


@dataclass(frozen=True, eq=False)
class Tasks:
    """Support and query of some people."""

    support: Histories
    """The items touched, oldest first."""
    targets: Int64[Tensor, " users"]
    """The item that came next."""

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, rows: slice | Tensor) -> Tasks:
        """Some of the tasks."""
        return Tasks(self.support[rows], self.targets[rows])

    def to(self, device: torch.device) -> Tasks:
        """The same tasks on another device."""
        return Tasks(self.support.to(device), self.targets.to(device))


def draw_tasks(
    sequences: Sequences,
    users: Int64[np.ndarray, " users"],
    generator: np.random.Generator,
    *,
    support: int,
) -> Tasks:
    """One task of each user, who must have two items or more.

    >>> sequences = Sequences(np.int32([4, 5, 6]), np.arange(3), np.array([0, 3]))
    >>> tasks = draw_tasks(sequences, np.array([0]), np.random.default_rng(0), support=2)
    >>> len(tasks), tasks.support.lengths.tolist(), tasks.targets.tolist()
    (1, [2], [6])
    """
    lengths = sequences.lengths[users]
    sizes = 1 + np.minimum(generator.integers(1, support + 1, len(users)), lengths - 1)
    scattered = generator.random(len(users)) < 0.5
    spans = np.where(scattered, np.clip(lengths, sizes, np.maximum(SPREAD, sizes)), sizes)
    starts = sequences.offsets[:-1][users] + generator.integers(0, lengths - spans + 1)
    # The smallest of random keys choose a subset of each span; sorted positions keep the order.
    keys = generator.random((len(users), max(SPREAD, support + 1)))
    keys[np.arange(keys.shape[1]) >= spans[:, None]] = np.inf
    order = keys.argsort(axis=1)
    order[np.arange(keys.shape[1]) >= sizes[:, None]] = keys.shape[1]
    positions = np.sort(order, axis=1)[:, : support + 1]
    cells = np.minimum(starts[:, None] + positions, len(sequences.items) - 1)
    items = torch.from_numpy(sequences.items[cells].astype(np.int64))
    last = torch.from_numpy(sizes - 1)
    history = Histories(items[:, : int(last.max()) if len(last) else support], last)
    masked = Histories(history.items * history.mask, last)
    return Tasks(masked, items[torch.arange(len(users)), last])


def prefixes(
    sequences: Sequences, generator: np.random.Generator, *, longest: int, at_most: int
) -> Tasks:
    """Every prefix of 1 … ``longest`` items that has a next item, or a draw of ``at_most`` of them.

    >>> sequences = Sequences(np.int32([4, 5, 6]), np.arange(3), np.array([0, 3]))
    >>> tasks = prefixes(sequences, np.random.default_rng(0), longest=5, at_most=9)
    >>> tasks.support.items.tolist(), tasks.targets.tolist()
    ([[4, 0], [4, 5]], [5, 6])
    """
    counts = np.clip(sequences.lengths - 1, 0, longest)
    users = np.repeat(np.arange(len(sequences)), counts)
    sizes = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    if len(users) > at_most:
        chosen = np.sort(generator.choice(len(users), at_most, replace=False))
        users, sizes = users[chosen], sizes[chosen]
    starts = sequences.offsets[:-1][users]
    rows = [sequences.items[s : s + n] for s, n in zip(starts, sizes, strict=True)]
    targets = sequences.items[starts + sizes].astype(np.int64)
    return Tasks(Histories.from_lists(rows), torch.from_numpy(targets))
