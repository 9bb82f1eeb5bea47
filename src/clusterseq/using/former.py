"""A model in a larger catalogue than its own, to be put beside its successor.

Knows nothing about: how the successor came about, raw ids.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int32
from torch import Tensor

from clusterseq.data.histories import Histories
from clusterseq.model.ranker import Ranker
from clusterseq.reading.vocab import UNKNOWN


class Former:
    """It doesn't know the other items, and ranks them last."""

    def __init__(self, ranker: Ranker, places: Int32[np.ndarray, " items"], n_items: int) -> None:
        self.ranker, self.n_items, self.needs_history = ranker, n_items, ranker.needs_history
        self.places = torch.from_numpy(places.astype(np.int64))
        self.own = torch.full((n_items,), UNKNOWN)
        self.own[self.places] = torch.arange(len(places))

    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """Its own scores, and less than any of them for what it doesn't know."""
        rows = [
            codes[codes != UNKNOWN].numpy()
            for row, length in zip(histories.items, histories.lengths.tolist(), strict=True)
            for codes in [self.own[row[:length]]]
        ]
        scores = self.ranker.score(Histories.from_lists(rows))
        lowest = scores.min(dim=1, keepdim=True).values - 1
        padded = lowest.repeat(1, self.n_items)
        padded[:, self.places] = scores
        return padded
