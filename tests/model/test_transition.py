"""The transition model: causality, padding, attention, dropout."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from clusterseq.data.histories import Histories
from clusterseq.data.packing import Packing
from clusterseq.model.gru import GRU
from clusterseq.model.transition import TransitionModel, dropped

MEMBERS, DIM, STEPS = 2, 5, 8
WIDTH = MEMBERS * DIM


def build(attention: bool, dropout: float = 0.0, *, direct: bool = False) -> TransitionModel:
    generator = torch.Generator().manual_seed(0)
    encoder = GRU(MEMBERS, DIM, generator)
    options = {"attention": attention, "direct": direct}
    return TransitionModel(
        MEMBERS, DIM, encoder, **options, dropout=dropout, generator=generator
    ).double()


def inputs(users: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(users, STEPS, WIDTH, generator=generator, dtype=torch.float64)


def run(model: TransitionModel, events: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The queries of people who all have as many events."""
    users, steps = events.shape[:2]
    packing = Packing.of(Histories.from_lists([[0] * steps] * users))
    packed = events.flatten(0, 1)[packing.cells]
    return packing.unpack(model(packed, packing, generator))


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("direct", [True, False])
def test_a_query_has_read_its_prefix_and_nothing_later(attention: bool, direct: bool) -> None:
    model, events = build(attention, direct=direct), inputs()
    queries = run(model, events)
    for step in range(1, STEPS + 1):
        torch.testing.assert_close(run(model, events[:, :step]), queries[:, :step])
    changed = events.clone()
    changed[:, 4:] += 1
    assert torch.equal(run(model, changed)[:, :4], queries[:, :4])
    assert not torch.isclose(run(model, changed)[:, 4:], queries[:, 4:]).any()


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("direct", [True, False])
def test_short_histories_beside_long_ones_are_read_as_if_alone(
    attention: bool, direct: bool
) -> None:
    model, events = build(attention, direct=direct), inputs(4)
    lengths = [3, STEPS, 0, 5]
    packing = Packing.of(Histories.from_lists([[0] * length for length in lengths]))
    packed = events.flatten(0, 1)[packing.cells]
    together = packing.unpack(model(packed, packing))
    for person, length in enumerate(lengths):
        if length:
            alone = run(model, events[person : person + 1, :length])[0]
            torch.testing.assert_close(together[person, :length], alone)
        assert not together[person, length:].any()


@pytest.mark.parametrize("attention", [True, False])
def test_a_query_depends_on_all_of_its_prefix(attention: bool) -> None:
    events = inputs(1).requires_grad_()
    run(build(attention), events)[0, -1].sum().backward()  # type: ignore[no-untyped-call]
    assert events.grad is not None
    assert (events.grad[0].abs().sum(dim=1) > 0).all()


def test_attention_is_the_softmax_over_all_states_so_far() -> None:
    model, events = build(attention=True), inputs(1)
    states = model.encoder(events.reshape(STEPS, MEMBERS, DIM).movedim(1, 0), [1] * STEPS)
    assert model.key is not None
    for member, own in enumerate(states):
        for step in range(STEPS):
            seen = own[: step + 1]
            weights = (own[step] @ model.key[member] @ seen.T / math.sqrt(DIM)).softmax(dim=0)
            read = torch.cat([own[step], weights @ seen])
            expected = model.output_weight[member] @ read + model.output_bias[member]
            found = run(model, events)[0, step, member * DIM : (member + 1) * DIM]
            torch.testing.assert_close(found, expected)


def test_the_direct_path_adds_the_newest_item_and_a_mean_that_forgets() -> None:
    model, events = build(attention=True, direct=True), inputs(1)
    assert model.direct is not None
    assert model.forgetting is not None
    with torch.no_grad():
        model.output_weight.zero_()
        model.direct.add_(
            torch.randn(model.direct.shape, generator=torch.Generator().manual_seed(2))
        )
        model.forgetting.add_(torch.tensor([0.4, -0.1]))
    for member in range(MEMBERS):
        own = slice(member * DIM, (member + 1) * DIM)
        for step in range(STEPS):
            items = events[0, : step + 1, own]
            weights = [math.exp(-model.forgetting[member].item() * age) for age in range(step + 1)]
            shares = torch.tensor(weights[::-1], dtype=torch.float64)
            mean = (shares / shares.sum()) @ items
            expected = model.direct[member] @ torch.cat([items[-1], mean])
            torch.testing.assert_close(run(model, events)[0, step, own], expected)


def test_at_first_the_direct_path_asks_for_more_of_the_same() -> None:
    events = inputs(1)
    asked = run(build(attention=True, direct=True), events)[0]
    same = torch.nn.functional.cosine_similarity(asked[0], events[0, 0], dim=0)
    assert same > 0.9


def test_members_know_nothing_of_each_other() -> None:
    model, events = build(attention=True, direct=True), inputs()
    changed = events.clone()
    changed[..., :DIM] += 1
    assert torch.equal(run(model, changed)[..., DIM:], run(model, events)[..., DIM:])
    assert not torch.isclose(run(model, changed)[..., :DIM], run(model, events)[..., :DIM]).any()


def test_without_attention_its_parameters_are_gone() -> None:
    assert "key" in build(attention=True).state_dict()
    without = build(attention=False)
    assert "key" not in without.state_dict()
    assert not {"direct", "forgetting"} & without.state_dict().keys()
    assert without.output_weight.shape == (MEMBERS, DIM, DIM)


def test_dropout_happens_by_its_generator_alone() -> None:
    model, events = build(attention=True, dropout=0.5), inputs()
    assert torch.equal(run(model, events), run(model, events))
    draws = [run(model, events, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.isclose(draws[0], draws[2]).all()
    assert not torch.isclose(draws[0], run(model, events)).all()


def test_dropout_keeps_the_mean() -> None:
    values = dropped(torch.ones(100_000), 0.3, torch.Generator().manual_seed(0))
    kept = values[values > 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / 0.7))
    assert values.mean().item() == pytest.approx(1, abs=0.01)
