"""Vector-multiplication session kNN (V-SkNN): people like you, and what else they touched.

After Ludewig & Jannach, "Evaluation of session-based recommendation algorithms" (UMUAI 2018,
arXiv 1803.09587), with every known person as a neighbour. The history becomes a vector in which the
newest item weighs 1 and older ones linearly less, each times its idf; a neighbour's similarity is
the product with their set of items over the root of its size, as in the cosine; an item scores its
idf times the similarities of the neighbours who touched it. Items that no neighbour reaches come
after all others, by popularity, so that a ranking never ends in one large tie.

Knows nothing about: the order in which neighbours touched things, and when.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32
from scipy import sparse
from torch import Tensor

from clusterseq.baselines.evidence import popularity_order, reached_first
from clusterseq.data.graph import incidence
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences


class SessionKNN:
    """Scores an item by the similarity of the known people who touched it."""

    needs_history = False

    def __init__(
        self, touched: sparse.csr_array, *, recency: float = 1.0, idf: bool = True
    ) -> None:
        """Take the neighbours: a people × items matrix of ones."""
        people, self.n_items = touched.shape
        self.recency = recency
        counts = np.diff(touched.tocsc().indptr)
        roots = np.sqrt(np.maximum(touched.sum(axis=1), 1))
        rarity = np.log(people / np.maximum(counts, 1)) if idf else np.ones(self.n_items)
        self.idf: Float32[np.ndarray, " items"] = _single(rarity)
        self._unreached = popularity_order(counts)
        self._similar = (touched / roots[:, None]).T.tocsr().astype(np.float32)
        self._touched = (touched * self.idf).tocsr().astype(np.float32)

    @classmethod
    def fit(
        cls, known: Sequences, n_items: int, *, recency: float = 1.0, idf: bool = True
    ) -> SessionKNN:
        """Remember which items each known person touched.

        The items of a history weigh (place / length) ^ ``recency``: 0 weighs all alike, 1 falls
        linearly. Without ``idf`` rare and common items weigh the same.

        Here item 1 is reached through the first two people, and of the others, which follow, more
        people touched item 3.

        >>> items, offsets = np.int32([0, 1, 0, 1, 2, 3, 3]), np.array([0, 2, 4, 5, 6, 7])
        >>> model = SessionKNN.fit(Sequences(items, np.arange(7), offsets), n_items=4)
        >>> model.score(Histories.from_lists([[0]])).argsort(descending=True).tolist()
        [[0, 1, 3, 2]]
        """
        return cls(incidence(known, n_items).astype(np.float64), recency=recency, idf=idf)

    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """Sum the neighbours' similarities: positive where one reaches, negative elsewhere."""
        scores = (self._vectors(histories) @ self._similar @ self._touched).toarray()
        return reached_first(scores, self._unreached)

    def _vectors(self, histories: Histories) -> sparse.csr_array:
        """One row per person: recency times idf; an item met twice adds up both places."""
        rows, steps = np.nonzero(histories.mask.numpy(force=True))
        items = histories.items.numpy(force=True)[rows, steps]
        recency = ((steps + 1) / histories.lengths.numpy(force=True)[rows]) ** self.recency
        shape = (len(histories), self.n_items)
        return sparse.csr_array((_single(recency * self.idf[items]), (rows, items)), shape=shape)


def _single(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)
