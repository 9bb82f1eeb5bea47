"""Conditioning: neutral at the start, linear in the shares, one person at a time."""

from __future__ import annotations

import torch
from torch import nn

from clusterseq.model.conditioning import Gates

START = torch.tensor([1.0, 2.0, -1.0, 0.0, 0.3, 0.5])


def build() -> Gates:
    return Gates(3, 5, len(START), torch.Generator().manual_seed(0))


def stir(conditioner: Gates) -> Gates:
    """Gates and shifts as if something had been learnt."""
    generator = torch.Generator().manual_seed(1)
    for parameter in (conditioner.gates, conditioner.shifts):
        nn.init.normal_(parameter, generator=generator)
    return conditioner


def test_at_first_nobody_is_treated_apart() -> None:
    shares = torch.tensor([[1.0, 0.0, 0.0], [0.2, 0.3, 0.5]])
    torch.testing.assert_close(build()(START, shares), START.expand(2, -1))


def test_each_person_is_conditioned_by_their_own_cluster() -> None:
    conditioner = stir(build())
    shares = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
    found = conditioner(START, shares)
    for person in range(2):
        cluster = sum(shares[person, k] * conditioner.embedding[k] for k in range(3))
        gate = 2 * torch.sigmoid(conditioner.gates @ cluster)
        torch.testing.assert_close(found[person], START * gate + conditioner.shifts @ cluster)
    assert not torch.isclose(found[0], found[1]).any()


def test_gates_and_shifts_learn_from_the_start() -> None:
    conditioner = build()
    conditioner(START, torch.eye(3)).square().sum().backward()
    for parameter in (conditioner.gates, conditioner.shifts):
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0
