"""Some people as the model sees them after adaptation: all that their scores are made of.

Knows nothing about: how they were adapted to, the catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool
from torch import Tensor

from clusterseq.data.evidence import SparseEvidence
from clusterseq.model.catalogue import Preferences


@dataclass(frozen=True)
class Adapted:
    """Some people as the model sees them, adapted to each and ready to be scored."""

    preferences: Preferences
    """What they look for."""
    evidence: SparseEvidence | None
    """What the memory says to them."""
    unknown: Bool[Tensor, " users"]
    """Who has no history at all."""

    def alone(self, row: int, n_items: int) -> Adapted:
        """One of them, as if there were no other."""
        people, rows = len(self.unknown), slice(row, row + 1)
        evidence = None if self.evidence is None else self.evidence.to_one(row, people, n_items)
        return Adapted(self.preferences[rows], evidence, self.unknown[rows])
