"""What the neighbour memory says to some people: of the catalogue, of anchors, of what came next.

Each item of a history is looked up once, in all kinds of memory together, and speaks for others by
linear recency: of p items the s-th counts s / p, and the same item may come twice. A prefix of a
history hears what the history hears, in other shares. Where many entries are needed, SciPy reads
and sums them.

Knows nothing about: how much to trust it, what the memory was made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy import sparse
from torch import Tensor

from clusterseq.data.histories import Histories
from clusterseq.data.memory import KINDS, Memory
from clusterseq.data.sparse_rows import entries_of_rows

FEW_PEOPLE, FEW_ENTRIES = 6, 10_000
"""Of so few people so few entries of the memory are looked up in less time than SciPy takes to
begin. Of more people the sums lie far apart in memory, where a catalogue is large."""


@dataclass(frozen=True)
class SparseEvidence:
    """The cells of users × items where any kind of memory says anything; once for each kind."""

    owners: Int64[Tensor, " cells"]
    """To whom it is said, as a place in kinds × users."""
    cells: Int64[Tensor, " cells"]
    """Of what, as a place in users × items."""
    values: Float[Tensor, " cells"]
    """The weight of each vote."""

    @classmethod
    def of(cls, dense: Float[Tensor, "kinds users items"]) -> SparseEvidence:
        """What is said of every item, without the silence.

        >>> SparseEvidence.of(torch.tensor([[[0.0, 0.1, 0.0]], [[0.3, 0.0, 0.0]]])).cells.tolist()
        [1, 0]
        """
        _, users, n_items = dense.shape
        flat = dense.flatten()
        places = flat.nonzero()[:, 0]
        owners = torch.div(places, n_items, rounding_mode="floor")
        return cls(owners, places % (users * n_items), flat.index_select(0, places))

    @classmethod
    def joined(
        cls, parts: Sequence[SparseEvidence], bounds: Sequence[int], n_items: int
    ) -> SparseEvidence:
        """That of several groups of people, one after the other: each begins at one of the bounds.

        >>> alone = SparseEvidence(torch.tensor([0, 1]), torch.tensor([3, 3]), torch.ones(2))
        >>> both = SparseEvidence.joined([alone, alone], [0, 1, 2], n_items=4)
        >>> both.owners.tolist(), both.cells.tolist()
        ([0, 1, 2, 3], [3, 7, 3, 7])
        """
        owners, cells, values = [], [], []
        for part, start, end in zip(parts, bounds, bounds[1:], strict=False):
            kinds = torch.div(part.owners, end - start, rounding_mode="floor")
            owners.append(kinds * bounds[-1] + start + part.owners % (end - start))
            cells.append(part.cells + start * n_items)
            values.append(part.values)
        order = (all_owners := torch.cat(owners)).argsort(stable=True)  # a kind after the other
        return cls(all_owners[order], torch.cat(cells)[order], torch.cat(values)[order])

    def to_one(self, person: int, people: int, n_items: int) -> SparseEvidence:
        """What is said to one of so many people, as if there were no other.

        >>> both = SparseEvidence(torch.tensor([0, 1, 3]), torch.tensor([2, 6, 5]), torch.ones(3))
        >>> alone = both.to_one(1, people=2, n_items=4)
        >>> alone.owners.tolist(), alone.cells.tolist()  # kinds, and items
        ([0, 1], [2, 1])
        """
        mask = torch.div(self.cells, n_items, rounding_mode="floor") == person
        kinds = torch.div(self.owners[mask], people, rounding_mode="floor")
        return SparseEvidence(kinds, self.cells[mask] - person * n_items, self.values[mask])


@dataclass(frozen=True)
class _Entries:
    """What the memory holds of each item of some histories, one item after the other."""

    rows: Int64[Tensor, " entries"]
    """Whose entry it is, as a place in kinds × users × steps."""
    items: Int64[Tensor, " entries"]
    """Of what it speaks; ascending in each row."""
    weights: Float[Tensor, " entries"]
    """How strongly."""

    def about(self, places: Int64[Tensor, " items"]) -> _Entries:
        """Those that speak of some items, by their places; an item at −1 is none of them."""
        items = places.index_select(0, self.items)
        present = (items >= 0).nonzero()[:, 0]
        parts = (self.rows, items, self.weights)
        return _Entries(*(part.index_select(0, present) for part in parts))


class Evidence:
    """The entries of the memory that some histories pick, one row for each item of each kind.

    >>> starts, items = torch.tensor([0, 1, 1, 2, 2]), torch.tensor([1, 0], dtype=torch.int32)
    >>> memory = Memory(starts, items, torch.tensor([0.2, 0.4]))
    >>> evidence = Evidence(memory, Histories.from_lists([[0, 1], [0]]))
    >>> evidence.dense()[0]  # by the rules, 0 speaks for 1; halved where it isn't the newest
    tensor([[0.0000, 0.1000],
            [0.0000, 0.2000]])
    >>> evidence.at_next()[0, :, 0]  # of 1 after 0: by the rules, and in the sessions
    tensor([0.2000, 0.0000])
    """

    def __init__(self, memory: Memory, histories: Histories) -> None:
        self.memory, self.histories, self.n_items = memory, histories, memory.n_items
        self.device = histories.items.device

    @classmethod
    def of(cls, memory: Memory | None, histories: Histories) -> Evidence | None:
        """What a model's memory says; nothing where it has none."""
        return None if memory is None else cls(memory, histories)

    @cached_property
    def sparse(self) -> SparseEvidence:
        """What the histories say of every item, without the silence."""
        return self.about(None)

    def about(self, chosen: Int64[Tensor, " chosen"] | None) -> SparseEvidence:
        """What they say of some items alone, distinct ones, as if there were no other (None: all).

        >>> starts, items = torch.tensor([0, 2, 2, 2, 2]), torch.tensor([0, 1], dtype=torch.int32)
        >>> memory = Memory(starts, items, torch.tensor([0.2, 0.4]))
        >>> evidence = Evidence(memory, Histories.from_lists([[0]]))
        >>> evidence.about(torch.tensor([1])).values
        tensor([0.4000])
        """
        return self._multiplied(chosen) if self._by_scipy else self._looked_up(chosen)

    @property
    def _by_scipy(self) -> bool:
        """Whether SciPy takes less time, whose loops over sparse rows have a dearer start."""
        per_item = len(self.memory.items) / max(1, self.n_items)
        entries = per_item * self.histories.items.numel()
        few = len(self.histories) <= FEW_PEOPLE and entries <= FEW_ENTRIES
        return not few and self.device.type == "cpu"

    def _looked_up(self, chosen: Int64[Tensor, " chosen"] | None) -> SparseEvidence:
        users, n_items, entries = len(self.histories), self.n_items, self._entries
        if chosen is not None:
            entries = entries.about(places_of(chosen, n_items))
            n_items = len(chosen)
        shares = torch.cat([self._recency] * len(KINDS)).flatten()
        votes = entries.weights * shares.index_select(0, entries.rows)
        owners = torch.div(entries.rows, self.steps, rounding_mode="floor")
        cells = owners * n_items + entries.items
        # Only what is written is read, so nearly all of this memory is never touched; and what was
        # summed there makes room for who wrote last, for each cell is to be told once.
        scratch = votes.new_empty(len(KINDS) * users * n_items)
        sums = scratch.scatter_(0, cells, 0.0).scatter_add_(0, cells, votes).index_select(0, cells)
        order = self._arange(len(cells)).int()
        last = scratch.view(torch.int32).scatter_(0, cells, order).index_select(0, cells)
        distinct = (last == order).nonzero()[:, 0]
        owners, cells, sums = (part.index_select(0, distinct) for part in (owners, cells, sums))
        return SparseEvidence(owners, cells % (users * n_items), sums)

    def _multiplied(self, chosen: Int64[Tensor, " chosen"] | None) -> SparseEvidence:
        """The recency of what was touched (kinds × users, kinds × items) times the memory."""
        users, mask, kinds = len(self.histories), self.histories.mask, np.arange(len(KINDS))
        lengths, items = self.histories.lengths.numpy(), self.histories.items[mask].numpy()
        votes = np.tile(self._recency[mask].numpy(), len(kinds))
        rows = (items + self.n_items * kinds[:, None]).ravel()
        starts = np.append(0, np.tile(lengths, len(kinds)).cumsum())
        memory = self.memory.matrix
        if chosen is not None:  # a row that many have touched is narrowed once
            distinct, rows = np.unique(rows, return_inverse=True)
            memory = memory[distinct][:, chosen.numpy()]
        # Of other integers than the memory's SciPy would make a copy of the memory.
        rows, starts = (part.astype(memory.indices.dtype) for part in (rows, starts))
        touched = sparse.csr_array((votes, rows, starts), (len(kinds) * users, memory.shape[0]))
        products = touched @ memory
        sizes, first_cells = np.diff(products.indptr), np.arange(users) * memory.shape[1]
        owners = np.repeat(np.arange(len(kinds) * users), sizes)
        cells = np.repeat(np.tile(first_cells, len(kinds)), sizes) + products.indices
        return SparseEvidence(*(torch.from_numpy(part) for part in (owners, cells, products.data)))

    @cached_property
    def _entries(self) -> _Entries:
        offsets = self._arange(len(KINDS))[:, None, None] * self.n_items
        rows = (self.histories.items + offsets).flatten()  # (kinds × users × steps)
        present = self.histories.mask.expand(len(KINDS), -1, -1).flatten()
        if self._by_scipy:
            owners = present.nonzero()[:, 0]
            picked = self.memory.matrix[rows[owners].numpy()]
            sizes = torch.from_numpy(np.diff(picked.indptr))
            items, weights = torch.from_numpy(picked.indices), torch.from_numpy(picked.data)
            return _Entries(owners.repeat_interleave(sizes), items.long(), weights)
        entries, sizes = entries_of_rows(self.memory.starts, rows, present)
        return _Entries(
            self._arange(len(rows)).repeat_interleave(sizes, output_size=len(entries)),
            self.memory.items.index_select(0, entries).long(),
            self.memory.weights.index_select(0, entries),
        )

    @property
    def _recency(self) -> Float[Tensor, "users steps"]:
        """How much each item of a history counts; of padding it means nothing."""
        return (self._arange(self.steps) + 1) / self.histories.lengths[:, None]

    @property
    def steps(self) -> int:
        """Items of the longest history."""
        return self.histories.items.shape[1]

    def dense(self) -> Float[Tensor, "kinds users items"]:
        """What the histories say of every item, silence included."""
        shape = len(KINDS), len(self.histories), self.n_items
        kinds = torch.div(self.sparse.owners, shape[1], rounding_mode="floor")
        values = self.sparse.values.new_zeros(shape)
        values.view(-1)[kinds * (shape[1] * shape[2]) + self.sparse.cells] = self.sparse.values
        return values

    def at_anchors(
        self, places: Int64[Tensor, " items"], anchors: int
    ) -> Float[Tensor, "users kinds prefixes anchors"]:
        """What each proper prefix says of some items: ``places`` tells where, or −1 elsewhere."""
        entries = self._entries.about(places)
        shape = len(KINDS), len(self.histories), self.steps, anchors
        votes = entries.weights * (entries.rows % self.steps + 1)
        cells = entries.rows * anchors + entries.items
        per_step = votes.new_zeros(shape).view(-1).scatter_add_(0, cells, votes)
        sums = per_step.view(shape).transpose(0, 1)[:, :, :-1].cumsum(dim=2)
        return sums / (self._arange(self.steps - 1) + 1)[:, None]

    def at_next(self) -> Float[Tensor, "users kinds prefixes"]:
        """What each proper prefix says of the item that came next; of padding it means nothing."""
        users, steps, entries = len(self.histories), self.steps, self._entries
        rows = self._arange(len(KINDS) * users * steps).view(len(KINDS), users, steps, 1)
        requested = rows * self.n_items + self.histories.items[:, None, 1:]
        keys = (entries.rows * self.n_items).add_(entries.items)  # ascending
        if not len(keys):
            return entries.weights.new_zeros(users, len(KINDS), steps - 1)
        positions = torch.searchsorted(keys, requested.flatten()).clamp_max(len(keys) - 1)
        present = keys.index_select(0, positions) == requested.flatten()
        weights = (entries.weights.index_select(0, positions) * present).view(requested.shape)
        counts = (self._arange(steps) + 1)[:, None].expand(-1, steps - 1).triu()
        votes = (weights * counts).sum(dim=2) / (self._arange(steps - 1) + 1)
        return votes.transpose(0, 1)

    def _arange(self, size: int) -> Int64[Tensor, " size"]:
        """0, 1, 2, …"""
        return torch.arange(size, device=self.device)


def places_of(chosen: Int64[Tensor, " chosen"], n_items: int) -> Int64[Tensor, " items"]:
    """Where each item of a catalogue stands in a list of distinct ones; −1 if it doesn't."""
    positions = chosen.new_full((n_items,), -1)
    positions[chosen] = torch.arange(len(chosen), device=chosen.device)
    return positions
