"""SASRec: self-attention over the items so far; the newest one's output asks for the next.

Kang & McAuley, "Self-Attentive Sequential Recommendation" (ICDM 2018, arXiv 1808.09781), with
positions counted from the start, so that a newcomer's few items stand where everybody's first items
stood. Trained by gBCE over dot products it is gSASRec (Petrov & Macdonald, RecSys 2023, arXiv
2308.07192).

Knows nothing about: optimisers, losses, ranking.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from clusterseq.baselines.item_table import ItemTable
from clusterseq.baselines.neural import NextItemNetwork
from clusterseq.baselines.transformer import Transformer, positions
from clusterseq.data.histories import Histories


class SASRec(NextItemNetwork):
    """A transformer in which each step reads itself and earlier ones."""

    def __init__(
        self,
        items: ItemTable,
        *,
        max_steps: int = 10,
        blocks: int = 1,
        heads: int = 1,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(items, max_steps)
        self.positions = positions(max_steps, items.dim)
        self.transformer = Transformer(items.dim, blocks=blocks, heads=heads, dropout=dropout)

    def encode(
        self, histories: Histories, generator: torch.Generator | None = None
    ) -> Float[Tensor, "users steps dim"]:
        """The output at every step."""
        steps = histories.items.shape[1]
        inputs = self.items(histories.items) + self.positions[:steps]
        earlier = torch.ones(1, steps, steps, dtype=torch.bool, device=inputs.device).tril()
        queries: Tensor = self.transformer(inputs, earlier, generator)
        return queries
