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
from jaxtyping import Float, Int64
from scipy import sparse
from torch import Tensor

from clusterseq.graph import incidence, transitions
from clusterseq.histories import Histories
from clusterseq.sequences import Sequences

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
class Memory:
    """For each kind, how strongly item i (row) speaks for item j (column)."""

    matrices: tuple[sparse.csr_array, ...]
    """One items × items matrix for each of ``KINDS``, single precision."""

    @classmethod
    def build(cls, known: Sequences, n_items: int) -> Memory:
        """Collect the memory of some people's sequences."""
        return cls((_rules(known, n_items), _sessions(known, n_items)))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], n_items: int) -> Memory:
        """The memory that ``tensors`` gave."""
        parts = ([tensors[f"{kind}.{part}"].numpy() for part in PARTS] for kind in KINDS)
        return cls(tuple(sparse.csr_array(tuple(p), shape=(n_items, n_items)) for p in parts))

    def tensors(self) -> dict[str, Tensor]:
        """Plain tensors that hold all of it; indices in 32 bits, whichever scipy has chosen."""
        return {
            f"{kind}.{part}": torch.from_numpy(
                getattr(matrix, part).astype(np.float32 if part == "data" else np.int32)
            )
            for kind, matrix in zip(KINDS, self.matrices, strict=True)
            for part in PARTS
        }

    def catalogue(self, histories: Histories) -> Float[Tensor, "users items kinds"]:
        """What each history says of every item."""
        return self._said(histories, slice(None))

    def columns(
        self, histories: Histories, items: Int64[Tensor, " columns"]
    ) -> Float[Tensor, "users columns kinds"]:
        """What each history says of some items, the same ones for everybody."""
        return self._said(histories, items.numpy())

    def single(
        self, histories: Histories, items: Int64[Tensor, " users"]
    ) -> Float[Tensor, "users kinds"]:
        """What each history says of one item of its own."""
        weights = self._weights(histories)
        rows, firsts = weights.nonzero()
        seconds = items.numpy()[rows]
        sums = np.zeros((len(histories), len(KINDS)), dtype=np.float32)
        for kind, matrix in enumerate(self.matrices):
            np.add.at(sums[:, kind], rows, weights.data * np.asarray(matrix[firsts, seconds]))
        return torch.from_numpy(sums)

    def _said(
        self, histories: Histories, items: slice | np.ndarray
    ) -> Float[Tensor, "users columns kinds"]:
        weights = self._weights(histories)
        # A few people's rows are far smaller than the matrices, so columns are chosen last.
        dense = [(weights @ matrix)[:, items].toarray() for matrix in self.matrices]
        return torch.from_numpy(np.stack(dense, axis=-1))

    def _weights(self, histories: Histories) -> sparse.csr_array:
        """Users × items: linear recency, 1 for the newest item."""
        rows, steps = np.nonzero(histories.mask.numpy())
        recency = (steps + 1) / histories.lengths.numpy()[rows]
        cells = (rows, histories.items.numpy()[rows, steps])
        shape = (len(histories), self.matrices[0].shape[0])
        return sparse.csr_array((recency.astype(np.float32), cells), shape=shape)


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
