"""From queries, items and memory to logits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from clusterseq.model.head import Candidates, Pointer, Theta, start_of_theta
from clusterseq.model.head import logits as pointed_logits

DIM, ITEMS, PREFIXES, TRAITS, KINDS = 4, 7, 3, 2, 2


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def point(theta: Theta, queries: Tensor, some: Candidates) -> Tensor:
    return Pointer(theta, queries, some).vectors


def logits(theta: Theta, queries: Tensor, some: Candidates, evidence: Tensor) -> Tensor:
    return pointed_logits(theta, Pointer(theta, queries, some), some, evidence)


def candidates(scale: float) -> Candidates:
    vectors = draw(ITEMS, DIM, seed=1)
    if scale:
        vectors = torch.nn.functional.normalize(vectors, dim=1)
    return Candidates(vectors, draw(ITEMS, TRAITS, seed=2), scale)


@pytest.mark.parametrize("scale", [0.0, 10.0])
def test_logits_add_match_popularity_and_memory(scale: float) -> None:
    theta = {n: draw(len(v), seed=3) for n, v in start_of_theta(DIM, TRAITS, KINDS).items()}
    queries, evidence = draw(PREFIXES, DIM), draw(PREFIXES, ITEMS, KINDS, seed=4)
    some = candidates(scale)
    found = logits(theta, queries, some, evidence)
    assert found.shape == (PREFIXES, ITEMS)
    for prefix in range(PREFIXES):
        query = queries[prefix] * theta["gain"] + theta["shift"]
        if scale:
            query = scale * query / query.norm()
        for item in range(ITEMS):
            expected = (
                theta["sharpness"].exp() * (query @ some.vectors[item])
                + theta["popularity"] @ some.traits[item]
                + theta["trust"] @ evidence[prefix, item]
            )
            torch.testing.assert_close(found[prefix, item], expected[0], rtol=1e-4, atol=1e-4)


def test_the_start_leaves_the_query_alone() -> None:
    theta, queries = start_of_theta(DIM, TRAITS, 0), draw(PREFIXES, DIM)
    assert torch.equal(point(theta, queries, candidates(0.0)), queries)
    found = logits(theta, queries, candidates(0.0), torch.zeros(PREFIXES, ITEMS, 0))
    some = candidates(0.0)
    torch.testing.assert_close(found, queries @ some.vectors.T + some.traits[:, 0])


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


@pytest.mark.parametrize("scale", [0.0, 10.0])
def test_the_score_is_the_mean_of_the_members_scores(scale: float) -> None:
    theta, queries = start_of_theta(2 * DIM, TRAITS, 0), draw(PREFIXES, 2 * DIM)
    first, second = candidates(scale), candidates(scale)
    second = replace(second, vectors=second.vectors.flip(0))
    both = replace(first, vectors=torch.cat([first.vectors, second.vectors], dim=1), members=2)
    alone = start_of_theta(DIM, TRAITS, 0)
    none = torch.zeros(PREFIXES, ITEMS, 0)
    scores = [
        logits(alone, piece, one, none)
        for piece, one in zip(queries.chunk(2, dim=1), (first, second), strict=True)
    ]
    torch.testing.assert_close(logits(theta, queries, both, none), (scores[0] + scores[1]) / 2)
