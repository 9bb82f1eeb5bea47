"""What the neighbour memory says, in sizes that are fixed before a model is traced or compiled.

Every row of the memory is padded to the longest, and what isn't said is held as silence. For a
person or two that costs a compiled model nothing; many would pay for it.

Knows nothing about: how much to trust it, what the memory was made of, how a function is traced.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from clusterseq.data.histories import Histories
from clusterseq.data.memory import KINDS, Memory


class PaddedEvidence:
    """What ``Evidence`` says, with every row of the memory as long as the longest.

    >>> starts, items = torch.tensor([0, 1, 1, 2, 2]), torch.tensor([1, 0, 0], dtype=torch.int32)
    >>> memory = Memory(starts, items, torch.tensor([0.2, 0.4, 0.0]))
    >>> evidence = PaddedEvidence(memory, 1, Histories.from_lists([[0, 1], [0]]))
    >>> evidence.dense()[0]
    tensor([[0.0000, 0.1000],
            [0.0000, 0.2000]])
    """

    def __init__(self, memory: Memory, longest: int, histories: Histories) -> None:
        """Look every item up; behind the memory's last entry stands one that means nothing."""
        self.histories, self.n_items = histories, memory.n_items
        self.device = histories.items.device
        rows = histories.items + self._arange(len(KINDS))[:, None, None] * self.n_items
        starts, ends = memory.starts[rows], memory.starts[rows + 1]  # (kinds, users, steps)
        entries = starts[..., None] + self._arange(longest)
        present = (entries < ends[..., None]) & histories.mask[..., None]
        entries = entries.clamp_max(memory.items.shape[0] - 1)
        self.items: Int64[Tensor, "kinds users steps longest"]
        self.items = torch.where(present, memory.items[entries].long(), self.n_items)
        self.weights: Float[Tensor, "kinds users steps longest"]
        self.weights = torch.where(present, memory.weights[entries], 0.0)

    def dense(self) -> Float[Tensor, "kinds users items"]:
        """What the histories say of every item, silence included."""
        kinds, users, steps, _ = self.items.shape
        recency = (self._arange(steps) + 1) / self.histories.lengths[:, None].clamp_min(1)
        votes = (self.weights * recency[..., None]).flatten(2)
        sums = votes.new_zeros(kinds, users, self.n_items + 1)
        return sums.scatter_add(2, self.items.flatten(2), votes)[..., :-1]

    def at_anchors(
        self, places: Int64[Tensor, " items"], anchors: int
    ) -> Float[Tensor, "users kinds prefixes anchors"]:
        """What each proper prefix says of some items: ``places`` tells where, or −1 elsewhere."""
        columns = torch.cat([places, places.new_full((1,), -1)])[self.items]
        columns = torch.where(columns < 0, anchors, columns)
        kinds, users, steps, _ = self.items.shape
        votes = self.weights * (self._arange(steps) + 1)[:, None]
        per_step = votes.new_zeros(kinds, users, steps, anchors + 1).scatter_add(3, columns, votes)
        sums = per_step[..., :-1].transpose(0, 1)[:, :, :-1].cumsum(dim=2)
        return sums / (self._arange(steps - 1) + 1)[:, None]

    def at_next(self) -> Float[Tensor, "users kinds prefixes"]:
        """What each proper prefix says of the item that came next; of padding it means nothing."""
        kinds, users, steps, longest = self.items.shape
        next_items = self.histories.items[None, :, None, 1:]
        requested = next_items.expand(kinds, users, steps, steps - 1).contiguous()
        positions = torch.searchsorted(self.items, requested).clamp_max(longest - 1)
        present = self.items.gather(3, positions) == requested
        weights = torch.where(present, self.weights.gather(3, positions), 0.0)
        counts = (self._arange(steps) + 1)[:, None].expand(-1, steps - 1).triu()
        votes = (weights * counts).sum(dim=2) / (self._arange(steps - 1) + 1)
        return votes.transpose(0, 1)

    def _arange(self, size: int) -> Int64[Tensor, " size"]:
        """0, 1, 2, …"""
        return torch.arange(size, device=self.device)
