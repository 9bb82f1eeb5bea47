"""The items of a neural network: their vectors, a bias each, and how a query is compared with them.

Knows nothing about: where queries come from, losses, sequences.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import embedding, normalize

Geometry: TypeAlias = Literal["cosine", "dot", "distance"]
SCALE = 14.0
"""What cosines are multiplied by, so that a softmax over them can be sharp."""


class ItemTable(nn.Module):
    """Vectors that are both the input and the output of a network.

    A *distance* logit is the bias less the squared distance, and plus the square of the query,
    which all items of a query share.

    >>> table = ItemTable(3, 2, "distance")
    >>> table.vectors.data = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
    >>> _ = table.bias.data.zero_()
    >>> table.logits(torch.tensor([[0.0, 1.0]])).tolist()
    [[0.0, -9.0, 1.0]]
    """

    def __init__(self, n_items: int, dim: int, geometry: Geometry = "cosine") -> None:
        super().__init__()
        self.n_items, self.dim, self.geometry = n_items, dim, geometry
        self.vectors = nn.Parameter(torch.randn(n_items, dim) * dim**-0.5)
        # A softmax doesn't care where the biases start. A sigmoid would first lower all logits to
        # the share of one item, and turn all queries into one direction to do so.
        self.bias = nn.Parameter(torch.full((n_items,), -math.log(n_items)))

    def forward(self, items: Int64[Tensor, "*cells"]) -> Float[Tensor, "*cells dim"]:
        """The vectors of some items, as a network reads them."""
        return embedding(items, self.vectors)

    def logits(
        self,
        queries: Float[Tensor, "prefixes dim"],
        chosen: Int64[Tensor, " chosen"] | None = None,
    ) -> Float[Tensor, "prefixes candidates"]:
        """Every query against all items, or against some of them."""
        vectors = self.vectors if chosen is None else self(chosen)
        bias = self.bias if chosen is None else self.bias[chosen]
        queries, vectors, offsets = self._compared(queries, vectors, bias)
        return torch.addmm(offsets, queries, vectors.T)

    def paired(
        self, queries: Float[Tensor, "prefixes dim"], targets: Int64[Tensor, " prefixes"]
    ) -> Float[Tensor, " prefixes"]:
        """Each query against one item of its own."""
        queries, vectors, offsets = self._compared(queries, self(targets), self.bias[targets])
        return (queries * vectors).sum(dim=1) + offsets

    def _compared(
        self,
        queries: Float[Tensor, "prefixes dim"],
        vectors: Float[Tensor, "candidates dim"],
        bias: Float[Tensor, " candidates"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and vectors to multiply, and what is added for each vector."""
        if self.geometry == "cosine":
            return SCALE * normalize(queries, dim=1), normalize(vectors, dim=1), bias
        if self.geometry == "distance":
            return 2 * queries, vectors, bias - vectors.square().sum(dim=1)
        return queries, vectors, bias
