"""STAN: session kNN in which order and time decay what an item, a person and a place are worth.

After Garg et al., "Sequence and time aware neighborhood for session-based recommendations" (SIGIR
2019), with its three exponential decays. In the history, an item n places before the newest weighs
e^(−n / ``recency``). A known person is worth e^(−a / ``age``), where a is the age of their last
event as a share of the time that training spans. Their similarity is this times the weights of the
items they share with the history, over the root of how many they touched. Each of the ``k`` most
similar gives an item the similarity × e^(−d / ``distance``), where d is how far it stands, in their
own sequence, from the newest item of the history that they share.

The paper takes ages at the time of the newcomer, who has none here; a later time would multiply all
scores by one number. Without a shared clock (see ``clock``) all people are equally old.

Knows nothing about: how often items are touched, but to rank those that no neighbour reaches.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int64
from scipy import sparse
from torch import Tensor

from clusterseq.baselines.evidence import latest_places, popularity_order, reached_first
from clusterseq.baselines.neighbours import Neighbours, Pairs, summed
from clusterseq.data.clock import last_ages
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences


class STAN:
    """Scores an item by near and new people who touched it, close to what they share."""

    needs_history = False

    def __init__(
        self,
        neighbours: Neighbours,
        worth: Float64[np.ndarray, " people"],
        *,
        recency: float,
        distance: float,
        k: int,
    ) -> None:
        """Take the neighbours and what each is worth by age."""
        self.n_items, self.k = neighbours.n_items, k
        self.recency, self.distance = recency, distance
        who_touched = neighbours.who_touched
        roots = np.sqrt(np.maximum(neighbours.sequences.lengths, 1))
        self._neighbours = neighbours
        self._similar = (who_touched @ sparse.diags_array(worth / roots)).tocsr()
        self._unreached = popularity_order(np.diff(who_touched.indptr))

    @classmethod
    def fit(
        cls,
        known: Sequences,
        n_items: int,
        *,
        recency: float = 4.0,
        age: float = 1.0,
        distance: float = 20.0,
        k: int = 500,
    ) -> STAN:
        """Remember known people, their order and how old they are.

        Two people share the newest item; what stands nearer to it in their sequences wins.

        >>> known = Sequences(np.int32([0, 1, 2, 0]), np.arange(4), np.array([0, 3, 4]))
        >>> model = STAN.fit(known, n_items=3, distance=1.0)
        >>> model.score(Histories.from_lists([[0]])).argsort(descending=True).tolist()
        [[0, 1, 2]]
        """
        ages = last_ages(known)
        newest_first = np.argsort(ages, kind="stable")
        neighbours = Neighbours.of(known, n_items, newest_first)
        worth = np.exp(-ages[newest_first] / age)
        return cls(neighbours, worth, recency=recency, distance=distance, k=k)

    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """Sum what the neighbours give: positive where one reaches, negative elsewhere."""
        places = latest_places(histories, self.n_items)
        vectors = self._vectors(places, histories.lengths.numpy(force=True))
        pairs = Pairs.nearest(vectors @ self._similar, self.k)
        pair_indices, events = self._neighbours.touches(pairs)
        people, items = pairs.people[pair_indices], self._neighbours.sequences.items[events]
        neighbour_places = self._neighbours.places[events]
        newest_shared = np.zeros(len(pairs), dtype=np.int64)
        np.maximum.at(newest_shared, pair_indices, places[people, items])
        anchors = np.zeros(len(pairs), dtype=np.int64)
        is_anchor = places[people, items] == newest_shared[pair_indices]
        anchors[pair_indices[is_anchor]] = neighbour_places[is_anchor]
        decay = np.exp(-np.abs(neighbour_places - anchors[pair_indices]) / self.distance)
        scores = summed(people, items, pairs.similarity[pair_indices] * decay, places.shape)
        return reached_first(scores, self._unreached)

    def _vectors(
        self, places: Int64[np.ndarray, "users items"], lengths: Int64[np.ndarray, " users"]
    ) -> sparse.csr_array:
        """Users × items: how much each item of the history weighs."""
        before_newest = np.maximum(lengths, 1)[:, None] - places
        return sparse.csr_array(np.where(places > 0, np.exp(-before_newest / self.recency), 0))
