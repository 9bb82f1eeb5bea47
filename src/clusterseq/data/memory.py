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

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Float32, Int32, Int64
from scipy import sparse
from torch import Tensor

from clusterseq.data.graph import incidence, transitions
from clusterseq.data.ledger import Counted, counted
from clusterseq.data.sequences import Sequences

KINDS = ("rules", "sessions")
ROW_LIMIT = 1_000
"""Items remembered for each item; the weakest beyond are forgotten, so that memory is bounded."""
MOST_SHARED = 1_000
"""Newest events of a person that tell who shares what: pairs grow with their square, and somebody
with tens of thousands is no person."""
SHRINKAGE = 20
"""Events added to the count of each first item in the rules."""
SESSION_SHRINKAGE = 10
"""People added to those who touched an item, in the sessions."""
DISCOUNT = (0.5, 0.7)
"""Powers of those numbers that divide for the item in hand and for the one it speaks for."""


@dataclass(frozen=True, eq=False)
class Memory:
    """For each kind, how strongly item i (row) speaks for item j (column)."""

    starts: Int64[Tensor, " bounds"]
    """Where each row's entries begin, and where the last one's end; all rows of a kind together."""
    items: Int32[Tensor, " entries"]
    """The columns, ascending in each row."""
    weights: Float[Tensor, " entries"]
    """The entries, single precision."""

    @classmethod
    def build(cls, known: Sequences, n_items: int) -> Memory:
        """Collect the memory of some people's sequences."""
        return Sums.of(known, n_items).memory(*counted(known, n_items))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Memory:
        """The memory that ``tensors`` gave."""
        return cls(**tensors)

    def tensors(self) -> dict[str, Tensor]:
        """Plain tensors that hold all of it, by the names of the fields."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def to(self, device: torch.device) -> Memory:
        """The same memory on another device."""
        return Memory(*(tensor.to(device) for tensor in self.tensors().values()))

    @property
    def n_items(self) -> int:
        """Size of the catalogue."""
        return (len(self.starts) - 1) // len(KINDS)

    @property
    def longest(self) -> int:
        """Entries of the longest row."""
        return int(self.starts.diff().max()) if self.n_items else 0

    @cached_property
    def matrix(self) -> sparse.csr_array:
        """The same as SciPy holds it, kinds × items by items; it shares the entries."""
        # With starts of 64 bits SciPy would copy the items to 64 bits, too.
        short = len(self.items) <= np.iinfo(np.int32).max
        starts = self.starts.int() if short else self.starts
        entries = (part.numpy(force=True) for part in (self.weights, self.items, starts))
        return sparse.csr_array(tuple(entries), shape=(len(self.starts) - 1, self.n_items))


@dataclass(frozen=True, eq=False)
class Sums:
    """What a memory is made of before anything is divided: sums over people."""

    transitions: sparse.csr_array
    """Items × items: how often one came after the other, by 1 / distance."""
    shared: sparse.csr_array
    """Items × items: people who touched both, each by 1 / √(items of theirs)."""

    @classmethod
    def of(cls, known: Sequences, n_items: int) -> Sums:
        """The sums over some people."""
        touched = incidence(known.newest(MOST_SHARED), n_items)
        sizes = np.maximum(touched.sum(axis=1), 1)
        shared = touched.T @ (sparse.diags_array(1 / np.sqrt(sizes)) @ touched)
        shared = (shared - sparse.diags_array(shared.diagonal())).tocsr()
        return cls(transitions(known, n_items), shared)

    @classmethod
    def recovered(cls, memory: Memory, counts: Counted, people: Counted) -> Sums:
        """The sums that a memory was made of, but for what it has forgotten."""
        rules, sessions = memory.matrix[: memory.n_items], memory.matrix[memory.n_items :]
        first, second = (sparse.diags_array(1 / weights) for weights in _discounts(people))
        return cls(
            (sparse.diags_array((counts + SHRINKAGE).astype(np.float32)) @ rules).tocsr(),
            (first @ sessions @ second).tocsr(),
        )

    def moved(self, places: Int32[np.ndarray, " items"], n_items: int) -> Sums:
        """The same in a larger catalogue, where item ``i`` is called ``places[i]``."""
        return Sums(*(_moved(matrix, places, n_items) for matrix in vars(self).values()))

    def plus(self, other: Sums) -> Sums:
        """The sums over the people of both."""
        return Sums(
            (self.transitions + other.transitions).tocsr(), (self.shared + other.shared).tocsr()
        )

    def memory(self, counts: Counted, people: Counted) -> Memory:
        """Divide by how many events and people each item has, and forget what is weak."""
        rules = sparse.diags_array(1 / (counts.astype(np.float32) + SHRINKAGE)) @ self.transitions
        first, second = (sparse.diags_array(weights) for weights in _discounts(people))
        sessions = first @ self.shared @ second
        kinds = sparse.vstack([_bounded(rules), _bounded(sessions)], format="csr")
        return Memory(
            torch.from_numpy(kinds.indptr.astype(np.int64)),
            torch.from_numpy(kinds.indices.astype(np.int32)),
            torch.from_numpy(kinds.data),
        )


def _discounts(people: Counted) -> tuple[Float32[np.ndarray, " items"], ...]:
    """What counts in sessions, for the item in hand and for the one it speaks for."""
    shrunk = people.astype(np.float32) + SESSION_SHRINKAGE
    return tuple(shrunk**-power for power in DISCOUNT)


def _moved(
    matrix: sparse.csr_array, places: Int32[np.ndarray, " items"], n_items: int
) -> sparse.csr_array:
    entries = matrix.tocoo()
    cells = (places[entries.row], places[entries.col])
    return sparse.csr_array((entries.data, cells), shape=(n_items, n_items))


def _bounded(matrix: sparse.csr_array) -> sparse.csr_array:
    """Only the strongest entries of each row, in canonical order, single precision."""
    matrix = matrix.tocsr().astype(np.float32)
    for row in np.flatnonzero(np.diff(matrix.indptr) > ROW_LIMIT):
        values = matrix.data[matrix.indptr[row] : matrix.indptr[row + 1]]
        values[np.argsort(-values, kind="stable")[ROW_LIMIT:]] = 0
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix
