"""NARM: a recurrent state for the session as a whole, and attention for its main purpose.

Li et al., "Neural Attentive Session-based Recommendation" (CIKM 2017, arXiv 1711.04725). After each
prefix the newest state (global) stands beside the states so far, weighted by how they fit it
(local); a bilinear decoder compares both with the items.

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


class NARM(NextItemNetwork):
    """One gated recurrent layer, additive attention, and the bilinear decoder's matrix."""

    def __init__(self, items: ItemTable, *, max_steps: int = 10, dropout: float = 0.4) -> None:
        super().__init__(items, max_steps)
        self.dropout = dropout
        dim = items.dim
        self.encoder = nn.GRU(dim, dim, batch_first=True)
        self.newest = nn.Linear(dim, dim, bias=False)
        self.earlier = nn.Linear(dim, dim, bias=False)
        self.fit = nn.Linear(dim, 1, bias=False)
        self.decoder = nn.Linear(2 * dim, dim, bias=False)

    def encode(
        self, histories: Histories, generator: torch.Generator | None = None
    ) -> Float[Tensor, "users steps dim"]:
        """The decoder's query after every prefix."""
        states, _ = self.encoder(dropped(self.items(histories.items), self.dropout, generator))
        both = torch.cat([states, self._local(states)], dim=-1)
        query: Tensor = self.decoder(dropped(both, self.dropout, generator))
        return query

    def _local(self, states: Float[Tensor, "users steps dim"]) -> Float[Tensor, "users steps dim"]:
        """Sums of the states so far; the weights are not made to add up to 1 (eq. 8)."""
        pairs = self.newest(states)[:, :, None] + self.earlier(states)[:, None]
        weights: Tensor = self.fit(torch.sigmoid(pairs)).squeeze(-1)  # (users, steps, steps)
        return weights.tril() @ states
