"""The item table: embeddings smoothed over the transition graph, and a bias for each item.

T = (1 − β) E + β Â E, the paper's graph convolution put to work on the items themselves: an item
that few people touched borrows from those beside it. The same table serves input and output.

While it is trained by several processes, each may hold and train some rows of E only, and look up
the others that it wants (``divide``, ``gather``).

Knows nothing about: sequences, users, how the graph came about.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from scipy import sparse
from torch import Tensor, nn

from clusterseq.data.ledger import HALF_LIVES
from clusterseq.data.sparse_rows import entries_of_rows
from clusterseq.machine.shard import Shard
from clusterseq.machine.workers import Workers


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
        self.shard: Shard | None = None
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

    def vectors(
        self,
        rows: Int64[Tensor, " rows"] | None = None,
        *,
        left_out: sparse.csr_array | None = None,
    ) -> Float[Tensor, "rows dim"]:
        """The smoothed table or some of its rows, computed anew: the embedding may have changed.

        ``left_out`` is taken from the weights of the graph's edges.
        """
        if rows is not None and self.embedding.is_cuda:  # all rows take less there than a choice
            return nn.functional.embedding(rows, self.vectors(left_out=left_out))
        if self.shard is not None:
            return self._sharded_vectors(self.shard, rows, left_out)
        if self.smoothing == 0:
            return self.embedding if rows is None else self.embedding[rows]
        if rows is None:
            return self._whole(left_out)
        columns, values, sizes = self._neighbours(rows, left_out)
        matrices = _with_transpose(columns, values, sizes, len(self.bias), self.embedding.dtype)
        return self._smoothed(self.embedding, rows, *matrices)

    def pieces(self) -> Iterator[tuple[Int64[Tensor, " rows"], Float[Tensor, "rows dim"]]]:
        """All rows and their vectors; where processes share them, so many at a time."""
        if self.shard is None:
            yield torch.arange(len(self.bias), device=self.bias.device), self.vectors()
            return
        for rows in self.shard.pieces():
            yield rows, self.vectors(rows)

    def divide(self, workers: Workers) -> None:
        """Keep this process's rows of the embedding; others are looked up from now on.

        All processes then call ``vectors`` together, each for the rows it wants. The bias, a
        number for each item, stays whole.
        """
        self.shard = Shard(workers, len(self.bias))
        self.embedding = nn.Parameter(self.shard.part(self.embedding))

    def gather(self) -> None:
        """Hold all rows again, in every process."""
        if self.shard is not None:
            self.embedding = nn.Parameter(self.shard.whole(self.embedding))
            self.shard = None

    def _whole(self, left_out: sparse.csr_array | None) -> Float[Tensor, "items dim"]:
        """All rows; the graph stays where it is, and what is left out makes a second, small one."""
        width, dtype = len(self.bias), self.embedding.dtype
        graph = _csr(self.graph_starts, self.graph_items, self.graph_weights, width, dtype)
        whole = self._smoothed(self.embedding, None, graph, graph)
        if left_out is None:
            return whole
        starts, items, weights = (
            torch.from_numpy(part).to(self.embedding.device)
            for part in (left_out.indptr, left_out.indices, left_out.data)
        )
        part = _csr(starts, items, weights, width, dtype)
        return whole - self.smoothing * (part @ self.embedding)

    def _sharded_vectors(
        self,
        shard: Shard,
        rows: Int64[Tensor, " rows"] | None,
        left_out: sparse.csr_array | None,
    ) -> Float[Tensor, "rows dim"]:
        """The same where processes share the embedding: neighbours are looked up, too."""
        if rows is None:
            rows = torch.arange(shard.rows)
        if self.smoothing == 0:
            return shard.lookup(self.embedding, rows)
        columns, values, sizes = self._neighbours(rows, left_out)
        requested = torch.unique(torch.cat([rows, columns]))  # ascending
        table = shard.lookup(self.embedding, requested)
        columns = torch.searchsorted(requested, columns)
        matrices = _with_transpose(columns, values, sizes, len(requested), table.dtype)
        return self._smoothed(table, torch.searchsorted(requested, rows), *matrices)

    def _neighbours(
        self, rows: Int64[Tensor, " rows"], left_out: sparse.csr_array | None
    ) -> tuple[Int64[Tensor, " edges"], Float[Tensor, " edges"], Int64[Tensor, " rows"]]:
        """Each row's neighbours and their weights, one row after another, and how many it has."""
        edges, sizes = entries_of_rows(self.graph_starts, rows)
        items, weights = (
            part.index_select(0, edges) for part in (self.graph_items, self.graph_weights)
        )
        if left_out is None:
            return items, weights, sizes
        rest = _matrix(items, weights, sizes, len(self.bias)) - left_out[rows.numpy()]
        return (
            torch.from_numpy(rest.indices).long(),
            torch.from_numpy(rest.data),
            torch.from_numpy(np.diff(rest.indptr)).long(),
        )

    def _smoothed(
        self, table: Tensor, rows: Int64[Tensor, " rows"] | None, graph: Tensor, transposed: Tensor
    ) -> Float[Tensor, "rows dim"]:
        vectors: Tensor = _Smoothed.apply(  # type: ignore[no-untyped-call]
            table, rows, graph, transposed, self.smoothing
        )
        return vectors


class _Smoothed(torch.autograd.Function):
    """Some rows of a table, or all of them (None), each with a share of its neighbours.

    Written out, the gradient of a large table is one tensor: a part for the rows themselves and a
    part for their neighbours would each be as large, and mostly zeros.
    """

    @staticmethod
    def forward(
        ctx: Any,
        table: Tensor,
        rows: Tensor | None,
        graph: Tensor,
        transposed: Tensor,
        share: float,
    ) -> Tensor:
        ctx.rows, ctx.transposed, ctx.share = rows, transposed, share
        selected = table if rows is None else table.index_select(0, rows)
        return (1 - share) * selected + share * (graph @ table)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        grad_rows, transposed = (ctx.share * gradients[0]).contiguous(), ctx.transposed
        grad = grad_rows.new_zeros(transposed.shape[0], grad_rows.shape[1])
        torch.addmm(grad, transposed, grad_rows, beta=0, out=grad)  # `@` would copy all of it
        direct = (1 - ctx.share) * gradients[0]
        grad = grad.add_(direct) if ctx.rows is None else grad.index_add_(0, ctx.rows, direct)
        return grad, None, None, None, None


def _with_transpose(
    columns: Int64[Tensor, " edges"],
    values: Float[Tensor, " edges"],
    sizes: Int64[Tensor, " rows"],
    width: int,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """A matrix of some rows, given by their entries and how many each has, and its transpose."""
    matrix = _matrix(columns, values, sizes, width)
    turned = matrix.T.tocsr()
    arrays = [torch.from_numpy(part) for part in (turned.indptr, turned.indices, turned.data)]
    return (
        _csr(_bounds(sizes), columns, values, width, dtype),
        _csr(arrays[0], arrays[1], arrays[2], len(sizes), dtype),
    )


def _matrix(
    columns: Int64[Tensor, " edges"],
    values: Float[Tensor, " edges"],
    sizes: Int64[Tensor, " rows"],
    width: int,
) -> sparse.csr_array:
    """The same as SciPy holds it."""
    parts = (part.numpy() for part in (values, columns, _bounds(sizes)))
    return sparse.csr_array(tuple(parts), shape=(len(sizes), width))


def _bounds(sizes: Int64[Tensor, " rows"]) -> Int64[Tensor, " bounds"]:
    """Where rows of some sizes begin, and where the last one ends."""
    return torch.cat([sizes.new_zeros(1), sizes.cumsum(dim=0)])


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
