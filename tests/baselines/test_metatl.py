"""MetaTL: the inner gradient by autograd, what its two variants differ in, short histories."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from clusterseq.baselines.metatl import MetaTL, support_gradient, support_loss
from clusterseq.data.histories import Histories
from clusterseq.data.tasks import Tasks

N_ITEMS = 20
TASKS = Tasks(Histories.from_lists([[1, 2, 3], [4], [5, 6], [8, 9, 8]]), torch.tensor([4, 5, 6, 7]))


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def model(*, mended: bool, rate: float = 5.0) -> MetaTL:
    generator = torch.Generator().manual_seed(0)
    return MetaTL(N_ITEMS, generator, mended=mended, dim=8, rate=rate)


def gradients(of: MetaTL) -> list[Tensor]:
    """What the outer step would follow."""
    of.zero_grad()
    of.loss(TASKS, torch.Generator().manual_seed(1)).backward()  # type: ignore[no-untyped-call]
    return [parameter.grad for parameter in of.parameters() if parameter.grad is not None]


def test_the_inner_gradient_is_that_of_autograd() -> None:
    transition = drawn(6, 5, seed=0).requires_grad_()
    heads, tails, rivals = (drawn(6, 3, 5, seed=seed) for seed in (1, 2, 3))
    people = support_loss(transition, heads, tails, rivals) * 6  # the mean over people, undone
    (expected,) = torch.autograd.grad(people, transition)
    assert expected.abs().amax(dim=1).gt(0).sum() >= 4
    torch.testing.assert_close(support_gradient(transition, heads, tails, rivals), expected)


def test_a_pair_that_keeps_the_margin_pulls_nowhere() -> None:
    head, near, far = torch.zeros(1, 1, 2), torch.ones(1, 1, 2), torch.full((1, 1, 2), 9.0)
    assert support_loss(torch.zeros(1, 2), head, near, far) == 0
    assert support_gradient(torch.zeros(1, 2), head, near, far).tolist() == [[0.0, 0.0]]


def test_as_published_the_support_loss_stays_in_all_gradients_and_mended_it_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Without an inner step the two variants differ in nothing else.
    published, mended = (model(mended=each, rate=0.0) for each in (False, True))
    apart = gradients(mended)
    together = gradients(published)
    losses = []

    def caught(*arguments: Tensor) -> Tensor:
        losses.append(support_loss(*arguments))
        return losses[0] * 0

    monkeypatch.setattr("clusterseq.baselines.metatl.support_loss", caught)
    published.loss(TASKS, torch.Generator().manual_seed(1))
    alone = torch.autograd.grad(losses[0], list(published.parameters()))
    assert all(gradient.abs().max() > 0 for gradient in (alone[0], alone[1]))
    for both, query, support in zip(together, apart, alone, strict=True):
        torch.testing.assert_close(both, query + support)


def test_as_published_a_larger_batch_makes_the_inner_step_smaller() -> None:
    changes = []
    for mended in (False, True):
        still, moving = (model(mended=mended, rate=rate) for rate in (0.0, 5.0))
        crowd = TASKS[torch.arange(4).repeat(100)]
        a, b = (each.loss(crowd, torch.Generator().manual_seed(1)) for each in (still, moving))
        changes.append((a - b).abs().item())
    assert changes[1] > 20 * changes[0]


def test_as_published_the_first_evaluation_ends_training_mode() -> None:
    for mended in (False, True):
        tested = model(mended=mended)
        assert tested.training
        tested.score(TASKS.support)
        tested.loss(TASKS, torch.Generator().manual_seed(1))
        assert tested.training is mended


def test_scores_rank_by_distance_from_the_last_item_moved() -> None:
    tested = model(mended=True, rate=0.0)
    scores = tested.score(TASKS.support)
    heads = tested.items(torch.tensor([[1, 2]]))
    tails = tested.items(torch.tensor([[2, 3]]))
    query = tested.items(torch.tensor(3)) + tested.learner(heads, tails)[0]
    distances = (query - tested.items.weight[:N_ITEMS]).square().sum(dim=1)
    torch.testing.assert_close(scores[0], query.square().sum() - distances)


def test_the_newest_items_count_and_a_missing_pair_is_of_padding_alone() -> None:
    tested = model(mended=True)
    long = tested.score(Histories.from_lists([[11, 12, 1, 2, 3]]))
    torch.testing.assert_close(long, tested.score(Histories.from_lists([[1, 2, 3]])))
    newest = tested._newest(Histories.from_lists([[4], [5, 6], []]))
    assert newest.tolist() == [[20, 20, 4], [20, 5, 6], [20, 20, 20]]
    heads, tails, rivals = tested._pairs(newest, torch.tensor([[0, 1], [2, 3], [4, 5]]))
    padding = tested.items.weight[N_ITEMS]
    for ends in (heads, tails, rivals):
        assert all(torch.equal(ends[person, pair], padding) for person, pair in ((0, 0), (1, 0)))
    pull = support_gradient(drawn(3, 8, seed=4), heads, tails, rivals)
    assert pull.abs().amax(dim=1).gt(0).tolist() == [False, True, False]
