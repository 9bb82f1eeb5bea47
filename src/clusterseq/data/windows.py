"""Windows for pre-training: pieces of known users' sequences, and batches of them.

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
