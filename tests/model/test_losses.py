"""Cross-entropy over the catalogue, whole and sampled."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from clusterseq.model.losses import (
    Lesson,
    cross_entropy,
    linear_cross_entropy,
    sampled_cross_entropy,
)

USERS, ITEMS = 4, 9


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(USERS, ITEMS, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def targets() -> Tensor:
    return torch.tensor([0, 3, 8, 3])


def test_it_is_the_mean_negative_log_softmax(logits: Tensor, targets: Tensor) -> None:
    shares = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
    losses = [-shares[user, target].log() for user, target in enumerate(targets)]
    torch.testing.assert_close(cross_entropy(logits, targets), torch.stack(losses).mean())


def test_excluded_items_do_not_compete_unless_they_are_the_target(
    logits: Tensor, targets: Tensor
) -> None:
    excluded = torch.zeros(USERS, ITEMS, dtype=torch.bool)
    excluded[:, [1, 3]] = True
    losses = []
    for row, target in zip(logits, targets.tolist(), strict=True):
        rivals = [i for i in range(ITEMS) if i == target or i not in (1, 3)]
        losses.append(torch.logsumexp(row[rivals], dim=0) - row[target])
    found = cross_entropy(logits, targets, excluded)
    torch.testing.assert_close(found, torch.stack(losses).mean())
    assert not logits.isinf().any(), "the argument is left alone"


def test_all_others_as_negatives_give_the_whole(logits: Tensor, targets: Tensor) -> None:
    everything = torch.arange(ITEMS).expand(USERS, -1)
    sampled = sampled_cross_entropy(
        logits.gather(1, targets[:, None])[:, 0], logits, 0.0, everything == targets[:, None]
    )
    torch.testing.assert_close(sampled, cross_entropy(logits, targets))


def test_sampled_partition_sums_are_unbiased() -> None:
    logits = torch.randn(1, 60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sums = []
    for drawn in range(60):  # every possible draw of one negative
        loss = sampled_cross_entropy(
            logits[:, 0], logits[:, [drawn]], math.log(60), torch.tensor([[drawn == 0]])
        )
        sums.append((loss + logits[0, 0]).exp())
    torch.testing.assert_close(torch.stack(sums).mean(), logits.exp().sum())


def test_without_a_rival_nothing_is_lost() -> None:
    loss = sampled_cross_entropy(
        torch.tensor([2.0]), torch.tensor([[5.0]]), 0.0, torch.tensor([[True]])
    )
    assert loss.item() == 0


def linear(rows: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Queries, vectors and bias that want gradients, and targets."""
    draws = torch.Generator().manual_seed(1)
    shapes = ((rows, 5), (ITEMS, 5), (ITEMS,))
    made = [torch.randn(s, generator=draws, dtype=dtype).requires_grad_() for s in shapes]
    return made[0], made[1], made[2], torch.randint(ITEMS, (rows,), generator=draws)


@pytest.mark.parametrize("rows", [1, 128, 300])
def test_the_linear_one_is_the_same_with_the_same_gradients(rows: int) -> None:
    queries, vectors, bias, targets = linear(rows)
    inputs = (queries, vectors, bias)
    expected = cross_entropy(queries @ vectors.T + bias, targets)
    found = linear_cross_entropy(queries, vectors, bias, targets)
    torch.testing.assert_close(found, expected)
    slopes = torch.autograd.grad(3 * found, inputs)
    torch.testing.assert_close(slopes, torch.autograd.grad(3 * expected, inputs))


def test_the_linear_one_agrees_with_finite_differences() -> None:
    queries, vectors, bias, targets = linear(4)

    def loss(queries: Tensor, vectors: Tensor, bias: Tensor) -> Tensor:
        return linear_cross_entropy(queries, vectors, bias, targets)

    assert torch.autograd.gradcheck(loss, (queries, vectors, bias))


def lesson(rows: int, dtype: torch.dtype = torch.float64) -> Lesson:
    """What a teacher of another width says after as many prefixes."""
    draws = torch.Generator().manual_seed(2)
    shapes = ((rows, 7), (ITEMS, 7), (ITEMS,))
    return Lesson(*(torch.randn(s, generator=draws, dtype=dtype) for s in shapes))


@pytest.mark.parametrize("rows", [1, 128, 300])
def test_a_lesson_is_the_cross_entropy_of_the_teachers_shares(rows: int) -> None:
    *inputs, _ = linear(rows)
    queries, vectors, bias = inputs
    taught = lesson(rows)
    shares = (taught.queries @ taught.vectors.T + taught.bias).softmax(dim=1)
    expected = torch.nn.functional.cross_entropy(queries @ vectors.T + bias, shares)
    found = linear_cross_entropy(queries, vectors, bias, taught)
    torch.testing.assert_close(found, expected)
    slopes = torch.autograd.grad(3 * found, inputs)
    torch.testing.assert_close(slopes, torch.autograd.grad(3 * expected, inputs))


def test_a_lesson_agrees_with_finite_differences() -> None:
    *inputs, _ = linear(4)
    taught = lesson(4)

    def loss(queries: Tensor, vectors: Tensor, bias: Tensor) -> Tensor:
        return linear_cross_entropy(queries, vectors, bias, taught)

    assert torch.autograd.gradcheck(loss, inputs)


def test_a_fast_lesson_is_near() -> None:
    queries, vectors, bias, _ = linear(300, torch.float32)
    taught = lesson(300, torch.float32)
    exact, fast = (
        linear_cross_entropy(queries, vectors, bias, taught, fast=f) for f in (False, True)
    )
    torch.testing.assert_close(fast, exact, rtol=1e-2, atol=1e-2)


def test_the_fast_one_is_near_and_leaves_the_precision_of_others_alone() -> None:
    queries, vectors, bias, targets = linear(300, torch.float32)
    exact = linear_cross_entropy(queries, vectors, bias, targets)
    fast = linear_cross_entropy(queries, vectors, bias, targets, fast=True)
    torch.testing.assert_close(fast, exact, rtol=1e-2, atol=1e-2)
    slopes = [torch.autograd.grad(loss, queries)[0] for loss in (exact, fast)]
    torch.testing.assert_close(slopes[1], slopes[0], rtol=5e-2, atol=1e-4)
    assert torch.get_float32_matmul_precision() == "highest"


def test_sums_survive_logits_that_would_overflow() -> None:
    huge = torch.tensor([[1e4]])
    loss = linear_cross_entropy(huge, huge.neg(), torch.zeros(1), torch.tensor([0]))
    assert loss.item() == 0
