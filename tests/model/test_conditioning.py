"""Conditioning: neutral at the start, linear in the shares, one person at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from clusterseq.model.conditioning import Conditioner

SIZES = {"gain": 4, "trust": 2}


@pytest.fixture
def start() -> dict[str, Tensor]:
    return {"gain": torch.tensor([1.0, 2.0, -1.0, 0.0]), "trust": torch.tensor([0.3, 0.5])}


def build() -> Conditioner:
    return Conditioner(3, 5, SIZES, torch.Generator().manual_seed(0))


def stir(conditioner: Conditioner) -> Conditioner:
    """Gates and shifts as if something had been learnt."""
    generator = torch.Generator().manual_seed(1)
    for parameter in [*conditioner.gates.values(), *conditioner.shifts.values()]:
        nn.init.normal_(parameter, generator=generator)
    return conditioner


def test_at_first_nobody_is_treated_apart(start: dict[str, Tensor]) -> None:
    shares = torch.tensor([[1.0, 0.0, 0.0], [0.2, 0.3, 0.5]])
    for name, value in build()(start, shares).items():
        torch.testing.assert_close(value, start[name].expand(2, -1))


def test_each_person_is_conditioned_by_their_own_cluster(start: dict[str, Tensor]) -> None:
    conditioner = stir(build())
    shares = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
    found = conditioner(start, shares)
    for person in range(2):
        cluster = sum(shares[person, k] * conditioner.embedding[k] for k in range(3))
        for name, value in start.items():
            gate = 2 * torch.sigmoid(conditioner.gates[name] @ cluster)
            expected = value * gate + conditioner.shifts[name] @ cluster
            torch.testing.assert_close(found[name][person], expected)
    assert not torch.isclose(found["gain"][0], found["gain"][1]).any()


def test_gates_and_shifts_learn_from_the_start(start: dict[str, Tensor]) -> None:
    conditioner = build()
    conditioner(start, torch.eye(3))["gain"].square().sum().backward()
    for parameters in (conditioner.gates, conditioner.shifts):
        assert parameters["gain"].grad is not None
        assert parameters["gain"].grad.abs().sum() > 0
