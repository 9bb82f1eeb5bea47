"""MeLU: the inner step by hand, what it leaves alone, and the catalogue in parts."""

from __future__ import annotations

import pytest
import torch

from clusterseq.baselines import melu
from clusterseq.baselines.melu import Decision, MeLU, Ratings, adapt, preference, support_loss
from clusterseq.data.histories import Histories

HISTORIES = Histories.from_lists([[1, 2, 3], [], [4]])


def model() -> MeLU:
    return MeLU(15, torch.Generator().manual_seed(0), rate=0.5, dim=4, hidden=6)


def test_preference_is_that_of_layers_on_joined_vectors() -> None:
    tested = model()
    decision, user = Decision(*tested.decision), torch.arange(4.0)
    joined = torch.cat([user.expand(15, -1), tested.items.weight], dim=1)
    hidden = torch.relu(joined @ torch.cat([decision.user, decision.item]) + decision.shift)
    expected = hidden @ decision.out + decision.bias
    torch.testing.assert_close(preference(decision, user, tested.items.weight), expected)


def test_the_inner_step_is_that_of_autograd_and_leaves_the_embeddings_alone() -> None:
    tested = model()
    decision, user = Decision(*tested.decision), torch.ones(4)
    ratings = Ratings(
        tested.items.weight[:3], torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.5, 0.25, 0.25])
    )
    logits = preference(decision, user, ratings.items)
    by_hand = 0.5 * (1 + (-logits[0]).exp()).log() + 0.25 * (1 + logits[1:].exp()).log().sum()
    torch.testing.assert_close(support_loss(decision, user, ratings), by_hand)
    gradients = torch.autograd.grad(by_hand, list(decision))
    for after, before, gradient in zip(
        adapt(decision, user, ratings, 0.5), decision, gradients, strict=True
    ):
        torch.testing.assert_close(after, before - 0.5 * gradient)


def test_adaptation_favours_what_was_touched_and_nobody_is_ranked_by_the_prior() -> None:
    tested = model()
    scores = tested.score(HISTORIES)
    prior = preference(Decision(*tested.decision), tested.user, tested.items.weight)
    torch.testing.assert_close(scores[1], prior)
    gained = scores[0] - prior
    assert gained[[1, 2, 3]].mean() > gained.mean()


def test_the_order_of_a_history_does_not_matter() -> None:
    one, other = model().score(Histories.from_lists([[1, 2, 3], [3, 1, 2]]))
    torch.testing.assert_close(one, other)


def test_the_catalogue_scores_the_same_for_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = model().score(HISTORIES)
    monkeypatch.setattr(melu, "CELLS_AT_ONCE", 1)
    torch.testing.assert_close(model().score(HISTORIES), whole)
