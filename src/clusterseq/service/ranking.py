"""A person's best items, before anything is filtered.

Nearly every request is answered from one, and it is what is worth keeping for the next request.

Knows nothing about: models, requests, why an item is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int32

DEPTH = 128
"""Items of a ranking: more than most can ask for and exclude together."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """A person's best items, best first, and how the model sees the person."""

    items: Int32[np.ndarray, " depth"]
    """Item indices."""
    scores: Float32[np.ndarray, " depth"]
    """Their scores."""
    complete: bool
    """Whether nothing else could be recommended."""
    shares: list[float]
    """How much the person belongs to each cluster; empty for a model without clusters."""
    position: tuple[float, float] | None
    """Where the person stands on the map."""
    adapt_ms: float = 0.0
    """Milliseconds of adapting to everybody who was served together."""
    score_ms: float = 0.0
    """Milliseconds of scoring the catalogue for them."""

    def within(self, allowed: Bool[np.ndarray, " items"]) -> Ranking:
        """The same of some items of the catalogue alone."""
        mask = allowed[self.items]
        return dataclasses.replace(self, items=self.items[mask], scores=self.scores[mask])

    def best(self, k: int, refused: Collection[int]) -> list[tuple[int, float]] | None:
        """The best ``k`` items that aren't refused; None where the ranking doesn't reach so far."""
        reach = k + len(refused)  # if all that is refused stands before the k-th
        pairs = zip(self.items[:reach].tolist(), self.scores[:reach].tolist(), strict=True)
        best = [(item, score) for item, score in pairs if item not in refused][:k]
        return best if len(best) == k or self.complete else None
