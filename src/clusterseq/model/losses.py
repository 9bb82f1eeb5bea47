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
"""Rows of each member's logits that ``linear_cross_entropy`` holds: enough for fast products, few
for caches."""


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
    queries: Float[Tensor, "members prefixes dim"],
    vectors: Float[Tensor, "members items dim"],
    bias: Float[Tensor, " items"],
    targets: Int64[Tensor, " prefixes"] | Lesson,
    *,
    mutual_share: float = 0.0,
    fast: bool = False,
) -> Float[Tensor, ""]:
    """The members' mean ``cross_entropy`` of the logits ⟨query, vector⟩ + bias, never held at once.

    A few rows of logits at a time stay in the cache, and become their own gradient there; the
    backward pass has nothing left to do. ``fast`` rounds factors and logits to bfloat16 where the
    processor multiplies those faster, and changes nothing where it doesn't.

    Each member is taught by itself. ``mutual_share`` of what it is taught is the softmax of all
    members' mean logits, taken as given, and the rest what came next (Zhang et al. 2018, arXiv
    1706.00384; Anil et al. 2018, arXiv 1804.03235). Instead of the items that came next, the
    targets may be a teacher's expectations of all items (Hinton et al. 2015, arXiv 1503.02531).

    >>> queries, vectors, bias = torch.randn(3, 2, 4), torch.randn(3, 9, 4), torch.randn(9)
    >>> targets = torch.tensor([3, 8])
    >>> logits = queries @ vectors.mT + bias
    >>> slow = torch.stack([cross_entropy(member, targets) for member in logits]).mean()
    >>> bool(torch.isclose(slow, linear_cross_entropy(queries, vectors, bias, targets)))
    True
    """
    loss: Tensor = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        queries, vectors, bias, targets, mutual_share, fast
    )
    return loss


def loss_and_gradient(
    logits: Float[Tensor, "rows items"], targets: Int64[Tensor, "rows 1"]
) -> tuple[Float[Tensor, ""], Float[Tensor, "rows items"]]:
    """Summed −log softmax of the targets, and its gradient with respect to the logits."""
    target_logits = logits.gather(1, targets)
    shares, normalisers = _shares_and_normalisers(logits)
    loss = (normalisers - target_logits[:, 0]).sum()
    # The gradient of a row's loss is its softmax less one at the target.
    return loss, shares.scatter_add_(1, targets, torch.full_like(target_logits, -1.0))


def _shares_and_normalisers(
    logits: Float[Tensor, "*rows items"], out: Float[Tensor, "*rows items"] | None = None
) -> tuple[Float[Tensor, "*rows items"], Float[Tensor, "*rows"]]:
    """The softmax of each row, and the logarithm of what it was divided by."""
    highest, shares = logits.amax(dim=-1), torch.softmax(logits, dim=-1, out=out)
    return shares, highest - shares.amax(dim=-1).log()  # the highest share can't underflow


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

    def __call__(
        self, queries: Float[Tensor, "rows dim"], out: Float[Tensor, "rows items"]
    ) -> tuple[Tensor, Tensor]:
        """Write the logits, in the precision of the bias; the queries and vectors as multiplied."""
        # A product in bfloat16 is compiled for its shape and kept, so odd ends are left out.
        full = len(queries) == self.at_once or not self.on_cpu
        if self.rounded is None or not full:
            left, right = queries, self.vectors
        else:
            left, right = queries.bfloat16(), self.rounded
        torch.add(left @ right.T, self.bias, out=out)
        return left, right


@dataclass(frozen=True)
class _Seen:
    """What came next."""

    items: Int64[Tensor, " prefixes"]

    def loss_and_gradient(
        self, rows: slice, logits: Float[Tensor, "members rows items"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "members rows items"]]:
        targets = self.items[rows].repeat(len(logits))[:, None]
        loss, grad = loss_and_gradient(logits.flatten(0, 1), targets)
        return loss, grad.view_as(logits)


@dataclass(frozen=True)
class _Mutual:
    """What came next, and to some share what all members expect together."""

    items: Int64[Tensor, " prefixes"]
    share: float

    def loss_and_gradient(
        self, rows: slice, logits: Float[Tensor, "members rows items"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "members rows items"]]:
        targets = self.items[rows, None]
        shares = logits.mean(dim=0).softmax(dim=1).mul_(self.share)
        shares.scatter_add_(1, targets, shares.new_full(targets.shape, 1 - self.share))
        return _loss_and_gradient_of_shares(logits, shares)


@dataclass(frozen=True)
class _Expected:
    """Shares of all items, as a teacher spreads them."""

    queries: Float[Tensor, "prefixes width"]
    product: _Product

    def loss_and_gradient(
        self, rows: slice, logits: Float[Tensor, "members rows items"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "members rows items"]]:
        expected = torch.empty_like(logits[0])
        self.product(self.queries[rows], out=expected)
        return _loss_and_gradient_of_shares(logits, expected.softmax(dim=1))


def _loss_and_gradient_of_shares(
    logits: Float[Tensor, "members rows items"], shares: Float[Tensor, "rows items"]
) -> tuple[Float[Tensor, ""], Float[Tensor, "members rows items"]]:
    """Summed cross-entropy with a target's shares, which add up to one, and its gradient.

    The gradient takes the place of the logits.
    """
    agreed = (logits.sum(dim=0) * shares).sum()
    own, normalisers = _shares_and_normalisers(logits, out=logits)
    return normalisers.sum() - agreed, own.sub_(shares)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        vectors: Tensor,
        bias: Tensor,
        targets: Tensor | Lesson,
        mutual_share: float,
        fast: bool,
    ) -> Tensor:
        members, prefixes, _ = queries.shape
        query_grad = torch.empty_like(queries)
        vector_grad, bias_grad = torch.zeros_like(vectors), torch.zeros_like(bias)
        total = queries.new_zeros(())
        row = members * len(bias)
        at_once = max(1, cells_at_once(queries.device, ROWS_AT_ONCE * row) // row)
        held = queries.new_empty(members, min(at_once, prefixes), len(bias))
        make_product = partial(_Product, at_once=at_once, fast=fast)
        products = [make_product(part, bias) for part in vectors]
        objective = _objective(targets, make_product, mutual_share if members > 1 else 0.0)
        for start in range(0, prefixes, at_once):
            rows = slice(start, start + at_once)
            logits = held[:, : prefixes - start]
            factors = [
                product(part, out=out)
                for product, part, out in zip(products, queries[:, rows], logits, strict=True)
            ]
            loss, grad = objective.loss_and_gradient(rows, logits)
            total += loss
            bias_grad += grad.sum(dim=(0, 1))
            for member, (left, right) in enumerate(factors):
                member_grad = grad[member].to(left.dtype)
                query_grad[member, rows] = member_grad @ right
                vector_grad[member] += member_grad.T @ left
        ctx.save_for_backward(query_grad, vector_grad, bias_grad)
        ctx.terms = terms = members * prefixes
        return total / terms

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        scale = gradients[0] / ctx.terms
        return *(gradient * scale for gradient in ctx.saved_tensors), None, None, None


def _objective(
    targets: Tensor | Lesson, make_product: Callable[[Tensor, Tensor], _Product], share: float
) -> _Expected | _Mutual | _Seen:
    if isinstance(targets, Lesson):
        return _Expected(targets.queries, make_product(targets.vectors, targets.bias))
    return _Mutual(targets, share) if share else _Seen(targets)


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
    """Mean −log softmax of the targets over shared negatives (log-Q).

    Each of the negatives stands for e^``log_weight`` items.

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
