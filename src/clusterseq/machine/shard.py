"""A table whose rows are shared out over processes: who holds which, and how others come by them.

A row belongs to the process that its index, modulo their number, names: popular items, which often
stand together, are spread so. A lookup asks every owner for its rows, and gradients go the same way
back and are added up there, so a table's memory, its optimiser's and a step's time fall as there
are more processes, and only rows that somebody asks for travel.

Knows nothing about: what the rows are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from clusterseq.machine.workers import Workers

ROWS_AT_ONCE = 100_000
"""Rows of the whole table that are looked up together, where all are wanted."""


@dataclass(frozen=True)
class Shard:
    """One process's share of a table."""

    workers: Workers
    """Who shares it."""
    rows: int
    """Rows of the whole table."""

    def part(self, whole: Float[Tensor, "rows dim"]) -> Float[Tensor, "own dim"]:
        """This process's own rows, in memory of their own.

        >>> Shard(Workers(1, 2), 5).part(torch.arange(5.0)[:, None]).flatten().tolist()
        [1.0, 3.0]
        """
        return whole.detach()[self.workers.share(self.rows)].clone()

    def lookup(
        self, part: Float[Tensor, "own dim"], rows: Int64[Tensor, " wanted"]
    ) -> Float[Tensor, "wanted dim"]:
        """Any rows of the table; all processes look up at once, each what it wants.

        The gradient of ``part`` is the sum of what all processes' lookups say.

        Raises:
            TrainingError: another process is gone.
        """
        values: Tensor = _Lookup.apply(part, rows, self.workers)  # type: ignore[no-untyped-call]
        return values

    def pieces(self) -> Iterator[Int64[Tensor, " some"]]:
        """All rows, as many at a time as don't take much memory."""
        for start in range(0, self.rows, ROWS_AT_ONCE):
            yield torch.arange(start, min(start + ROWS_AT_ONCE, self.rows))

    @torch.no_grad()
    def whole(self, part: Float[Tensor, "own dim"]) -> Float[Tensor, "rows dim"]:
        """The table as it would be in one process, in every process.

        Raises:
            TrainingError: another process is gone.
        """
        table = part.new_empty(self.rows, part.shape[1])
        for rows in self.pieces():
            table[rows] = self.lookup(part, rows)
        return table


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor, rows: Tensor, workers: Workers) -> Tensor:
        owners = rows % workers.size
        order = owners.argsort(stable=True)  # rows as their owners will send them
        owner_counts = owners.bincount(minlength=workers.size)
        ones = [1] * workers.size
        counts = owner_counts.tolist(), workers.exchange(owner_counts, ones, ones).tolist()
        local_rows = torch.div(rows[order], workers.size, rounding_mode="floor")
        requested = workers.exchange(local_rows, *counts)  # of this process's own, by the others
        received = workers.exchange(part[requested], counts[1], counts[0])
        ctx.workers, ctx.order, ctx.requested, ctx.counts = workers, order, requested, counts
        ctx.n_rows = len(part)
        return torch.empty_like(received).index_copy_(0, order, received)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        received = ctx.workers.exchange(gradients[0][ctx.order], *ctx.counts)
        gradient = received.new_zeros(ctx.n_rows, received.shape[1])
        return gradient.index_add_(0, ctx.requested, received), None, None
