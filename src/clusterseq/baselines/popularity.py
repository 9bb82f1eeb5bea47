"""The same ranking for everyone: how often each item was touched in training, lately or ever.

Lately: an event's weight halves with every ``half_life`` of the time that the events span. Data
that know only the order of events have no lately: there every event counts 1, as without a
half-life (``clock`` says how that is told).

Knows nothing about: the person it scores for.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from clusterseq.data.clock import ages
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences


class Popularity:
    """Scores an item by its number of training events."""

    needs_history = False

    def __init__(self, counts: Float[Tensor, " items"]) -> None:
        self.counts = counts
        self.n_items = len(counts)

    @classmethod
    def fit(cls, known: Sequences, n_items: int, *, half_life: float | None = None) -> Popularity:
        """Count the events of each item; a half-life is a share of the time that they span.

        >>> known = Sequences(np.int32([2, 0, 2]), np.array([0, 1, 0]), np.array([0, 2, 3]))
        >>> Popularity.fit(known, n_items=3).counts.tolist()
        [1.0, 0.0, 2.0]
        """
        weights = None if half_life is None else 0.5 ** (ages(known) / half_life)
        # Double precision keeps every count apart; single would merge those beyond 2 ** 24.
        counts = np.bincount(known.items, weights, minlength=n_items).astype(np.float64)
        return cls(torch.from_numpy(counts))

    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """The counts, once per person."""
        return self.counts.repeat(len(histories), 1)
