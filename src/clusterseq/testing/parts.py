"""What the parts of the model promise that packages can bring: encoder, conditioner, clusterer.

Knows nothing about: what the parts compute, the model around them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from clusterseq.model.parts import Clusterer, Conditioner, Encoder

Build: TypeAlias = Callable[..., Any]
"""The class of a part, or a function that builds one."""

MEMBERS, DIM = 2, 6
SIZES = [4, 4, 3, 1]
"""Four people have a first and a second item, three a third, one a fourth."""
CLUSTERS, BOTTLENECK, TEMPERATURE, WIDTH, THETA = 3, 2, 0.1, 4, 9


def seeded(seed: int = 0) -> torch.Generator:
    """Random numbers."""
    return torch.Generator().manual_seed(seed)


def drawn(*shape: int, seed: int = 1) -> Float[Tensor, ...]:
    """Some numbers, in double precision."""
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def assert_trained(part: nn.Module, found: Tensor) -> None:
    """Gradients of every parameter exist and are finite."""
    found.square().sum().backward()  # type: ignore[no-untyped-call]
    for name, parameter in part.named_parameters():
        assert parameter.grad is not None, f"no gradient reaches {name}"
        assert torch.isfinite(parameter.grad).all(), f"the gradient of {name} isn't finite"


class EncoderContract:
    """Name a subclass ``Test…`` and give it the fixture ``build``."""

    @pytest.fixture
    def build(self) -> Build:
        """From ``(members, dim, generator)`` to an encoder."""
        raise NotImplementedError("give the fixture build: the class of the encoder")

    @pytest.fixture
    def encoder(self, build: Build) -> Any:
        """An encoder of two members."""
        return build(MEMBERS, DIM, seeded()).double()

    @pytest.fixture
    def inputs(self) -> Float[Tensor, "members items dim"]:
        """Embedded items of four people, packed."""
        return drawn(MEMBERS, sum(SIZES), DIM)

    def test_it_is_a_module_that_gives_a_state_for_every_item(
        self, encoder: Any, inputs: Tensor
    ) -> None:
        assert isinstance(encoder, nn.Module)
        assert isinstance(encoder, Encoder)
        states = encoder(inputs, SIZES)
        assert states.shape == inputs.shape
        assert states.dtype == inputs.dtype
        assert torch.isfinite(states).all()

    def test_a_state_has_read_nothing_but_the_persons_items_up_to_it(
        self, encoder: Any, inputs: Tensor
    ) -> None:
        before = encoder(inputs, SIZES)
        changed, index = inputs.clone(), SIZES[0] + 1  # the second item of the second person
        changed[:, index] += 1
        differs = (encoder(changed, SIZES) - before).abs().amax(dim=(0, 2)) > 1e-9
        later = [index, sum(SIZES[:2]) + 1]  # it, and the same person's third
        assert differs.nonzero()[:, 0].tolist() == later

    def test_people_are_read_alone_as_in_company(self, encoder: Any, inputs: Tensor) -> None:
        together = encoder(inputs, SIZES)
        first = [sum(SIZES[:step]) for step in range(len(SIZES))]
        alone = encoder(inputs[:, first], [1] * len(SIZES))
        torch.testing.assert_close(together[:, first], alone)

    def test_members_exchange_nothing(self, encoder: Any, inputs: Tensor) -> None:
        before, changed = encoder(inputs, SIZES), inputs.clone()
        changed[0] += 1
        torch.testing.assert_close(encoder(changed, SIZES)[1], before[1])

    def test_it_is_trained(self, encoder: Any, inputs: Tensor) -> None:
        assert_trained(encoder, encoder(inputs, SIZES))

    def test_all_that_it_is_lies_in_its_state(
        self, build: Build, encoder: Any, inputs: Tensor
    ) -> None:
        other = build(MEMBERS, DIM, seeded(5)).double()
        other.load_state_dict(encoder.state_dict())
        torch.testing.assert_close(other(inputs, SIZES), encoder(inputs, SIZES), rtol=0, atol=0)

    def test_the_generator_decides_on_its_start(self, build: Build) -> None:
        one, two = (build(MEMBERS, DIM, seeded()).state_dict() for _ in range(2))
        assert all(torch.equal(one[name], two[name]) for name in one)


class ConditionerContract:
    """Name a subclass ``Test…`` and give it the fixture ``build``."""

    @pytest.fixture
    def build(self) -> Build:
        """From ``(clusters, width, size, generator)`` to a conditioner."""
        raise NotImplementedError("give the fixture build: the class of the conditioner")

    @pytest.fixture
    def conditioner(self, build: Build) -> Any:
        """A conditioner of nine parameters."""
        return build(CLUSTERS, WIDTH, THETA, seeded()).double()

    @pytest.fixture
    def shares(self) -> Float[Tensor, "users clusters"]:
        """How much some people belong to clusters."""
        return drawn(5, CLUSTERS).softmax(dim=1)

    def test_it_is_a_module_that_gives_everybody_a_start(
        self, conditioner: Any, shares: Tensor
    ) -> None:
        assert isinstance(conditioner, nn.Module)
        assert isinstance(conditioner, Conditioner)
        starts = conditioner(drawn(THETA), shares)
        assert starts.shape == (len(shares), THETA)
        assert torch.isfinite(starts).all()
        assert conditioner(drawn(THETA), shares[:0]).shape == (0, THETA)

    def test_people_are_conditioned_one_by_one(self, conditioner: Any, shares: Tensor) -> None:
        together, start = conditioner(drawn(THETA), shares), drawn(THETA)
        for person in range(len(shares)):
            alone = conditioner(start, shares[person : person + 1])
            torch.testing.assert_close(alone[0], together[person])

    def test_it_is_trained_and_lets_gradients_through(
        self, conditioner: Any, shares: Tensor
    ) -> None:
        start, shares = drawn(THETA).requires_grad_(), shares.clone().requires_grad_()
        assert_trained(conditioner, conditioner(start, shares))
        for tensor in (start, shares):
            assert tensor.grad is not None
            assert torch.isfinite(tensor.grad).all()

    def test_all_that_it_is_lies_in_its_state(
        self, build: Build, conditioner: Any, shares: Tensor
    ) -> None:
        other = build(CLUSTERS, WIDTH, THETA, seeded(5)).double()
        other.load_state_dict(conditioner.state_dict())
        found, expected = (part(drawn(THETA), shares) for part in (other, conditioner))
        torch.testing.assert_close(found, expected, rtol=0, atol=0)

    def test_the_generator_decides_on_its_start(self, build: Build) -> None:
        one, two = (build(CLUSTERS, WIDTH, THETA, seeded()).state_dict() for _ in range(2))
        assert all(torch.equal(one[name], two[name]) for name in one)


class ClustererContract:
    """Name a subclass ``Test…`` and give it the fixture ``build``."""

    @pytest.fixture
    def build(self) -> Build:
        """From ``(clusters, dim, bottleneck, *, temperature, generator)`` to a clusterer."""
        raise NotImplementedError("give the fixture build: the class of the clusterer")

    @pytest.fixture
    def people(self) -> Float[Tensor, "users dim"]:
        """30, 20 and 10 people around three far points."""
        groups = torch.repeat_interleave(torch.arange(3), torch.tensor([30, 20, 10]))
        return torch.eye(3, DIM, dtype=torch.float64)[groups] + 0.05 * drawn(60, DIM)

    @pytest.fixture
    def clusterer(self, build: Build, people: Tensor) -> Any:
        """A clusterer that has started among the people."""
        built = self._built(build)
        built.start(people, seeded(2))
        return built

    def test_it_is_a_module_with_all_that_a_model_asks_for(self, clusterer: Any) -> None:
        assert isinstance(clusterer, nn.Module)
        assert isinstance(clusterer, Clusterer)

    def test_shares_follow_from_errors_and_sum_to_one(self, clusterer: Any, people: Tensor) -> None:
        shares, errors = clusterer(people), clusterer.errors(people)
        assert errors.shape == shares.shape == (len(people), CLUSTERS)
        assert (errors >= 0).all()
        assert (shares >= 0).all()
        torch.testing.assert_close(shares, clusterer.assigned(errors))
        torch.testing.assert_close(shares.sum(dim=1), torch.ones_like(shares[:, 0]))

    def test_groups_far_apart_are_told_apart(self, clusterer: Any, people: Tensor) -> None:
        clusters = clusterer(people).argmax(dim=1)
        assert len(clusters[:30].unique()) == len(clusters[30:50].unique()) == 1
        assert clusters[0] != clusters[30]

    def test_people_are_assigned_one_by_one(self, clusterer: Any, people: Tensor) -> None:
        alone = torch.cat([clusterer(people[[person]]) for person in range(5)])
        torch.testing.assert_close(clusterer(people)[:5], alone)
        assert clusterer(people[:0]).shape == (0, CLUSTERS)

    def test_it_is_trained(self, clusterer: Any, people: Tensor) -> None:
        assert_trained(clusterer, clusterer.errors(people + 0.1))

    def test_fewer_people_than_clusters_are_no_obstacle(self, build: Build) -> None:
        built = self._built(build)
        built.start(torch.ones(2, DIM, dtype=torch.float64), seeded())
        assert torch.isfinite(built(drawn(4, DIM))).all()

    def test_clusters_without_people_are_put_to_use(self, clusterer: Any, people: Tensor) -> None:
        left = people[:30]  # the other groups are gone
        assert clusterer.revive(left) in range(1, CLUSTERS)
        assert len(clusterer(left).argmax(dim=1).unique()) == CLUSTERS

    def test_all_that_it_is_lies_in_its_state(
        self, build: Build, clusterer: Any, people: Tensor
    ) -> None:
        other = self._built(build, seed=5)
        other.load_state_dict(clusterer.state_dict())
        torch.testing.assert_close(other(people), clusterer(people), rtol=0, atol=0)

    def _built(self, build: Build, seed: int = 0) -> Any:
        sizes = (CLUSTERS, DIM, BOTTLENECK)
        return build(*sizes, temperature=TEMPERATURE, generator=seeded(seed)).double()
