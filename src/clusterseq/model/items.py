"""The item table: embeddings smoothed over the transition graph, and a bias for each item.

T = (1 − β) E + β Â E, the paper's graph convolution put to work on the items themselves: an item
that few people touched borrows from those beside it. The same table serves input and output.

Knows nothing about: sequences, users, how the graph came about.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from jaxtyping import Float, Int64
from scipy import sparse
from torch import Tensor, nn

from clusterseq.graph import HALF_LIVES


class ItemTable(nn.Module):
    """Vectors and traits of the catalogue."""

    freshness: Float[Tensor, "items spans"] | None
    graph_starts: Int64[Tensor, " rows"]
    graph_items: Int64[Tensor, " edges"]
    graph_weights: Float[Tensor, " edges"]

    def __init__(
        self,
        n_items: int,
        dim: int,
        *,
        smoothing: float,
        freshness: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.smoothing = smoothing
        self.embedding = nn.Parameter(torch.randn(n_items, dim, generator=generator) * 0.1)
        self.bias = nn.Parameter(torch.zeros(n_items))
        self.register_buffer(
            "freshness", torch.zeros(n_items, len(HALF_LIVES)) if freshness else None
        )
        if smoothing > 0:
            self.set_graph(sparse.csr_array((n_items, n_items)))

    def set_graph(self, graph: sparse.csr_array) -> None:
        """Smooth over a symmetric items × items graph from now on."""
        self.register_buffer("graph_starts", torch.from_numpy(graph.indptr).long())
        self.register_buffer("graph_items", torch.from_numpy(graph.indices).long())
        self.register_buffer("graph_weights", torch.from_numpy(graph.data).to(torch.float32))

    def traits(self) -> Float[Tensor, "items traits"]:
        """What speaks for each item whoever asks: the bias, and how fresh it is."""
        if self.freshness is None:
            return self.bias[:, None]
        return torch.cat([self.bias[:, None], self.freshness], dim=1)

    def vectors(self) -> Float[Tensor, "items dim"]:
        """The smoothed table, computed anew since the embedding may have changed."""
        if self.smoothing == 0:
            return self.embedding
        mixed: Tensor = _SymmetricProduct.apply(  # type: ignore[no-untyped-call]
            self._graph(), self.embedding
        )
        return (1 - self.smoothing) * self.embedding + self.smoothing * mixed

    def _graph(self) -> Tensor:
        with warnings.catch_warnings():
            # PyTorch calls all sparse row tensors a beta feature, once per process.
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            return torch.sparse_csr_tensor(
                self.graph_starts,
                self.graph_items,
                self.graph_weights.to(self.embedding.dtype),
                size=(len(self.bias), len(self.bias)),
                check_invariants=False,
            )


class _SymmetricProduct(torch.autograd.Function):
    """Sparse × dense for a symmetric matrix, whose backward pass is the same product."""

    @staticmethod
    def forward(ctx: Any, graph: Tensor, dense: Tensor) -> Tensor:
        ctx.graph = graph
        return graph @ dense

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, ctx.graph @ gradients[0].contiguous()
