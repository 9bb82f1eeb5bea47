"""Item kNN: items that the same people touched as the items of the history.

Cosine similarity of items as vectors of the people who touched them (Sarwar et al., "Item-based
collaborative filtering recommendation algorithms", WWW 2001), the vectors weighted by TF-IDF or
BM25 if wished, all as the library ``implicit`` has it. One shared person already makes two rare
items alike, so similarities are shrunk, by √(n_i n_j) / (√(n_i n_j) + shrinkage), where n counts
people. A person's scores are the sum of the similarities over the history, the newest item's with
weight 1 and older ones' with linearly less.

Knows nothing about: the order in which known people touched things, and when.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Integer
from scipy import sparse
from torch import Tensor

from clusterseq.baselines.evidence import popularity_order, reached_first, recency_vectors
from clusterseq.data.graph import incidence
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.machine.extras import require_extra

Similarity: TypeAlias = Literal["cosine", "tfidf", "bm25"]
BM25 = {"K1": 1.2, "B": 0.75}
"""The library's own defaults for neighbours."""
NEIGHBOURS = 1_000
"""The library keeps so many of the most similar items of each item."""


class ItemKNN:
    """Scores an item by its similarity to the items of the history."""

    needs_history = False

    def __init__(self, similar: sparse.csr_array, counts: Integer[np.ndarray, " items"]) -> None:
        """Take item × item similarities and how many people touched each item."""
        self.similar = similar
        self.n_items = len(counts)
        self._unreached = popularity_order(counts)

    @classmethod
    def fit(
        cls,
        known: Sequences,
        n_items: int,
        *,
        similarity: Similarity = "cosine",
        shrinkage: float = 20.0,
    ) -> ItemKNN:
        """Find the most similar items of each item, itself among them.

        >>> known = Sequences(np.int32([0, 1, 1, 2]), np.arange(4), np.array([0, 2, 4]))
        >>> ItemKNN.fit(known, n_items=3, shrinkage=0.0).similar.toarray().round(2)
        array([[1.  , 0.71, 0.  ],
               [0.71, 1.  , 0.71],
               [0.  , 0.71, 1.  ]], dtype=float32)

        Raises:
            ClusterSeqError: the extra ``bench`` is not installed.
        """
        with require_extra("bench", "item kNN"):
            import implicit.nearest_neighbours as library
        touched = incidence(known, n_items)
        weighted = _weighted(library, touched, similarity)
        model = library.ItemItemRecommender(K=NEIGHBOURS, num_threads=torch.get_num_threads())
        model.fit(weighted, show_progress=False)
        counts = np.diff(touched.tocsc().indptr)
        return cls(_shrunk(model.similarity, counts, shrinkage), counts)

    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """Sum the similarities: positive where an item of the history reaches, else negative."""
        vectors = recency_vectors(histories, self.n_items)
        return reached_first((vectors @ self.similar).toarray(), self._unreached)


def _weighted(library: Any, touched: sparse.csr_array, similarity: Similarity) -> sparse.csr_matrix:
    """People × items, so weighted that products of columns are the similarities."""
    items = touched.T
    if similarity == "bm25":
        weighted = library.bm25_weight(items, **BM25)
    else:
        weighted = library.normalize(
            library.tfidf_weight(items) if similarity == "tfidf" else items
        )
    return sparse.csr_matrix(weighted.T)


def _shrunk(
    similar: sparse.csr_matrix, counts: Integer[np.ndarray, " items"], shrinkage: float
) -> sparse.csr_array:
    """Take away the more, the fewer people touched the two items."""
    pairs = similar.tocoo()
    people = counts.astype(np.float64)  # products of popular items' don't fit into 32 bits
    norms = np.sqrt(people[pairs.row] * people[pairs.col])
    values = (pairs.data * norms / (norms + shrinkage)).astype(np.float32)
    return sparse.csr_array((values, (pairs.row, pairs.col)), shape=pairs.shape)
