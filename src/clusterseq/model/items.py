"""The item table: embeddings smoothed over the transition graph, and a bias for each item.

T = (1 − β) E + β Â E, the paper's graph convolution put to work on the items themselves: an item
that few people touched borrows from those beside it. The same table serves input and output.

Knows nothing about: sequences, users, how the graph came about.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from jaxtyping import Float, Int, Int64
from scipy import sparse
from torch import Tensor, nn

from clusterseq.data.ledger import HALF_LIVES
from clusterseq.data.sparse_rows import entries_of_rows


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
        device = self.bias.device
        self.register_buffer("graph_starts", torch.from_numpy(graph.indptr).long().to(device))
        self.register_buffer("graph_items", torch.from_numpy(graph.indices).long().to(device))
        self.register_buffer("graph_weights", torch.from_numpy(graph.data).float().to(device))

    def traits(self) -> Float[Tensor, "items traits"]:
        """What speaks for each item whoever asks: the bias, and how fresh it is."""
        if self.freshness is None:
            return self.bias[:, None]
        return torch.cat([self.bias[:, None], self.freshness], dim=1)

    def vectors(self, rows: Int64[Tensor, " rows"] | None = None) -> Float[Tensor, "rows dim"]:
        """The smoothed table or some of its rows, computed anew: the embedding may have changed."""
        if rows is not None and self.embedding.is_cuda:  # all rows take less there than a choice
            return nn.functional.embedding(rows, self.vectors())
        own = self.embedding if rows is None else self.embedding[rows]
        if self.smoothing == 0:
            return own
        parts = self.graph_starts, self.graph_items, self.graph_weights
        if rows is None:
            graph = backward = _csr(*parts, len(self.bias), self.embedding.dtype)
        else:
            graph, backward = _some_rows(*parts, rows, self.embedding.dtype)
        mixed: Tensor = _SparseProduct.apply(  # type: ignore[no-untyped-call]
            graph, backward, self.embedding
        )
        return (1 - self.smoothing) * own + self.smoothing * mixed


class _SparseProduct(torch.autograd.Function):
    """Sparse × dense, with the transposed matrix at hand for the backward pass."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transposed: Tensor, dense: Tensor) -> Tensor:
        ctx.transposed = transposed
        return matrix @ dense

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor]:
        return None, None, ctx.transposed @ gradients[0].contiguous()


def _some_rows(
    starts: Int64[Tensor, " bounds"],
    items: Int64[Tensor, " edges"],
    weights: Float[Tensor, " edges"],
    rows: Int64[Tensor, " rows"],
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """Some rows of a matrix given by its parts, and the transpose of what they make."""
    edges, sizes = entries_of_rows(starts, rows)
    bounds = torch.cat([sizes.new_zeros(1), sizes.cumsum(dim=0)])
    columns, values, width = items[edges], weights[edges], len(starts) - 1
    chosen = sparse.csr_array(
        (values.numpy(), columns.numpy(), bounds.numpy()), shape=(len(rows), width)
    )
    turned = chosen.T.tocsr()
    back = [torch.from_numpy(part) for part in (turned.indptr, turned.indices, turned.data)]
    return (
        _csr(bounds, columns, values, width, dtype),
        _csr(back[0], back[1], back[2], len(rows), dtype),
    )


def _csr(
    starts: Int[Tensor, " bounds"],
    items: Int[Tensor, " edges"],
    weights: Float[Tensor, " edges"],
    width: int,
    dtype: torch.dtype,
) -> Tensor:
    """A sparse tensor of rows."""
    with warnings.catch_warnings():
        # PyTorch calls all sparse row tensors a beta feature, once per process; some versions also
        # say that they don't check them.
        warnings.filterwarnings("ignore", message="Sparse (CSR tensor support|invariant checks)")
        return torch.sparse_csr_tensor(
            starts.long(),
            items.long(),
            weights.to(dtype),
            size=(len(starts) - 1, width),
            device=starts.device,
            check_invariants=False,
        )
