"""Tasks for meta-training and windows for pre-training, drawn from known users' sequences.

A task imitates what a newcomer brings: one to K support items in order and the item that came next.
Half of the tasks are consecutive windows, the other half ordered random subsets, so that the model
also learns from things further apart. Every draw is made by an explicit generator.

Knows nothing about: models, raw ids, who is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

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
    history = Histories(items[:, :support], last)
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


@dataclass(frozen=True, eq=False)
class Windows:
    """Pieces of at most ``width`` + 1 items; each item but a sequence's first is a target."""

    items: Int64[Tensor, " events"]
    """All items, sequence after sequence."""
    starts: Int64[Tensor, " windows"]
    """Where each window starts."""
    sizes: Int64[Tensor, " windows"]
    """How many items each window has, 2 … width + 1."""

    @classmethod
    def of(cls, sequences: Sequences, width: int) -> Windows:
        """Cut sequences into windows that share one item with the window before.

        >>> sequences = Sequences(np.int32([1, 2, 3, 4]), np.arange(4), np.array([0, 4]))
        >>> windows = Windows.of(sequences, width=2)
        >>> windows.starts.tolist(), windows.sizes.tolist()
        ([0, 2], [3, 2])
        """
        counts = np.maximum(0, -(-(sequences.lengths - 1) // width))
        users = np.repeat(np.arange(len(sequences)), counts)
        shifts = (np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)) * width
        starts = sequences.offsets[:-1][users] + shifts
        sizes = np.minimum(width + 1, sequences.offsets[1:][users] - starts)
        return cls(
            torch.from_numpy(sequences.items.astype(np.int64)),
            torch.from_numpy(starts),
            torch.from_numpy(sizes),
        )

    def batches(self, size: int, generator: np.random.Generator) -> WindowBatches:
        """All windows in a random order, ``size`` at a time."""
        return WindowBatches(self, generator.permutation(len(self.starts)), size)


@dataclass(frozen=True, eq=False)
class WindowBatches(Sequence[Histories]):
    """Batches of windows, each made when it is asked for: an epoch is never held whole."""

    windows: Windows
    """All windows."""
    order: Int64[np.ndarray, " windows"]
    """Which comes when."""
    size: int
    """How many are in a batch; the last one may have fewer."""

    def __len__(self) -> int:
        return -(-len(self.order) // self.size)

    @overload
    def __getitem__(self, place: int) -> Histories: ...

    @overload
    def __getitem__(self, place: slice) -> list[Histories]: ...

    def __getitem__(self, place: int | slice) -> Histories | list[Histories]:
        """A batch, padded to its longest window."""
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        start = range(0, len(self.order), self.size)[place]
        chosen = torch.from_numpy(self.order[start : start + self.size])
        windows = self.windows
        sizes = windows.sizes[chosen]
        steps = torch.arange(int(sizes.max()))
        cells = (windows.starts[chosen, None] + steps).clamp_max(len(windows.items) - 1)
        return Histories(windows.items[cells] * (steps < sizes[:, None]), sizes)
