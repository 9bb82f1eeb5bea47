"""A transformer encoder whose every draw is by an explicit generator.

Pre-normalised blocks of self-attention and a feed-forward layer (Vaswani et al. 2017, arXiv
1706.03762). ``nn.TransformerEncoderLayer`` drops by the process's generator, which would tie a
training to whatever ran before it.

Knows nothing about: items, which cells are padding, what the outputs are for.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from clusterseq.baselines.dropout import dropped


def positions(steps: int, dim: int) -> nn.Parameter:
    """Learnt vectors to add to the inputs, at first small beside an item's, whose length is 1."""
    return nn.Parameter(torch.randn(steps, dim) * 0.02)


class Transformer(nn.Module):
    """Blocks on top of each other, with a last normalisation."""

    def __init__(self, dim: int, *, blocks: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(dim)

    def forward(
        self,
        inputs: Float[Tensor, "users steps dim"],
        readable: Bool[Tensor, "#users steps steps"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "users steps dim"]:
        """One output per step; ``readable[u, t, s]`` says whether step t reads step s."""
        values = dropped(inputs, self.dropout, generator)
        for block in self.blocks:
            values = block(values, readable, generator)
        outputs: Tensor = self.norm(values)
        return outputs


class Block(nn.Module):
    """Self-attention, then a feed-forward layer, each added to what came in."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.attention_norm, self.feed_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.projections, self.attention_out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.feed_in, self.feed_out = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(
        self,
        values: Float[Tensor, "users steps dim"],
        readable: Bool[Tensor, "#users steps steps"],
        generator: torch.Generator | None,
    ) -> Float[Tensor, "users steps dim"]:
        """The values of the next block."""
        attended = self._attended(self.attention_norm(values), readable)
        values = values + dropped(attended, self.dropout, generator)
        fed = self.feed_out(gelu(self.feed_in(self.feed_norm(values))))
        return values + dropped(fed, self.dropout, generator)

    def _attended(
        self,
        values: Float[Tensor, "users steps dim"],
        readable: Bool[Tensor, "#users steps steps"],
    ) -> Float[Tensor, "users steps dim"]:
        parts = self.projections(values).chunk(3, dim=-1)
        query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        outputs = scaled_dot_product_attention(query, key, value, attn_mask=readable[:, None])
        mixed: Tensor = self.attention_out(outputs.transpose(1, 2).flatten(2))
        return mixed
