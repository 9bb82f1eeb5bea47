"""A batch of histories: the first few items that each of some people touched, oldest first.

Knows nothing about: raw ids, users' names, models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Histories:
    """Right-padded item indices with their true lengths; a length of 0 is a person without history.

    Cells past a row's length hold 0 and mean nothing: every reader masks them by ``lengths``.
    """

    items: Int[Tensor, "users steps"]
    """Item indices, oldest first, int64."""
    lengths: Int[Tensor, " users"]
    """Number of true items in each row, int64, 0 … steps."""

    @classmethod
    def from_lists(cls, rows: Iterable[Sequence[int] | np.ndarray]) -> Histories:
        """Pad rows of item indices to one matrix of at least one column.

        >>> batch = Histories.from_lists([[7, 8, 9], [5], []])
        >>> batch.items.tolist()
        [[7, 8, 9], [5, 0, 0], [0, 0, 0]]
        >>> batch.lengths.tolist()
        [3, 1, 0]
        """
        arrays = [np.asarray(row, dtype=np.int64) for row in rows]
        lengths = np.array([len(row) for row in arrays], dtype=np.int64)
        width = max(1, int(lengths.max(initial=0)))
        items = np.zeros((len(arrays), width), dtype=np.int64)
        for row, array in zip(items, arrays, strict=True):
            row[: len(array)] = array
        return cls(torch.from_numpy(items), torch.from_numpy(lengths))

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def mask(self) -> Bool[Tensor, "users steps"]:
        """True where a cell holds a true item."""
        steps = torch.arange(self.items.shape[1], device=self.items.device)
        return steps < self.lengths[:, None]

    def touched(self, n_items: int) -> Bool[Tensor, "users items"]:
        """Which items of a catalogue each person has touched.

        >>> Histories.from_lists([[2, 0, 2], []]).touched(3).tolist()
        [[True, False, True], [False, False, False]]
        """
        touched = torch.zeros(len(self), n_items, dtype=torch.bool, device=self.items.device)
        rows, steps = self.mask.nonzero(as_tuple=True)
        touched[rows, self.items[rows, steps]] = True
        return touched

    def __getitem__(self, rows: slice | Tensor) -> Histories:
        """The histories of some of the people, at the same width."""
        return Histories(self.items[rows], self.lengths[rows])

    def trimmed(self) -> Histories:
        """The same, as wide as the longest of them, or of one column.

        >>> Histories(torch.tensor([[7, 8, 0], [5, 0, 0]]), torch.tensor([2, 1])).trimmed().items
        tensor([[7, 8],
                [5, 0]])
        """
        longest = int(self.lengths.max()) if len(self) else 0
        return Histories(self.items[:, : max(1, longest)], self.lengths)

    def last(self, steps: int) -> Histories:
        """Only the newest ``steps`` items of each person, for models with a bounded memory."""
        if self.items.shape[1] <= steps:
            return self
        start = (self.lengths - steps).clamp_min(0)
        positions = start[:, None] + torch.arange(steps, device=self.items.device)
        lengths = self.lengths.clamp_max(steps)
        items = self.items.gather(1, positions.clamp_max(self.items.shape[1] - 1))
        mask = torch.arange(steps, device=self.items.device) < lengths[:, None]
        return Histories(items * mask, lengths)

    def newest(self, states: Float[Tensor, "users steps dim"]) -> Float[Tensor, "users dim"]:
        """Of states after every prefix, each person's last; without history it means nothing.

        >>> states = torch.arange(6.0).view(2, 3, 1)
        >>> Histories.from_lists([[7, 8, 9], [5]]).newest(states).tolist()
        [[2.0], [3.0]]
        """
        last = (self.lengths - 1).clamp_min(0)
        return states[torch.arange(last.shape[0], device=last.device), last]

    def clone(self) -> Histories:
        """The same histories in memory of their own."""
        return Histories(self.items.clone(), self.lengths.clone())

    def to(self, device: torch.device | str) -> Histories:
        """The same histories on another device."""
        return Histories(self.items.to(device), self.lengths.to(device))
