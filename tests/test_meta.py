"""The inner loop: all against one by one, gradients against automatic and finite differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from clusterseq.meta import Support, adapt, support_gradient, support_loss
from clusterseq.model.head import Candidates, start_of_theta
from tests.reference import logits

USERS, PREFIXES, DIM, ANCHORS, TRAITS, KINDS, STEPS = 5, 3, 4, 6, 2, 2, 3
COUNTS = torch.tensor([0, 1, 2, 3, 3])


class Case:
    """A few people's supports, all drawn, in one precision."""

    def __init__(self, dtype: torch.dtype, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

        sizes = start_of_theta(DIM, TRAITS, KINDS)
        self.theta = {n: v.to(dtype) + 0.3 * draw(*v.shape) for n, v in sizes.items()}
        self.rates = {n: 0.05 + 0.02 * draw(STEPS, len(v)) for n, v in sizes.items()}
        self.anchors = Candidates(
            torch.nn.functional.normalize(draw(ANCHORS, DIM), dim=1), draw(ANCHORS, TRAITS), 5.0
        )
        offsets = torch.full((USERS, PREFIXES, 1 + ANCHORS), 0.4, dtype=dtype)
        offsets[..., 0] = 0
        offsets[1, 0, 3] = offsets[3, 1, 6] = -torch.inf
        own_traits = draw(USERS, PREFIXES, 1, TRAITS)
        traits = self.anchors.traits.expand(USERS, PREFIXES, -1, -1)
        evidence = draw(USERS, PREFIXES, ANCHORS + 1, KINDS).abs()
        self.support = Support(
            queries=draw(USERS, PREFIXES, DIM),
            targets=torch.nn.functional.normalize(draw(USERS, PREFIXES, DIM), dim=2),
            facts=torch.cat([torch.cat([own_traits, traits], dim=2), evidence], dim=3),
            counted=(torch.arange(PREFIXES) < COUNTS[:, None]).to(dtype),
            offsets=offsets,
        )
        self.final = draw(USERS, DIM)

    def starts(self) -> dict[str, Tensor]:
        """Everybody starts from the same θ."""
        return {n: v.expand(USERS, -1) for n, v in self.theta.items()}

    def person(self, user: int) -> Support:
        return Support(*(getattr(self.support, part.name)[user] for part in fields(Support)))

    def adapted(self, *, second_order: bool = True) -> dict[str, Tensor]:
        return adapt(
            self.starts(), self.rates, self.support, self.anchors, second_order=second_order
        )

    def query_loss(self, *, second_order: bool = True) -> Tensor:
        """Mean loss of everybody's next item (the first anchor) after adaptation."""
        adapted = self.adapted(second_order=second_order)
        none = self.final.new_zeros(1, ANCHORS, KINDS)
        losses = []
        for user in range(USERS):
            theta = {n: v[user] for n, v in adapted.items()}
            scores = logits(theta, self.final[user : user + 1], self.anchors, none + 0.1)[0]
            losses.append(torch.logsumexp(scores, dim=0) - scores[0])
        return torch.stack(losses).mean()


@pytest.mark.parametrize("second_order", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
def test_all_at_once_equals_a_loop_over_people(
    dtype: torch.dtype, tolerance: float, second_order: bool
) -> None:
    case = Case(dtype)
    together = case.adapted(second_order=second_order)
    for user in range(USERS):
        alone = adapt(
            case.theta, case.rates, case.person(user), case.anchors, second_order=second_order
        )
        for name, value in alone.items():
            torch.testing.assert_close(together[name][user], value, rtol=0, atol=tolerance)


@pytest.mark.parametrize("scale", [5.0, 0.0])
@pytest.mark.parametrize("members", [1, 2])
def test_the_written_gradient_is_the_automatic_one(scale: float, members: int) -> None:
    case = Case(torch.float64)
    anchors = replace(case.anchors, scale=scale, members=members)
    found = support_gradient(case.starts(), case.support, anchors)
    assert set(found) == set(case.theta)
    for user in range(USERS):
        expected = torch.func.grad(support_loss)(case.theta, case.person(user), anchors)
        for name, slope in expected.items():
            assert user == 0 or slope.any(), name
            torch.testing.assert_close(found[name][user], slope, rtol=1e-10, atol=1e-12)


def test_without_a_memory_nothing_is_trusted() -> None:
    case = Case(torch.float64)
    silent = replace(case.support, facts=case.support.facts[..., :TRAITS])
    theta = {n: v for n, v in case.starts().items() if n != "trust"}
    assert set(support_gradient(theta, silent, case.anchors)) == set(theta)
    deaf = case.starts() | {"trust": torch.zeros(USERS, KINDS, dtype=torch.float64)}
    expected = support_gradient(deaf, case.support, case.anchors)
    for name, slope in support_gradient(theta, silent, case.anchors).items():
        torch.testing.assert_close(slope, expected[name])


def test_a_step_is_gradient_descent_with_its_own_rates() -> None:
    case = Case(torch.float64)
    person, theta = case.person(3), case.theta
    for step in range(STEPS):
        leaves = {n: v.detach().requires_grad_() for n, v in theta.items()}
        support_loss(leaves, person, case.anchors).backward()  # type: ignore[no-untyped-call]
        slopes = {n: v.grad for n, v in leaves.items()}
        assert all(slope is not None for slope in slopes.values())
        theta = {n: v - case.rates[n][step] * slopes[n] for n, v in theta.items()}  # type: ignore[operator]
    for name, value in case.adapted().items():
        torch.testing.assert_close(value[3], theta[name])


def test_support_loss_is_the_cross_entropy_against_the_anchors() -> None:
    case = Case(torch.float64)
    person = case.person(3)
    losses = []
    for prefix in range(PREFIXES):
        own = Candidates(
            torch.cat([person.targets[prefix : prefix + 1], case.anchors.vectors]),
            person.facts[prefix, :, :TRAITS],
            5.0,
        )
        query, heard = person.queries[prefix : prefix + 1], person.facts[prefix, :, TRAITS:]
        scores = logits(case.theta, query, own, heard[None])[0] + person.offsets[prefix]
        losses.append(-scores.log_softmax(dim=0)[0])
    found = support_loss(case.theta, person, case.anchors)
    torch.testing.assert_close(found, torch.stack(losses).mean())


def test_adaptation_lowers_the_support_loss() -> None:
    case = Case(torch.float64)
    adapted = case.adapted()
    for user in range(1, USERS):
        before = support_loss(case.theta, case.person(user), case.anchors)
        theta = {n: v[user] for n, v in adapted.items()}
        assert support_loss(theta, case.person(user), case.anchors) < before


def test_nobody_without_support_takes_a_step() -> None:
    case = Case(torch.float32)
    assert COUNTS[0] == 0
    for name, value in case.adapted().items():
        assert torch.equal(value[0], case.theta[name])
        assert not torch.equal(value[3], case.theta[name])


def test_padding_of_the_support_does_not_matter() -> None:
    case = Case(torch.float64)
    before = case.adapted()
    padding = case.support.counted == 0
    assert padding.any()
    for part in (case.support.queries, case.support.targets, case.support.facts):
        part[padding] = 7.0
    case.support.offsets[..., 1:][padding] = -torch.inf
    for name, value in case.adapted().items():
        torch.testing.assert_close(value, before[name])


def central_difference(
    loss: Callable[[], Tensor], tensor: Tensor, direction: Tensor, width: float = 1e-5
) -> Tensor:
    """How the loss changes as a tensor moves along a direction; the tensor comes back."""
    start = tensor.clone()
    above = loss_at(loss, tensor, start + width * direction)
    below = loss_at(loss, tensor, start - width * direction)
    tensor.copy_(start)
    return (above - below) / (2 * width)


def loss_at(loss: Callable[[], Tensor], tensor: Tensor, value: Tensor) -> Tensor:
    tensor.copy_(value)
    return loss()


def outer_tensors(case: Case) -> dict[str, Tensor]:
    """What the outer loss learns: θ, the step sizes, and what the encoder gives."""
    learnt = {f"theta.{n}": v for n, v in case.theta.items()}
    learnt |= {f"rates.{n}": v for n, v in case.rates.items()}
    return learnt | {"queries": case.support.queries, "anchors": case.anchors.vectors}


def meta_gradient(case: Case, *, second_order: bool) -> dict[str, Tensor]:
    tensors = outer_tensors(case)
    for tensor in tensors.values():
        tensor.requires_grad_()
    loss = case.query_loss(second_order=second_order)
    slopes = torch.autograd.grad(loss, list(tensors.values()), materialize_grads=True)
    for tensor in tensors.values():
        tensor.requires_grad_(False)
    return dict(zip(tensors, slopes, strict=True))


def test_the_meta_gradient_is_that_of_finite_differences() -> None:
    case = Case(torch.float64)
    slopes = meta_gradient(case, second_order=True)
    assert set(slopes) > {"theta.gain", "theta.trust", "rates.shift", "queries"}
    generator = torch.Generator().manual_seed(7)
    for name, tensor in outer_tensors(case).items():
        for _ in range(2):
            direction = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            expected = central_difference(case.query_loss, tensor, direction)
            assert expected.abs() > 1e-6, name
            found = (slopes[name] * direction).sum()
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_first_order_ignores_how_the_steps_depend_on_what_is_learnt() -> None:
    case = Case(torch.float64)
    second, first = (meta_gradient(case, second_order=order) for order in (True, False))
    assert not torch.isclose(first["theta.gain"], second["theta.gain"]).any()
    assert not first["queries"].any(), "the support reaches the loss through gradients alone"
    assert second["queries"].any()
    for order in (True, False):
        torch.testing.assert_close(case.query_loss(second_order=order), case.query_loss())
