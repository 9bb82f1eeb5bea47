"""K autoencoders: the start, the loss, its balance term, revival."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from clusterseq.model import clustering
from clusterseq.model.clustering import STARTS, KAutoencoders, clustering_loss

DIM = 6
SIZES = (120, 50, 20, 10)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(clusters: int = 4, seed: int = 0) -> KAutoencoders:
    return KAutoencoders(clusters, DIM, 2, temperature=0.1, generator=generator(seed))


def blobs(spread: float = 0.1) -> tuple[Tensor, Tensor]:
    """People around four far points, in groups of unequal size, and their groups."""
    groups = torch.repeat_interleave(torch.arange(4), torch.tensor(SIZES))
    middles = torch.eye(4, DIM)
    return middles[groups] + spread * torch.randn(len(groups), DIM, generator=generator(9)), groups


def recovered(model: KAutoencoders, people: Tensor, groups: Tensor) -> float:
    return float(adjusted_rand_score(groups.numpy(), model(people).argmax(dim=1).numpy()))


@pytest.mark.parametrize("seed", range(10))
def test_the_start_finds_well_separated_groups_of_unequal_size(seed: int) -> None:
    people, groups = blobs()
    model = build()
    model.start(people, generator(seed))
    assert recovered(model, people, groups) == 1
    means = torch.stack([people[groups == group].mean(dim=0) for group in range(4)])
    assert torch.cdist(model.centres, means).min(dim=1).values.max() < 0.01


def test_the_best_of_some_draws_is_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    people, model = torch.rand(60, DIM, generator=generator(1)), build()
    draws, tries = generator(2), []
    with monkeypatch.context() as patch:
        patch.setattr(clustering, "STARTS", 1)
        for _ in range(STARTS):
            model.start(people, draws)
            tries.append(model.centres.detach().clone())
    costs = [float(torch.cdist(people, each).amin(dim=1).square().sum()) for each in tries]
    assert len(set(costs)) > 1
    model.start(people, generator(2))
    assert torch.equal(model.centres, tries[costs.index(min(costs))])


def test_who_is_far_from_all_centres_is_drawn_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "STARTS", 1)
    people, model = torch.ones(1000, DIM), build(clusters=2)
    people[700] = -1
    for seed in range(5):
        model.start(people, generator(seed))
        assert sorted(model.centres[:, 0].tolist()) == pytest.approx([-1, 1])


def test_the_start_copes_with_fewer_people_than_clusters() -> None:
    model = build()
    model.start(torch.ones(2, DIM), generator())
    assert torch.isfinite(model.centres).all()
    torch.testing.assert_close(model.centres, torch.ones(4, DIM))


def test_assignments_are_shares_by_reconstruction_error() -> None:
    people, _ = blobs()
    model = build()
    model.start(people, generator())
    shares, errors = model(people), model.errors(people)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(len(people)))
    assert torch.equal(shares.argmax(dim=1), errors.argmin(dim=1))
    odds = torch.log(shares[:, 0] / shares[:, 1])
    usable = torch.isfinite(odds)
    assert usable.any()
    torch.testing.assert_close(
        odds[usable], ((errors[:, 1] - errors[:, 0]) / 0.1)[usable], rtol=1e-3, atol=1e-3
    )


def test_error_is_that_of_the_autoencoder() -> None:
    model, person = build(), torch.randn(DIM, generator=generator(3))
    for cluster in range(4):
        centre = model.centres[cluster]
        code = torch.tanh((person - centre) @ model.encoders[cluster])
        rebuilt = centre + code @ model.decoders[cluster]
        expected = (person - rebuilt).square().sum()
        torch.testing.assert_close(model.errors(person[None])[0, cluster], expected)


def test_descent_lowers_the_loss_and_keeps_the_groups() -> None:
    people, groups = blobs(spread=0.15)
    model = build()
    model.start(people, generator())
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(100):
        errors = model.errors(people)
        loss = clustering_loss(errors, (-errors / 0.1).softmax(dim=1), 0.1)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.01
    assert recovered(model, people, groups) == 1


def test_the_loss_is_the_weighted_error_less_the_entropy_of_sizes() -> None:
    errors = torch.tensor([[1.0, 3.0], [2.0, 1.0]])
    shares = torch.tensor([[0.5, 0.5], [0.25, 0.75]])
    sizes = torch.tensor([0.375, 0.625])
    weighted = (2.0 + 1.25) / 2
    expected = weighted + 0.4 * (sizes * sizes.log()).sum()
    torch.testing.assert_close(clustering_loss(errors, shares, 0.4), expected)
    torch.testing.assert_close(clustering_loss(errors, shares, 0.0), torch.tensor(weighted))


def test_balance_prefers_equal_clusters_and_counts_nobody_alone() -> None:
    errors = torch.zeros(4, 2)
    one = torch.tensor([[1.0, 0.0]] * 4)
    halves = torch.tensor([[1.0, 0.0], [0.0, 1.0]] * 2)
    unsure = torch.full((4, 2), 0.5)
    loss = [float(clustering_loss(errors, shares, 1.0)) for shares in (one, halves, unsure)]
    assert loss[0] == pytest.approx(0)
    assert loss[1] == pytest.approx(-torch.tensor(2.0).log().item())
    assert loss[1] == pytest.approx(loss[2]), "only the sizes count, not how sure each person is"


def test_balance_pulls_people_towards_a_small_cluster() -> None:
    errors = torch.tensor([[0.10, 0.12]] * 8, requires_grad=True)
    loss = clustering_loss(errors.detach(), (-errors / 0.1).softmax(dim=1), 1.0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert errors.grad is not None
    # Descent moves against the gradient: the small cluster's error falls, the large one's grows.
    assert (errors.grad[:, 1] > 0).all()
    assert (errors.grad[:, 0] < 0).all()


def test_a_dead_cluster_moves_to_whom_nobody_reconstructs() -> None:
    people, groups = blobs()
    model = build()
    model.start(people, generator())
    with torch.no_grad():
        last = int(model(people[groups == 3]).mean(dim=0).argmax())
        model.centres[last] = 100.0
    assert recovered(model, people, groups) < 1
    expected = model.decoders.detach().clone()
    expected[last] *= 0.1  # or it would reconstruct what it did where it was
    assert model.revive(people) == 1
    assert torch.equal(model.decoders, expected)
    assert recovered(model, people, groups) == 1
    assert model.revive(people) == 0


def test_permuting_clusters_permutes_assignments() -> None:
    people, _ = blobs(spread=0.5)
    model, other = build(), build()
    order = torch.tensor([2, 0, 3, 1])
    other.load_state_dict({name: value[order] for name, value in model.state_dict().items()})
    torch.testing.assert_close(other(people), model(people)[:, order])
