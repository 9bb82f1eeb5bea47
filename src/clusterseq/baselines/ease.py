"""EASE: a linear autoencoder over items that may not use an item to predict itself.

After Steck, "Embarrassingly shallow autoencoders for sparse data" (WWW 2019, arXiv 1905.03375).
With the inverse P of the regularised item × item Gram matrix, the weights are −P / diag(P), by
column, and zero on the diagonal. It keeps catalogue × catalogue numbers, so it refuses large
catalogues.

Knows nothing about: the order in which things were touched, and when.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float32, Integer
from torch import Tensor

from clusterseq.baselines.evidence import popularity_order, recency_vectors
from clusterseq.data.graph import incidence
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.errors import TrainingError

MOST_ITEMS = 20_000
"""Three matrices of the catalogue squared, in single precision, then take 4.8 GB."""


class EASE:
    """Scores an item by the summed weights that the touched items have for it."""

    needs_history = False

    def __init__(
        self, weights: Float32[np.ndarray, "items items"], counts: Integer[np.ndarray, " items"]
    ) -> None:
        """Take the weights, touched × scored item, and how many people touched each item."""
        self.weights = weights
        self.n_items = len(counts)
        self._prior = torch.from_numpy(popularity_order(counts))

    @classmethod
    def fit(cls, known: Sequences, n_items: int, *, regularisation: float = 100.0) -> EASE:
        """Solve for the weights.

        Two items that the same people touch predict each other:

        >>> known = Sequences(np.int32([0, 1, 0, 1, 2]), np.arange(5), np.array([0, 2, 4, 5]))
        >>> EASE.fit(known, n_items=3, regularisation=2.0).weights[:2, :2].tolist()
        [[0.0, 0.5], [0.5, 0.0]]

        Raises:
            TrainingError: the catalogue is too large.
        """
        if n_items > MOST_ITEMS:
            raise TrainingError(
                f"EASE on {n_items} items would take {12e-9 * n_items**2:.0f} GB, and the limit is "
                f"{MOST_ITEMS} items; leave EASE out, or rare items: "
                "--set data.min_item_events=5",
                code="memory",
            )
        touched = incidence(known, n_items)
        gram = torch.from_numpy((touched.T @ touched).toarray())
        gram.diagonal().add_(regularisation)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        weights = inverse.div_(-inverse.diagonal().clone()).fill_diagonal_(0)
        # Row by row, as products read it: SciPy would make a copy of the whole for each of them.
        return cls(np.ascontiguousarray(weights.numpy()), np.diff(touched.tocsc().indptr))

    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """Sum the rows of the touched items; without a history, go by popularity."""
        touched = recency_vectors(histories, self.n_items, power=0.0)
        scores = torch.from_numpy(touched @ self.weights)
        return torch.where(histories.lengths[:, None] > 0, scores, self._prior)
