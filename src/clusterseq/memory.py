"""The neighbour memory: what people who touched the same items went on to touch.

Two sparse item × item matrices hold it, without a table of users. *Rules* are sequence rules: how
often an item came at most five places after another, by 1 / distance, over the count of the first.
*Sessions* are V-SkNN (Ludewig & Jannach 2018, arXiv 1803.09587) with all known people as
neighbours: as its similarity is a sum over the history's items, the sum over neighbours can be
taken beforehand, Σ_s [i ∈ s][j ∈ s] / √|s|, less for items that everyone touches.

Counts are shrunk and a history's votes are not brought to one: a single coincidence is little
evidence, and has to remain little.

Knows nothing about: how much to trust it (the model learns that), users, training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from scipy import sparse
from torch import Tensor

from clusterseq.graph import incidence, transitions
from clusterseq.histories import Histories
from clusterseq.sequences import Sequences
from clusterseq.sparse_rows import entries_of_rows

NO_ITEMS = torch.empty(0, dtype=torch.int64)
KINDS = ("rules", "sessions")
PARTS = ("data", "indices", "indptr")
ROW_LIMIT = 1_000
"""Items remembered for each item; the weakest beyond are forgotten, so that memory is bounded."""
SHRINKAGE = 20
"""Events added to the count of each first item in the rules."""
SESSION_SHRINKAGE = 10
"""People added to those who touched an item, in the sessions."""
DISCOUNT = (0.5, 0.7)
"""Powers of those numbers that divide for the item in hand and for the one it speaks for."""


@dataclass(frozen=True, eq=False)
class Votes:
    """How strongly each item (row) speaks for others (columns), as a sparse matrix of rows."""

    starts: Int64[Tensor, " bounds"]
    """Where each row's entries begin, and where the last one's end."""
    items: Int32[Tensor, " entries"]
    """The columns."""
    weights: Float[Tensor, " entries"]
    """The entries, single precision."""
    width: int
    """How many columns there are."""

    @classmethod
    def of(cls, matrix: sparse.csr_array) -> Votes:
        """The same entries in tensors."""
        starts, items = torch.from_numpy(matrix.indptr), torch.from_numpy(matrix.indices)
        weights = torch.from_numpy(matrix.data.astype(np.float32))
        return cls(starts.long(), items.int(), weights, matrix.shape[1])

    def of_rows(self, rows: Int64[Tensor, " rows"]) -> tuple[Tensor, Tensor, Tensor]:
        """All entries of some rows: which of ``rows`` each belongs to, its column, its weight."""
        entries, sizes = entries_of_rows(self.starts, rows)
        places = torch.arange(len(rows)).repeat_interleave(sizes)
        return places, self.items[entries].long(), self.weights[entries]

    def columns(self, chosen: Int64[Tensor, " columns"]) -> Votes:
        """What every item says of some items, which come to stand in the order given."""
        place = torch.full((self.width,), -1, dtype=torch.int32)
        place[chosen] = torch.arange(len(chosen), dtype=torch.int32)
        items = place[self.items]
        kept = items >= 0
        before = torch.cat([torch.zeros(1, dtype=torch.int64), kept.cumsum(dim=0)])
        return Votes(before[self.starts], items[kept], self.weights[kept], len(chosen))


@dataclass(frozen=True, eq=False)
class Memory:
    """For each kind, how strongly item i (row) speaks for item j (column)."""

    votes: tuple[Votes, ...]
    """Items × items, one for each of ``KINDS``."""
    anchors: Int64[Tensor, " anchors"]
    """Distinct items that are looked up after every prefix; the inner loop contrasts with them."""

    @classmethod
    def build(cls, known: Sequences, n_items: int, anchors: Int64[Tensor, " anchors"]) -> Memory:
        """Collect the memory of some people's sequences."""
        matrices = _rules(known, n_items), _sessions(known, n_items)
        return cls(tuple(map(Votes.of, matrices)), anchors)

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], n_items: int, anchors: Int64[Tensor, " anchors"]
    ) -> Memory:
        """The memory that ``tensors`` gave."""
        votes = (
            Votes(starts.long(), items.int(), weights, n_items)
            for weights, items, starts in (
                [tensors[f"{kind}.{part}"] for part in PARTS] for kind in KINDS
            )
        )
        return cls(tuple(votes), anchors)

    def tensors(self) -> dict[str, Tensor]:
        """Plain tensors that hold all of it; indices in 32 bits."""
        return {
            f"{kind}.{part}": tensor
            for kind, votes in zip(KINDS, self.votes, strict=True)
            for part, tensor in zip(
                PARTS, (votes.weights, votes.items, votes.starts.int()), strict=True
            )
        }

    @cached_property
    def votes_for_anchors(self) -> tuple[Votes, ...]:
        """What every item says of the anchors alone."""
        return tuple(votes.columns(self.anchors) for votes in self.votes)

    def catalogue(self, histories: Histories) -> Float[Tensor, "users items kinds"]:
        """What each history says of every item: Σ over its items, by linear recency."""
        people, steps, items = _events(histories)
        recency = (steps + 1) / histories.lengths[people]
        return _summed(self.votes, items, recency, people, len(histories))

    def spoken_for(self, histories: Histories) -> Iterator[tuple[Tensor, Tensor]]:
        """The same without the silence: for each kind, cells of users × items and what is said.

        A cell may come several times, each time with the whole of what is said of it.
        """
        people, steps, items = _events(histories)
        recency = (steps + 1) / histories.lengths[people]
        for votes in self.votes:
            events, columns, weights = votes.of_rows(items)
            cells = people[events] * votes.width + columns
            said = torch.zeros(len(histories) * votes.width)
            yield cells, said.scatter_add_(0, cells, weights * recency[events])[cells]

    def at_anchors(self, histories: Histories) -> Float[Tensor, "users prefixes anchors kinds"]:
        """What each proper prefix of a history says of the anchors."""
        people, steps, items = _events(histories)
        shape = histories.items.shape
        # The recency in a prefix of p items is (step + 1) / p, so prefixes are running sums.
        cells = people * shape[1] + steps
        said = _summed(self.votes_for_anchors, items, steps + 1.0, cells, shape.numel())
        said = said.reshape(*shape, *said.shape[1:])[:, :-1].cumsum(dim=1)
        return said / torch.arange(1, shape[1])[:, None, None]

    def at_next(self, histories: Histories) -> Float[Tensor, "users prefixes kinds"]:
        """What each proper prefix of a history says of the item that came next."""
        people, steps, items = _events(histories)
        later = histories.items[:, 1:]
        prefixes = torch.arange(1, histories.items.shape[1])  # how many items each has
        found = torch.zeros(later.numel() * len(KINDS))
        for kind, votes in enumerate(self.votes):
            events, columns, weights = votes.of_rows(items)
            entry, prefix = (columns[:, None] == later[people[events]]).nonzero(as_tuple=True)
            event = events[entry]
            held = steps[event] < prefixes[prefix]
            entry, prefix, event = entry[held], prefix[held], event[held]
            said = weights[entry] * (steps[event] + 1) / prefixes[prefix]
            places = (people[event] * later.shape[1] + prefix) * len(KINDS) + kind
            found.scatter_add_(0, places, said)
        return found.reshape(*later.shape, len(KINDS))


def _events(histories: Histories) -> tuple[Tensor, Tensor, Tensor]:
    """Whose each event is, which step of theirs, and the item."""
    people, steps = histories.mask.nonzero(as_tuple=True)
    return people, steps, histories.items[people, steps]


def _summed(
    kinds: Sequence[Votes],
    items: Int64[Tensor, " events"],
    recency: Float[Tensor, " events"],
    cells: Int64[Tensor, " events"],
    n_cells: int,
) -> Float[Tensor, "cells columns kinds"]:
    """The votes of some events, each weighted and put into its cell."""
    found = torch.zeros(n_cells * kinds[0].width * len(kinds))
    for kind, votes in enumerate(kinds):
        events, columns, weights = votes.of_rows(items)
        places = (cells[events] * votes.width + columns) * len(kinds) + kind
        found.scatter_add_(0, places, weights * recency[events])
    return found.reshape(n_cells, kinds[0].width, len(kinds))


def _rules(known: Sequences, n_items: int) -> sparse.csr_array:
    counts = np.bincount(known.items, minlength=n_items).astype(np.float32)
    return _bounded(sparse.diags_array(1 / (counts + SHRINKAGE)) @ transitions(known, n_items))


def _sessions(known: Sequences, n_items: int) -> sparse.csr_array:
    touched = incidence(known, n_items)
    people = np.asarray(touched.sum(axis=0)) + SESSION_SHRINKAGE
    sizes = np.maximum(touched.sum(axis=1), 1)
    shared = touched.T @ (sparse.diags_array(1 / np.sqrt(sizes)) @ touched)
    shared = (shared - sparse.diags_array(shared.diagonal())).tocsr()
    first, second = (sparse.diags_array(people**-power) for power in DISCOUNT)
    return _bounded(first @ shared @ second)


def _bounded(matrix: sparse.csr_array) -> sparse.csr_array:
    """Only the strongest entries of each row, in canonical order, single precision."""
    matrix = matrix.tocsr().astype(np.float32)
    for row in np.flatnonzero(np.diff(matrix.indptr) > ROW_LIMIT):
        values = matrix.data[matrix.indptr[row] : matrix.indptr[row + 1]]
        values[np.argsort(-values, kind="stable")[ROW_LIMIT:]] = 0
    matrix.eliminate_zeros()
    matrix.sort_indices()
    matrix.indices = matrix.indices.astype(np.int32)
    matrix.indptr = matrix.indptr.astype(np.int64)
    return matrix
