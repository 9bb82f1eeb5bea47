"""What anything must offer to be judged by the protocol or asked for recommendations.

Knows nothing about: how scores come about, raw ids, ranking.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from clusterseq.data.histories import Histories


@runtime_checkable
class Scorer(Protocol):
    """Anything that scores the whole catalogue for people known only by their histories."""

    needs_history: bool
    """False if an empty history gets a meaningful ranking too."""
    n_items: int
    """Size of the catalogue."""

    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """Score every item for every person, higher is better; only their own history is used."""
        ...
