"""Weighted matrix factorisation by alternating least squares, a newcomer folded in.

After Hu, Koren & Volinsky, "Collaborative filtering for implicit feedback datasets" (ICDM 2008), as
the library ``implicit`` has it. A newcomer's factors are the least-squares solution for their own
history with all item factors fixed.

Knows nothing about: the order in which things were touched, and when.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Integer
from scipy import sparse
from torch import Tensor

from clusterseq.baselines.evidence import popularity_order
from clusterseq.data.graph import incidence
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.machine.extras import require_extra

ITERATIONS = 15


class ALS:
    """Scores an item by the product of its factors with those that a history implies."""

    needs_history = False

    def __init__(self, model: Any, counts: Integer[np.ndarray, " items"]) -> None:
        """Take a fitted model of ``implicit`` and how many people touched each item."""
        self.n_items = len(counts)
        self.item_factors: Float32[np.ndarray, "items factors"] = model.item_factors
        self._model = model
        self._prior = torch.from_numpy(popularity_order(counts))

    @classmethod
    def fit(
        cls,
        known: Sequences,
        n_items: int,
        *,
        factors: int = 64,
        confidence: float = 10.0,
        regularisation: float = 0.1,
        seed: int = 0,
    ) -> ALS:
        """Factorise people × items.

        Raises:
            ClusterSeqError: the extra ``bench`` is not installed.
        """
        with require_extra("bench", "ALS"):
            from implicit.cpu.als import AlternatingLeastSquares
        touched = incidence(known, n_items)
        with _one_blas_thread():
            model = AlternatingLeastSquares(
                factors=factors,
                alpha=confidence,
                regularization=regularisation,
                iterations=ITERATIONS,
                num_threads=torch.get_num_threads(),
                random_state=seed,
            )
            model.fit(sparse.csr_matrix(touched), show_progress=False)
        return cls(model, np.diff(touched.tocsc().indptr))

    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """Fold everybody in; without a history, go by popularity."""
        touched = histories.touched(self.n_items).numpy(force=True).astype(np.float32)
        with _one_blas_thread():
            user_factors = self._model.recalculate_user(
                np.arange(len(histories)), sparse.csr_matrix(touched)
            )
        scores = torch.from_numpy(user_factors @ self.item_factors.T)
        return torch.where(histories.lengths[:, None] > 0, scores, self._prior)


def _one_blas_thread() -> Any:
    """The library's threads each call BLAS, whose own threads would get in their way."""
    with require_extra("bench", "ALS"):
        from threadpoolctl import threadpool_limits
    return threadpool_limits(1, "blas")
