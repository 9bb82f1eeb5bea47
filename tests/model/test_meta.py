"""The inner loop: all against one by one, gradients against automatic and finite differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from clusterseq.model.head import Candidates, start_of_theta
from clusterseq.model.meta import Support, adapt, support_gradient, support_loss
from tests.reference import logits

USERS, PREFIXES, DIM, ANCHORS, TRAITS, KINDS, STEPS = 5, 3, 4, 6, 2, 2, 3
COUNTS = torch.tensor([0, 1, 2, 3, 3])


def columns(draw: Callable[..., Tensor], *shape: int) -> Tensor:
    """Vectors of length 1, and traits."""
    vectors = torch.nn.functional.normalize(draw(*shape, DIM), dim=-1)
    return torch.cat([vectors, draw(*shape, TRAITS)], dim=-1)


class Case:
    """A few people's supports, all drawn, in one precision."""

    def __init__(self, dtype: torch.dtype, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

        start = torch.cat(list(start_of_theta(DIM, TRAITS, KINDS).values())).to(dtype)
        self.theta = start + 0.3 * draw(len(start))
        self.rates = 0.05 + 0.02 * draw(STEPS, len(start))
        self.anchors = Candidates(columns(draw, ANCHORS), DIM, 5.0)
        offsets = torch.full((USERS, PREFIXES, 1 + ANCHORS), 0.4, dtype=dtype)
        offsets[..., 0] = 0
        offsets[1, 0, 3] = offsets[3, 1, 6] = -torch.inf
        self.support = Support.of(
            queries=draw(USERS, PREFIXES, DIM),
            targets=columns(draw, USERS, PREFIXES),
            evidence=draw(USERS, KINDS, PREFIXES, 1 + ANCHORS).abs(),
            counted=(torch.arange(PREFIXES) < COUNTS[:, None]).to(dtype),
            offsets=offsets,
        )
        self.final = draw(USERS, DIM)

    def starts(self) -> Tensor:
        """Everybody starts from the same θ."""
        return self.theta.expand(USERS, -1)

    def person(self, user: int) -> Support:
        return Support(*(getattr(self.support, part.name)[user] for part in fields(Support)))

    def adapted(self, *, second_order: bool = True) -> Tensor:
        return adapt(
            self.starts(), self.rates, self.support, self.anchors, second_order=second_order
        )

    def query_loss(self, *, second_order: bool = True) -> Tensor:
        """Mean loss of everybody's next item (the first anchor) after adaptation."""
        adapted = self.adapted(second_order=second_order)
        heard = self.final.new_full((KINDS, 1, ANCHORS), 0.1)
        losses = []
        for user in range(USERS):
            scores = logits(adapted[user], self.final[user : user + 1], self.anchors, heard)[0]
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
        torch.testing.assert_close(together[user], alone, rtol=0, atol=tolerance)


def test_where_nothing_is_learnt_no_graph_is_kept() -> None:
    case, kept = Case(torch.float64), list[Tensor]()
    case.theta.requires_grad_()

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        with torch.no_grad():
            case.adapted()
        assert not kept
        case.adapted()
        assert kept


@pytest.mark.parametrize("scale", [5.0, 0.0])
@pytest.mark.parametrize("members", [1, 2])
def test_the_written_gradient_is_the_automatic_one(scale: float, members: int) -> None:
    case = Case(torch.float64)
    anchors = replace(case.anchors, scale=scale, members=members)
    found = support_gradient(case.starts(), case.support, anchors)
    for user in range(USERS):
        expected = torch.func.grad(support_loss)(case.theta, case.person(user), anchors)
        assert user == 0 or expected.all()
        torch.testing.assert_close(found[user], expected, rtol=1e-10, atol=1e-12)


def test_without_a_memory_nothing_is_trusted() -> None:
    case = Case(torch.float64)
    silent = replace(case.support, evidence=case.support.evidence[:, :0])
    found = support_gradient(case.starts()[:, :-KINDS], silent, case.anchors)
    deaf = case.starts().clone()
    deaf[:, -KINDS:] = 0
    expected = support_gradient(deaf, case.support, case.anchors)
    torch.testing.assert_close(found, expected[:, :-KINDS])


def test_a_step_is_gradient_descent_with_its_own_rates() -> None:
    case = Case(torch.float64)
    person, theta = case.person(3), case.theta
    for rate in case.rates:
        leaf = theta.detach().requires_grad_()
        support_loss(leaf, person, case.anchors).backward()  # type: ignore[no-untyped-call]
        assert leaf.grad is not None
        theta = leaf.detach() - rate * leaf.grad
    torch.testing.assert_close(case.adapted()[3], theta)


def test_support_loss_is_the_cross_entropy_against_the_anchors() -> None:
    case = Case(torch.float64)
    person = case.person(3)
    losses = []
    for prefix in range(PREFIXES):
        rows = torch.cat([person.targets[prefix : prefix + 1], case.anchors.columns])
        some = replace(case.anchors, columns=rows)
        query = person.queries[prefix : prefix + 1]
        heard = person.evidence.view(KINDS, PREFIXES, -1)[:, prefix : prefix + 1]
        scores = logits(case.theta, query, some, heard)[0] + person.offsets[prefix]
        losses.append(-scores.log_softmax(dim=0)[0])
    found = support_loss(case.theta, person, case.anchors)
    torch.testing.assert_close(found, torch.stack(losses).mean())
    everybody = support_loss(case.starts(), case.support, case.anchors)
    torch.testing.assert_close(everybody[3], found)
    assert everybody[0] == 0, "without a support there is nothing to lose"


def test_adaptation_lowers_the_support_loss() -> None:
    case = Case(torch.float64)
    adapted = case.adapted()
    for user in range(1, USERS):
        before = support_loss(case.theta, case.person(user), case.anchors)
        assert support_loss(adapted[user], case.person(user), case.anchors) < before


def test_nobody_without_support_takes_a_step() -> None:
    case = Case(torch.float32)
    assert COUNTS[0] == 0
    adapted = case.adapted()
    assert torch.equal(adapted[0], case.theta)
    assert (adapted[3] != case.theta).all()


def test_padding_of_the_support_does_not_matter() -> None:
    case = Case(torch.float64)
    before = case.adapted()
    padding = case.support.weights[..., 0] == 0
    assert padding.any()
    support = case.support
    evidence = support.evidence.view(USERS, KINDS, PREFIXES, -1)
    for part in (support.queries, support.targets, evidence.transpose(1, 2)):
        part[padding] = 7.0
    support.offsets[..., 1:][padding] = -torch.inf
    torch.testing.assert_close(case.adapted(), before)


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
    """What the outer loss learns: θ, the step sizes, and what encoder and items give."""
    return {
        "theta": case.theta,
        "rates": case.rates,
        "queries": case.support.queries,
        "anchors": case.anchors.columns,
    }


def meta_gradient(case: Case, *, second_order: bool) -> dict[str, Tensor]:
    tensors = outer_tensors(case)
    for tensor in tensors.values():
        tensor.requires_grad_()
    loss = case.query_loss(second_order=second_order)
    gradients = torch.autograd.grad(loss, list(tensors.values()), materialize_grads=True)
    for tensor in tensors.values():
        tensor.requires_grad_(False)
    return dict(zip(tensors, gradients, strict=True))


def test_the_meta_gradient_is_that_of_finite_differences() -> None:
    case = Case(torch.float64)
    gradients = meta_gradient(case, second_order=True)
    generator = torch.Generator().manual_seed(7)
    for name, tensor in outer_tensors(case).items():
        for _ in range(2):
            direction = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            expected = central_difference(case.query_loss, tensor, direction)
            assert expected.abs() > 1e-6, name
            found = (gradients[name] * direction).sum()
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_first_order_ignores_how_the_steps_depend_on_what_is_learnt() -> None:
    case = Case(torch.float64)
    second, first = (meta_gradient(case, second_order=order) for order in (True, False))
    assert not torch.isclose(first["theta"], second["theta"]).any()
    assert not first["queries"].any(), "the support reaches the loss through gradients alone"
    assert second["queries"].any()
    for order in (True, False):
        torch.testing.assert_close(case.query_loss(second_order=order), case.query_loss())
