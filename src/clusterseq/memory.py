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
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from scipy import sparse
from torch import Tensor

from clusterseq.graph import incidence, transitions
from clusterseq.sequences import Sequences

KINDS = ("rules", "sessions")
ROW_LIMIT = 1_000
"""Items remembered for each item; the weakest beyond are forgotten, so that memory is bounded."""
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
        kinds = sparse.vstack([_rules(known, n_items), _sessions(known, n_items)], format="csr")
        return cls(
            torch.from_numpy(kinds.indptr.astype(np.int64)),
            torch.from_numpy(kinds.indices.astype(np.int32)),
            torch.from_numpy(kinds.data),
        )

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Memory:
        """The memory that ``tensors`` gave."""
        return cls(**tensors)

    def tensors(self) -> dict[str, Tensor]:
        """Plain tensors that hold all of it, by the names of the fields."""
        return dict(vars(self))

    def to(self, device: torch.device) -> Memory:
        """The same memory on another device."""
        return Memory(*(tensor.to(device) for tensor in self.tensors().values()))

    @property
    def n_items(self) -> int:
        """Size of the catalogue."""
        return (len(self.starts) - 1) // len(KINDS)


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
    return matrix
