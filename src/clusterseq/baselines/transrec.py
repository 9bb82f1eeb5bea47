"""TransRec: everybody moves through the space of items by a translation of their own.

He, Kang & McAuley, "Translation-based Recommendation" (RecSys 2017, arXiv 1707.02410): the next
item lies near the last one plus a translation. A person unknown to training has the global
translation alone, so nobody's own is learnt here, and only the last item counts.

Knows nothing about: optimisers, losses, ranking.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from clusterseq.baselines.dropout import dropped
from clusterseq.baselines.item_table import ItemTable
from clusterseq.baselines.neural import NextItemNetwork
from clusterseq.data.histories import Histories


class TransRec(NextItemNetwork):
    """The last item's vector plus one translation."""

    def __init__(self, items: ItemTable, *, dropout: float = 0.4) -> None:
        super().__init__(items, max_steps=20)
        self.dropout = dropout
        self.translation = nn.Parameter(torch.zeros(items.dim))

    def encode(
        self, histories: Histories, generator: torch.Generator | None = None
    ) -> Float[Tensor, "users steps dim"]:
        """Where each item leads."""
        return dropped(self.items(histories.items), self.dropout, generator) + self.translation
