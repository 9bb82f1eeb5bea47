"""Scores and losses of the whole catalogue, against everything held at once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from clusterseq.data.evidence import Evidence
from clusterseq.data.histories import Histories
from clusterseq.data.memory import KINDS, Memory
from clusterseq.data.tasks import Tasks
from clusterseq.model import catalogue as module
from clusterseq.model.catalogue import Preferences, catalogue_loss, scores
from clusterseq.model.losses import cross_entropy
from clusterseq.model.rivals import Rivals
from clusterseq.model.votes import Votes
from tests.tiny import KNOWN, N_ITEMS

MEMORY = Memory.build(KNOWN, N_ITEMS)
# Somebody with an item twice, and somebody whose target is among what they have touched.
SUPPORT = Histories.from_lists([[3, 9, 3], [4], [0, 5], [16, 17, 1], [2]])
TASKS = Tasks(SUPPORT, torch.tensor([1, 7, 5, 0, 19]))
ALL = Rivals.draw(TASKS.targets, N_ITEMS, 0, torch.Generator())
WIDTH = 5


def drawn(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Queries, columns, trust and acuity that want gradients."""
    generator = torch.Generator().manual_seed(seed)
    shapes = (len(TASKS), WIDTH), (N_ITEMS, WIDTH), (len(TASKS), len(KINDS)), (len(KINDS),)
    made = [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]
    made[3] += 3
    queries, columns, trust, acuity = (each.requires_grad_() for each in made)
    return queries, columns, trust, acuity


def dense(queries: Tensor, columns: Tensor, trust: Tensor, acuity: Tensor) -> Tensor:
    said = Evidence(MEMORY, SUPPORT).dense().double()  # (kinds, users, items)
    heard = torch.log1p(acuity.exp()[:, None, None] * said)
    return queries @ columns.T + (trust.T[:, :, None] * heard).sum(dim=0)


def test_scores_are_what_query_and_memory_say() -> None:
    queries, columns, trust, acuity = drawn(0)
    with torch.no_grad():
        sparse = Evidence(MEMORY, SUPPORT).sparse
        votes = Votes.of(trust, acuity, sparse)
        found = scores(Preferences(queries, trust), columns, votes)
    torch.testing.assert_close(found, dense(queries, columns, trust, acuity))
    assert not torch.allclose(found, queries @ columns.T), "the memory says something"


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_the_loss_and_its_gradients_are_those_of_all_scores(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(module, "SCORES_AT_ONCE", 1)
    monkeypatch.setattr(module, "PEOPLE_AT_LEAST", at_once)
    inputs = queries, columns, trust, acuity = drawn(1)
    touched = SUPPORT.touched(N_ITEMS)
    expected = cross_entropy(dense(*inputs), TASKS.targets, touched)
    found = catalogue_loss(Preferences(queries, trust), columns, acuity, MEMORY, TASKS, ALL)
    torch.testing.assert_close(found, expected)
    gradients = torch.autograd.grad(3 * found, inputs)
    torch.testing.assert_close(gradients, torch.autograd.grad(3 * expected, inputs))
    assert all(gradient.any() for gradient in gradients)


def test_without_a_memory_only_queries_and_items_count() -> None:
    queries, columns, trust, acuity = drawn(2)
    expected = cross_entropy(queries @ columns.T, TASKS.targets, SUPPORT.touched(N_ITEMS))
    found = catalogue_loss(Preferences(queries, trust[:, :0]), columns, None, None, TASKS, ALL)
    torch.testing.assert_close(found, expected)
    silent = catalogue_loss(Preferences(queries, trust), columns, acuity, None, TASKS, ALL)
    torch.testing.assert_close(silent, expected)


def test_items_that_stand_still_get_no_gradient() -> None:
    queries, columns, trust, acuity = drawn(3)
    still = columns.detach()
    found = catalogue_loss(Preferences(queries, trust), still, acuity, MEMORY, TASKS, ALL)
    moving = catalogue_loss(Preferences(queries, trust), columns, acuity, MEMORY, TASKS, ALL)
    inputs = (queries, trust, acuity)
    gradients = torch.autograd.grad(found, inputs)
    torch.testing.assert_close(gradients, torch.autograd.grad(moving, inputs))


def test_some_items_stand_for_the_rest() -> None:
    inputs = queries, columns, trust, acuity = drawn(4)
    rivals = Rivals.draw(TASKS.targets, N_ITEMS, 9, torch.Generator().manual_seed(0))
    logits = dense(*inputs)[:, rivals.items] + rivals.extra
    places, touched = rivals.places[TASKS.targets], SUPPORT.touched(N_ITEMS)[:, rivals.items]
    expected = cross_entropy(logits, places, touched)
    chosen = columns[rivals.items]
    found = catalogue_loss(Preferences(queries, trust), chosen, acuity, MEMORY, TASKS, rivals)
    torch.testing.assert_close(found, expected)
    for one, two in zip(
        torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs), strict=True
    ):
        torch.testing.assert_close(one, two)


def test_draws_estimate_the_sum_over_all() -> None:
    weights, wanted = torch.rand(50, generator=torch.Generator().manual_seed(1)), torch.tensor([7])
    generator, sums = torch.Generator().manual_seed(2), []
    for _ in range(2_000):
        rivals = Rivals.draw(wanted, 50, 10, generator)
        assert len(rivals.items) == 10
        assert bool((rivals.items.diff() > 0).all())
        sums.append(float((weights[rivals.items] * rivals.extra.exp()).sum()))
    assert sum(sums) / len(sums) == pytest.approx(float(weights.sum()), rel=0.01)


def test_many_targets_leave_room_for_others() -> None:
    """Of 400 that have to be there one other would stand for 600, and the estimate be nothing."""
    rivals = Rivals.draw(torch.arange(400), 1_000, 200, torch.Generator().manual_seed(0))
    assert len(rivals.items) == 400 + 50
    assert float(rivals.extra.exp().sum()) == pytest.approx(1_000)
