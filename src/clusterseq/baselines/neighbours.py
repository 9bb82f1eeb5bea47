"""Known people as neighbours: who shares items with a history, and what they touched.

The neighbour methods differ in how near somebody is and in what a neighbour's items are worth; the
search itself and the sums over (person, neighbour) pairs are these flat arrays.

Knows nothing about: similarities, weights, rankings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64, Integer
from scipy import sparse

from clusterseq.data.sequences import Sequences


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Known people, newest first; each of them with every item once, at its latest place."""

    sequences: Sequences
    """What each touched, oldest first."""
    places: Int64[np.ndarray, " events"]
    """The place of each event in the whole sequence, 1 for the oldest."""
    n_items: int
    """Size of the catalogue."""

    @classmethod
    def of(
        cls, known: Sequences, n_items: int, newest_first: Int64[np.ndarray, " people"]
    ) -> Neighbours:
        """Put people in an order and leave out all but the last of a person's repeated touches.

        >>> known = Sequences(np.int32([4, 5, 4, 6]), np.arange(4), np.array([0, 3, 4]))
        >>> people = Neighbours.of(known, n_items=7, newest_first=np.array([1, 0]))
        >>> [items.tolist() for items in people.sequences], people.places.tolist()
        ([[6], [5, 4]], [1, 2, 3])
        """
        ordered = known.select(newest_first)
        starts = np.repeat(ordered.offsets[:-1], ordered.lengths)
        places = np.arange(len(ordered.items)) - starts + 1
        keys = ordered.user_of_event.astype(np.int64) * n_items + ordered.items
        _, from_the_end = np.unique(keys[::-1], return_index=True)
        last = np.zeros(len(keys), dtype=bool)
        last[len(keys) - 1 - from_the_end] = True
        return cls(ordered.where(last), places[last], n_items)

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def who_touched(self) -> sparse.csr_array:
        """Items × people: one where somebody touched the item, newest people first."""
        cells = (self.sequences.items, self.sequences.user_of_event)
        ones = np.ones(len(self.sequences.items), dtype=np.float32)
        touched = sparse.csr_array((ones, cells), shape=(self.n_items, len(self)))
        touched.sort_indices()
        return touched

    def touches(self, pairs: Pairs) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
        """All that the neighbours of some pairs touched: which pair, and which of the events."""
        lengths = self.sequences.lengths[pairs.neighbours]
        pair_indices = np.repeat(np.arange(len(lengths)), lengths)
        offsets = np.cumsum(lengths) - lengths
        starts = self.sequences.offsets[:-1][pairs.neighbours]
        return pair_indices, np.arange(len(pair_indices)) + (starts - offsets)[pair_indices]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Somebody and a neighbour of theirs; each shares an item at least."""

    people: Integer[np.ndarray, " pairs"]
    """Row of each somebody, ascending."""
    neighbours: Integer[np.ndarray, " pairs"]
    """Index of the neighbour."""
    similarity: Float[np.ndarray, " pairs"]
    """How near they are."""

    def __len__(self) -> int:
        return len(self.people)

    @classmethod
    def nearest(cls, similarity: sparse.csr_array, k: int) -> Pairs:
        """The ``k`` nearest neighbours of each row; of equally near ones the newer are nearer.

        >>> pairs = Pairs.nearest(sparse.csr_array([[0.5, 0.9, 0.5], [0.0, 0.0, 0.1]]), k=2)
        >>> pairs.people.tolist(), pairs.neighbours.tolist()
        ([0, 0, 1], [1, 0, 2])
        """
        rows = np.repeat(np.arange(similarity.shape[0]), np.diff(similarity.indptr))
        order = np.lexsort((similarity.indices, -similarity.data, rows))
        nearest = order[np.arange(len(rows)) - similarity.indptr[rows] < k]
        return cls(rows[nearest], similarity.indices[nearest], similarity.data[nearest])


def newest_of_row(matrix: sparse.csr_array, m: int) -> sparse.csr_array:
    """The first ``m`` entries of each row: where columns are people, the newest of them.

    >>> newest_of_row(sparse.csr_array([[1, 0, 2, 3], [0, 0, 0, 4]]), m=2).toarray().tolist()
    [[1, 0, 2, 0], [0, 0, 0, 4]]
    """
    matrix.sort_indices()
    lengths = np.diff(matrix.indptr)
    positions = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], lengths)
    bounds = np.concatenate([[0], np.cumsum(np.minimum(lengths, m))])
    mask = positions < m
    return sparse.csr_array((matrix.data[mask], matrix.indices[mask], bounds), shape=matrix.shape)


def summed(
    people: Integer[np.ndarray, " n"],
    items: Integer[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
    shape: tuple[int, int],
) -> Float64[np.ndarray, "people items"]:
    """Add up weights by person and item.

    >>> both, items = np.array([0, 0]), np.array([2, 2])
    >>> summed(both, items, np.array([0.5, 0.25]), shape=(1, 3)).tolist()
    [[0.0, 0.0, 0.75]]
    """
    cells = people * shape[1] + items
    sums = np.bincount(cells, weights, minlength=shape[0] * shape[1])
    totals: Float64[np.ndarray, "people items"] = sums.astype(np.float64).reshape(shape)
    return totals
