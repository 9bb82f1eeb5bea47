"""From queries, items and memory to logits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from clusterseq.model.head import PARTS, Candidates, Pointer, Theta, start_of_theta
from tests.reference import logits

DIM, ITEMS, PREFIXES, TRAITS, KINDS = 4, 7, 3, 2, 2


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def candidates(scale: float) -> Candidates:
    vectors = draw(ITEMS, DIM, seed=1)
    if scale:
        vectors = torch.nn.functional.normalize(vectors, dim=1)
    return Candidates(torch.cat([vectors, draw(ITEMS, TRAITS, seed=2)], dim=1), DIM, scale)


def start() -> Tensor:
    return torch.cat(list(start_of_theta(DIM, TRAITS, 0).values()))


def point(values: Tensor, queries: Tensor, some: Candidates) -> Tensor:
    return Pointer(Theta(values, some), queries, some).vectors


@pytest.mark.parametrize("scale", [0.0, 10.0])
@pytest.mark.parametrize("members", [1, 2])
def test_a_pointed_query_scores_as_the_equation_says(scale: float, members: int) -> None:
    values = draw(len(start()) + KINDS, seed=3)
    some, queries = replace(candidates(scale), members=members), draw(PREFIXES, DIM)
    expected = logits(values, queries, some, torch.zeros(KINDS, PREFIXES, ITEMS))
    found = Pointer(Theta(values, some), queries, some).columns @ some.columns.T
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_at_first_a_score_is_the_product_and_the_bias() -> None:
    some, queries = candidates(0.0), draw(PREFIXES, DIM)
    found = Pointer(Theta(start(), some), queries, some).columns @ some.columns.T
    expected = queries @ some.columns[:, :DIM].T + some.columns[:, DIM]
    torch.testing.assert_close(found, expected)


def test_the_parts_of_theta_stand_in_the_order_they_start_in() -> None:
    parts = start_of_theta(DIM, TRAITS - 1, KINDS, lifts=1)
    theta = Theta(torch.cat(list(parts.values())), candidates(1.0))
    assert tuple(parts) == PARTS
    lifts = parts.pop("lifts")  # traits among traits, of each cluster
    parts["popularity"] = torch.cat([parts["popularity"], lifts])
    for name, value in parts.items():
        assert torch.equal(getattr(theta, name)[0], value)


@pytest.mark.parametrize("scale", [0.0, 10.0])
@pytest.mark.parametrize("members", [1, 2])
def test_gradients_are_pulled_back_as_automatic_differentiation_does(
    scale: float, members: int
) -> None:
    values = draw(len(start()), seed=3).double().requires_grad_()
    some = replace(candidates(scale), members=members)
    pointer = Pointer(Theta(values, some), draw(PREFIXES, DIM).double(), some)
    gradients = draw(PREFIXES, DIM + TRAITS, seed=4).double()
    (expected,) = torch.autograd.grad((pointer.columns * gradients).sum(), values)
    torch.testing.assert_close(pointer.pull_back(gradients), expected)


def test_the_start_leaves_the_query_alone() -> None:
    queries = draw(PREFIXES, DIM)
    assert torch.equal(point(start(), queries, candidates(0.0)), queries)


def test_a_cosine_does_not_depend_on_the_length_of_the_query() -> None:
    queries, some = draw(PREFIXES, DIM), candidates(10.0)
    torch.testing.assert_close(point(start(), 5 * queries, some), point(start(), queries, some))
    lengths = point(start(), queries, some).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full((PREFIXES,), 10.0))


def test_a_query_of_zeros_can_be_differentiated_twice() -> None:
    target = draw(DIM, seed=5).double()

    def loss(values: Tensor) -> Tensor:
        queries = torch.zeros(1, DIM).double()
        return point(values, queries, candidates(10.0))[0] @ target

    values = start().double()
    assert torch.isfinite(torch.func.grad(loss)(values)).all()
    assert torch.isfinite(torch.func.jacrev(torch.func.grad(loss))(values)).all()
