"""VMIS-kNN: the nearest among the newest people who share an item with the history.

After Kersbergen, Sprangers & Schelter, "Serenade: low-latency session-based recommendation in
e-commerce at scale" (SIGMOD 2022). Candidates are the ``m`` newest people who share an item with
the history. Their similarity is the sum over shared items of place / length; each of the ``k`` most
similar gives all of its items similarity × idf × (1 − 0.1 · the place, counted from the end, of the
newest shared item). The paper walks through an index with heaps, for an answer in milliseconds;
here it is a sparse product for many people at once, with the same outcome.

People are as new as their last event. Without a shared clock (see ``clock``) nobody is newer than
anybody, and the first ``m`` in the order of the data are candidates.

Knows nothing about: the order in which neighbours touched things.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int64
from scipy import sparse
from torch import Tensor

from clusterseq.baselines.evidence import latest_places, popularity_order, reached_first
from clusterseq.baselines.neighbours import Neighbours, Pairs, newest_of_row, summed
from clusterseq.data.clock import last_ages
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences


class VMISKNN:
    """Scores an item by the similarity of the near and new people who touched it."""

    needs_history = False

    def __init__(self, neighbours: Neighbours, *, m: int, k: int) -> None:
        """Index the ``m`` newest people of every item."""
        self.n_items, self.m, self.k = neighbours.n_items, m, k
        who_touched = neighbours.who_touched
        counts = np.diff(who_touched.indptr)
        self._neighbours = neighbours
        self._idf = np.log(len(neighbours) / np.maximum(counts, 1))
        self._unreached = popularity_order(counts)
        # Who isn't among the m newest of one shared item isn't among the m newest of them all.
        self._newest = newest_of_row(who_touched, m)

    @classmethod
    def fit(cls, known: Sequences, n_items: int, *, m: int = 500, k: int = 100) -> VMISKNN:
        """Remember known people, of whom ``m`` are candidates and ``k`` neighbours.

        With one neighbour, the newer of two equally near people decides:

        >>> items, times = np.int32([0, 1, 0, 2, 3, 3]), np.array([1, 2, 5, 9, 0, 6])
        >>> known = Sequences(items, times, np.array([0, 2, 4, 6]))
        >>> model = VMISKNN.fit(known, n_items=4, k=1)
        >>> model.score(Histories.from_lists([[0]])).argsort(descending=True).tolist()
        [[2, 0, 1, 3]]
        """
        newest_first = np.argsort(last_ages(known), kind="stable")
        return cls(Neighbours.of(known, n_items, newest_first), m=m, k=k)

    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """Sum what the neighbours give: positive where one reaches, negative elsewhere."""
        places = latest_places(histories, self.n_items)
        lengths = histories.lengths.numpy(force=True)
        pairs = self._nearest(places, lengths)
        pair_indices, events = self._neighbours.touches(pairs)
        people, items = pairs.people[pair_indices], self._neighbours.sequences.items[events]
        newest_shared = np.zeros(len(pairs), dtype=np.int64)
        np.maximum.at(newest_shared, pair_indices, places[people, items])
        from_end = lengths[pairs.people] - newest_shared + 1
        worth = pairs.similarity * np.maximum(0, 1 - 0.1 * from_end)
        scores = summed(people, items, worth[pair_indices] * self._idf[items], places.shape)
        return reached_first(scores, self._unreached)

    def _nearest(
        self, places: Int64[np.ndarray, "users items"], lengths: Int64[np.ndarray, " users"]
    ) -> Pairs:
        # Sums of whole places are exact, so that people who are equally near stay so.
        sums = newest_of_row(sparse.csr_array(places) @ self._newest, self.m)
        pairs = Pairs.nearest(sums, self.k)
        return replace(pairs, similarity=pairs.similarity / lengths[pairs.people])
