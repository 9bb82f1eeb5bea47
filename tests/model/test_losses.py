"""Cross-entropy over the catalogue, whole and sampled."""

from __future__ import annotations

import math
from typing import TypeAlias

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
Inputs: TypeAlias = tuple[Tensor, Tensor, Tensor]


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


def linear(
    rows: int, dtype: torch.dtype = torch.float64, members: int = 3
) -> tuple[Inputs, Tensor]:
    """Queries, vectors and bias that want gradients, and targets."""
    draws = torch.Generator().manual_seed(1)
    shapes = ((members, rows, 5), (members, ITEMS, 5), (ITEMS,))
    made = [torch.randn(s, generator=draws, dtype=dtype).requires_grad_() for s in shapes]
    return (made[0], made[1], made[2]), torch.randint(ITEMS, (rows,), generator=draws)


def taught_apart(inputs: Inputs, targets: Tensor) -> Tensor:
    """The mean loss of members who are taught the same, whether items or shares of items."""
    queries, vectors, bias = inputs
    logits = queries @ vectors.mT + bias
    losses = [torch.nn.functional.cross_entropy(member, targets) for member in logits]
    return torch.stack(losses).mean()


def assert_same_with_gradients(found: Tensor, expected: Tensor, inputs: Inputs) -> None:
    torch.testing.assert_close(found, expected)
    gradients = torch.autograd.grad(3 * found, inputs)
    torch.testing.assert_close(gradients, torch.autograd.grad(3 * expected, inputs))


ROWS = pytest.mark.parametrize("rows", [1, 128, 300])


@ROWS
@pytest.mark.parametrize("members", [1, 3])
def test_the_linear_one_is_the_same_with_the_same_gradients(rows: int, members: int) -> None:
    inputs, targets = linear(rows, members=members)
    found = linear_cross_entropy(*inputs, targets)
    assert_same_with_gradients(found, taught_apart(inputs, targets), inputs)


@ROWS
def test_members_are_taught_what_came_next_and_what_they_expect_together(rows: int) -> None:
    inputs, targets = linear(rows)
    queries, vectors, bias = inputs
    together = (queries @ vectors.mT + bias).mean(dim=0).softmax(dim=1).detach()
    came_next = torch.nn.functional.one_hot(targets, ITEMS)
    found = linear_cross_entropy(*inputs, targets, mutual_share=0.4)
    expected = taught_apart(inputs, 0.4 * together + 0.6 * came_next)
    assert_same_with_gradients(found, expected, inputs)


def test_a_member_alone_has_nobody_to_learn_from() -> None:
    inputs, targets = linear(4, members=1)
    found = linear_cross_entropy(*inputs, targets, mutual_share=0.4)
    torch.testing.assert_close(found, linear_cross_entropy(*inputs, targets))


def test_the_linear_one_agrees_with_finite_differences() -> None:
    inputs, targets = linear(4)

    def loss(queries: Tensor, vectors: Tensor, bias: Tensor) -> Tensor:
        return linear_cross_entropy(queries, vectors, bias, targets)

    assert torch.autograd.gradcheck(loss, inputs)


def lesson(rows: int, dtype: torch.dtype = torch.float64) -> Lesson:
    """What a teacher of another width says after as many prefixes."""
    draws = torch.Generator().manual_seed(2)
    shapes = ((rows, 7), (ITEMS, 7), (ITEMS,))
    return Lesson(*(torch.randn(s, generator=draws, dtype=dtype) for s in shapes))


@ROWS
def test_a_lesson_is_the_cross_entropy_of_the_teachers_shares(rows: int) -> None:
    inputs, _ = linear(rows)
    taught = lesson(rows)
    shares = (taught.queries @ taught.vectors.T + taught.bias).softmax(dim=1)
    found = linear_cross_entropy(*inputs, taught, mutual_share=0.4)
    assert_same_with_gradients(found, taught_apart(inputs, shares), inputs)


def test_a_lesson_agrees_with_finite_differences() -> None:
    inputs, _ = linear(4)
    taught = lesson(4)

    def loss(queries: Tensor, vectors: Tensor, bias: Tensor) -> Tensor:
        return linear_cross_entropy(queries, vectors, bias, taught)

    assert torch.autograd.gradcheck(loss, inputs)


def test_a_fast_lesson_is_near() -> None:
    inputs, _ = linear(300, torch.float32)
    taught = lesson(300, torch.float32)
    exact, fast = (linear_cross_entropy(*inputs, taught, fast=f) for f in (False, True))
    torch.testing.assert_close(fast, exact, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("mutual_share", [0.0, 0.4])
def test_the_fast_one_is_near_and_leaves_the_precision_of_others_alone(mutual_share: float) -> None:
    inputs, targets = linear(300, torch.float32)
    exact, fast = (
        linear_cross_entropy(*inputs, targets, mutual_share=mutual_share, fast=f)
        for f in (False, True)
    )
    torch.testing.assert_close(fast, exact, rtol=1e-2, atol=1e-2)
    gradients = [torch.autograd.grad(loss, inputs[0])[0] for loss in (exact, fast)]
    torch.testing.assert_close(gradients[1], gradients[0], rtol=5e-2, atol=1e-4)
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("mutual_share", [0.0, 0.4])
def test_sums_survive_logits_that_would_overflow(mutual_share: float) -> None:
    huge = torch.full((2, 1, 1), 1e4)
    loss = linear_cross_entropy(
        huge, huge.neg(), torch.zeros(1), torch.tensor([0]), mutual_share=mutual_share
    )
    assert loss.item() == 0
