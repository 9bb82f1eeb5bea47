"""What the nearest-neighbour peers share: a history as a vector, and evidence as a ranking.

Knows nothing about: where the evidence comes from, evaluation.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, Integer
from scipy import sparse
from torch import Tensor

from clusterseq.data.histories import Histories


def latest_places(histories: Histories, n_items: int) -> Int64[np.ndarray, "users items"]:
    """The place of each item in each history, 1 for the oldest, 0 where it was not touched.

    Of an item touched more than once, the latest place counts.

    >>> latest_places(Histories.from_lists([[2, 0, 2], [1]]), n_items=3).tolist()
    [[2, 0, 3], [0, 1, 0]]
    """
    places = np.zeros((len(histories), n_items), dtype=np.int64)
    rows, steps = np.nonzero(histories.mask.numpy(force=True))
    # Of several values for one cell the last is kept, and steps ascend within a row.
    places[rows, histories.items.numpy(force=True)[rows, steps]] = steps + 1
    return places


def recency_vectors(histories: Histories, n_items: int, power: float = 1.0) -> sparse.csr_array:
    """Users × items: (place / length) ^ power, so 1 for the newest item and less for older ones.

    A power of 0 weighs all alike, 1 falls linearly.

    >>> recency_vectors(Histories.from_lists([[2, 0], []]), n_items=3).toarray().tolist()
    [[1.0, 0.0, 0.5], [0.0, 0.0, 0.0]]
    """
    places = sparse.csr_array(latest_places(histories, n_items))
    lengths = np.repeat(histories.lengths.numpy(force=True), np.diff(places.indptr))
    weights = ((places.data / lengths) ** power).astype(np.float32)
    return sparse.csr_array((weights, places.indices, places.indptr), shape=places.shape)


def popularity_order(counts: Integer[np.ndarray, " items"]) -> Float32[np.ndarray, " items"]:
    """Negative numbers in the order of popularity, to stand below all evidence.

    >>> popularity_order(np.array([3, 0, 1])).tolist()
    [-0.25, -1.0, -0.5]
    """
    order: Float32[np.ndarray, " items"] = (-1 / (1 + counts)).astype(np.float32)
    return order


def reached_first(
    evidence: Float[np.ndarray, "users items"],
    unreached: Float32[np.ndarray, " items"],
) -> Float[Tensor, "users items"]:
    """Items with evidence by it, and after them all others, so that no ranking ends in a tie.

    >>> reached_first(np.array([[0.0, 0.5, 0.0]]), np.float32([-0.25, -0.5, -1])).tolist()
    [[-0.25, 0.5, -1.0]]
    """
    return torch.from_numpy(np.where(evidence > 0, evidence, unreached))
