"""Cross-entropy over the catalogue, whole or sampled: pure functions of tensors.

Knows nothing about: models, how candidates are drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from clusterseq.machine.accelerator import cells_at_once

ROWS_AT_ONCE = 128
"""Rows of logits that ``linear_cross_entropy`` holds: enough for fast products, few for caches."""


def cross_entropy(
    logits: Float[Tensor, "users items"],
    targets: Int64[Tensor, " users"],
    excluded: Bool[Tensor, "users items"] | None = None,
) -> Float[Tensor, ""]:
    """Mean −log softmax of the targets; excluded items compete only where they are the target."""
    if excluded is not None:
        logits = logits.masked_fill(excluded.scatter(1, targets[:, None], False), -torch.inf)
    return torch.nn.functional.cross_entropy(logits, targets)


@dataclass(frozen=True)
class Lesson:
    """What a teacher expects after some prefixes: the softmax of ⟨query, vector⟩ + bias."""

    queries: Float[Tensor, "prefixes width"]
    """The teacher's queries."""
    vectors: Float[Tensor, "items width"]
    """The teacher's vectors."""
    bias: Float[Tensor, " items"]
    """What the teacher adds for each item."""


def linear_cross_entropy(
    queries: Float[Tensor, "prefixes dim"],
    vectors: Float[Tensor, "items dim"],
    bias: Float[Tensor, " items"],
    targets: Int64[Tensor, " prefixes"] | Lesson,
    *,
    fast: bool = False,
) -> Float[Tensor, ""]:
    """``cross_entropy`` of the logits ⟨query, vector⟩ + bias without ever holding all of them.

    A few rows of logits at a time stay in the cache, and become their own gradient there; the
    backward pass has nothing left to do. ``fast`` rounds factors and logits to bfloat16 where the
    processor multiplies those faster, and changes nothing where it doesn't.

    Instead of the items that came next, the targets may be a teacher's expectations of all items
    (distillation, Hinton et al. 2015, arXiv 1503.02531).

    >>> queries, vectors, bias = torch.randn(2, 4), torch.randn(9, 4), torch.randn(9)
    >>> slow = cross_entropy(queries @ vectors.T + bias, torch.tensor([3, 8]))
    >>> found = linear_cross_entropy(queries, vectors, bias, torch.tensor([3, 8]))
    >>> bool(torch.isclose(slow, found))
    True
    """
    loss: Tensor = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        queries, vectors, bias, targets, fast
    )
    return loss


def loss_and_slopes(
    logits: Float[Tensor, "rows items"], targets: Int64[Tensor, "rows 1"]
) -> tuple[Float[Tensor, ""], Float[Tensor, "rows items"]]:
    """Summed −log softmax of the targets, and its gradient with respect to the logits."""
    target_logits = logits.gather(1, targets)
    highest, shares = logits.amax(dim=1), logits.softmax(dim=1)
    # The highest share can't underflow, so the normaliser is taken from it.
    loss = (highest - torch.log(shares.amax(dim=1)) - target_logits[:, 0]).sum()
    # The gradient of a row's loss is its softmax less one at the target.
    return loss, shares.scatter_add_(1, targets, torch.full_like(target_logits, -1.0))


class _Product:
    """⟨query, vector⟩ + bias for some queries at a time, and the factors that were multiplied."""

    def __init__(
        self,
        vectors: Float[Tensor, "items dim"],
        bias: Float[Tensor, " items"],
        *,
        at_once: int,
        fast: bool,
    ) -> None:
        self.vectors, self.bias, self.at_once = vectors, bias, at_once
        self.on_cpu = vectors.device.type == "cpu"
        fast = fast and (not self.on_cpu or bfloat16_is_fast())
        self.rounded = vectors.bfloat16() if fast else None

    def __call__(self, queries: Float[Tensor, "rows dim"]) -> tuple[Tensor, Tensor, Tensor]:
        """The logits, in the precision of the bias; the queries and vectors as multiplied."""
        # A product in bfloat16 is compiled for its shape and kept, so odd ends are left out.
        full = len(queries) == self.at_once or not self.on_cpu
        if self.rounded is None or not full:
            left, right = queries, self.vectors
        else:
            left, right = queries.bfloat16(), self.rounded
        return (left @ right.T).to(self.bias.dtype).add_(self.bias), left, right


@dataclass(frozen=True)
class _Expected:
    """Targets that are shares of all items, as a teacher spreads them."""

    queries: Float[Tensor, "prefixes width"]
    product: _Product

    def loss_and_slopes(
        self, rows: slice, logits: Float[Tensor, "rows items"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "rows items"]]:
        shares = self.product(self.queries[rows])[0].softmax(dim=1)
        logs = logits.log_softmax(dim=1)
        return -(shares * logs).sum(), logs.exp().sub_(shares)


@dataclass(frozen=True)
class _Seen:
    """Targets that came next."""

    items: Int64[Tensor, " prefixes"]

    def loss_and_slopes(
        self, rows: slice, logits: Float[Tensor, "rows items"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "rows items"]]:
        return loss_and_slopes(logits, self.items[rows, None])


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        vectors: Tensor,
        bias: Tensor,
        targets: Tensor | Lesson,
        fast: bool,
    ) -> Tensor:
        query_slopes = torch.empty_like(queries)
        vector_slopes, bias_slopes = torch.zeros_like(vectors), torch.zeros_like(bias)
        total = queries.new_zeros(())
        at_once = max(1, cells_at_once(queries.device, ROWS_AT_ONCE * len(vectors)) // len(vectors))
        make_product = partial(_Product, at_once=at_once, fast=fast)
        product, objective = make_product(vectors, bias), _objective(targets, make_product)
        for start in range(0, len(queries), at_once):
            rows = slice(start, start + at_once)
            logits, left, right = product(queries[rows])
            loss, slopes = objective.loss_and_slopes(rows, logits)
            total += loss
            bias_slopes += slopes.sum(dim=0)
            slopes = slopes.to(left.dtype)
            query_slopes[rows] = slopes @ right
            vector_slopes += slopes.T @ left
        ctx.save_for_backward(query_slopes, vector_slopes, bias_slopes)
        return total / len(queries)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query_slopes, vector_slopes, bias_slopes = ctx.saved_tensors
        scale = gradients[0] / len(query_slopes)
        return query_slopes * scale, vector_slopes * scale, bias_slopes * scale, None, None


def _objective(
    targets: Tensor | Lesson, make_product: Callable[[Tensor, Tensor], _Product]
) -> _Expected | _Seen:
    if isinstance(targets, Lesson):
        return _Expected(targets.queries, make_product(targets.vectors, targets.bias))
    return _Seen(targets)


@cache
def bfloat16_is_fast() -> bool:
    """Whether this processor multiplies bfloat16 faster than single precision."""
    if not hasattr(torch.cpu, "get_capabilities"):  # older versions of PyTorch can't tell
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def sampled_cross_entropy(
    target_logits: Float[Tensor, " users"],
    negative_logits: Float[Tensor, "users negatives"],
    log_weight: float,
    excluded: Bool[Tensor, "users negatives"],
) -> Float[Tensor, ""]:
    """The same over shared negatives, each of which stands for e^``log_weight`` items (log-Q).

    With all other items as negatives and a log-weight of 0 this is the full cross-entropy:

    >>> logits = torch.tensor([[1.0, 2.0, 0.5]])
    >>> full = cross_entropy(logits, torch.tensor([0]))
    >>> sampled = sampled_cross_entropy(
    ...     logits[:, 0], logits[:, 1:], 0.0, torch.zeros(1, 2, dtype=torch.bool)
    ... )
    >>> bool(torch.isclose(full, sampled))
    True
    """
    negatives = (negative_logits + log_weight).masked_fill(excluded, -torch.inf)
    logits = torch.cat([target_logits[:, None], negatives], dim=1)
    return (torch.logsumexp(logits, dim=1) - target_logits).mean()
