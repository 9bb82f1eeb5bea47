"""From queries, items and memory to logits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from clusterseq.model.head import Candidates, Pointer, Theta, start_of_theta
from tests.reference import logits

DIM, ITEMS, PREFIXES, TRAITS, KINDS = 4, 7, 3, 2, 2


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def point(theta: Theta, queries: Tensor, some: Candidates) -> Tensor:
    return Pointer(theta, queries, some).vectors


def candidates(scale: float) -> Candidates:
    vectors = draw(ITEMS, DIM, seed=1)
    if scale:
        vectors = torch.nn.functional.normalize(vectors, dim=1)
    return Candidates(vectors, draw(ITEMS, TRAITS, seed=2), scale)


@pytest.mark.parametrize("scale", [0.0, 10.0])
@pytest.mark.parametrize("members", [1, 2])
def test_a_pointed_query_scores_as_the_equation_says(scale: float, members: int) -> None:
    theta = {n: draw(len(v), seed=3) for n, v in start_of_theta(DIM, TRAITS, KINDS).items()}
    theta |= {"sharpness": torch.zeros(1), "popularity": torch.zeros(TRAITS)}
    some, queries = replace(candidates(scale), members=members), draw(PREFIXES, DIM)
    expected = logits(theta, queries, some, torch.zeros(PREFIXES, ITEMS, KINDS))
    found = Pointer(theta, queries, some).vectors @ some.vectors.T
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_start_leaves_the_query_alone() -> None:
    theta, queries = start_of_theta(DIM, TRAITS, 0), draw(PREFIXES, DIM)
    assert torch.equal(point(theta, queries, candidates(0.0)), queries)


def test_a_cosine_does_not_depend_on_the_length_of_the_query() -> None:
    theta, queries = start_of_theta(DIM, TRAITS, 0), draw(PREFIXES, DIM)
    some = candidates(10.0)
    torch.testing.assert_close(point(theta, 5 * queries, some), point(theta, queries, some))
    lengths = point(theta, queries, some).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full((PREFIXES,), 10.0))


def test_a_query_of_zeros_can_be_differentiated_twice() -> None:
    theta = {n: v.double() for n, v in start_of_theta(DIM, TRAITS, 0).items()}
    target = draw(DIM, seed=5).double()

    def loss(shift: Tensor) -> Tensor:
        queries = torch.zeros(1, DIM).double()
        return point(theta | {"shift": shift}, queries, candidates(10.0))[0] @ target

    start = torch.zeros(DIM, dtype=torch.float64)
    assert torch.isfinite(torch.func.grad(loss)(start)).all()
    assert torch.isfinite(torch.func.jacrev(torch.func.grad(loss))(start)).all()
