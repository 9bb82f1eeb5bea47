"""GRU4Rec: a recurrent network reads the items; its state asks for the next one.

Hidasi et al., "Session-based Recommendations with Recurrent Neural Networks" (ICLR 2016,
arXiv 1511.06939), with input and output sharing one item table, as in Hidasi & Karatzoglou,
"Recurrent Neural Networks with Top-k Gains" (CIKM 2018, arXiv 1706.03847).

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


class GRU4Rec(NextItemNetwork):
    """One gated recurrent layer, as wide as the item vectors."""

    def __init__(self, items: ItemTable, *, max_steps: int = 10, dropout: float = 0.4) -> None:
        super().__init__(items, max_steps)
        self.dropout = dropout
        self.encoder = nn.GRU(items.dim, items.dim, batch_first=True)

    def encode(
        self, histories: Histories, generator: torch.Generator | None = None
    ) -> Float[Tensor, "users steps dim"]:
        """The state after every prefix."""
        inputs = dropped(self.items(histories.items), self.dropout, generator)
        states, _ = self.encoder(inputs)
        return dropped(states, self.dropout, generator)
