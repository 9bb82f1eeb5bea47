"""The GRUs of matrix products, against the one of PyTorch."""

from __future__ import annotations

import torch
from torch import nn

from clusterseq.model.gru import GRU

DIM, MEMBERS = 6, 2
NAMES = ("weight_ih_l0", "bias_ih_l0", "weight_hh_l0", "bias_hh_l0")


def both(dtype: torch.dtype) -> tuple[GRU, list[nn.GRU]]:
    """Our GRUs and PyTorch's with the same weights; biases are drawn, as ours start at zero."""
    generator = torch.Generator().manual_seed(0)
    ours = GRU(MEMBERS, DIM, generator).to(dtype)
    for bias in (ours.input_bias, ours.state_bias):
        nn.init.normal_(bias, generator=generator)
    theirs = [nn.GRU(DIM, DIM, batch_first=True, dtype=dtype) for _ in range(MEMBERS)]
    for member, gru in enumerate(theirs):
        weights = (ours.input_weight, ours.input_bias, ours.state_weight, ours.state_bias)
        gru.load_state_dict({n: w[member] for n, w in zip(NAMES, weights, strict=True)})
    return ours, theirs


def inputs(users: int, steps: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    shape = (MEMBERS, users, steps, DIM)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)


def test_states_are_those_of_torch() -> None:
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        ours, theirs = both(dtype)
        events = inputs(4, 7, dtype)
        expected = torch.stack([gru(part)[0] for gru, part in zip(theirs, events, strict=True)])
        torch.testing.assert_close(ours(events), expected, rtol=0, atol=tolerance)


def test_gradients_are_those_of_torch() -> None:
    ours, theirs = both(torch.float64)
    events = inputs(3, 5)
    ours(events).square().sum().backward()
    for gru, part in zip(theirs, events, strict=True):
        gru(part)[0].square().sum().backward()
    mine = (ours.input_weight, ours.input_bias, ours.state_weight, ours.state_bias)
    for parameter, name in zip(mine, NAMES, strict=True):
        expected = torch.stack([getattr(gru, name).grad for gru in theirs])
        torch.testing.assert_close(parameter.grad, expected)


def test_it_can_be_differentiated_twice_under_vmap() -> None:
    ours, _ = both(torch.float64)

    def slope(events: torch.Tensor) -> torch.Tensor:
        one: torch.Tensor = torch.func.grad(lambda e: ours(e[:, None]).square().sum())(events)
        return one.square().sum()

    events = inputs(3, 4).movedim(0, 1)  # (users, members, steps, dim)
    together = torch.func.vmap(torch.func.grad(slope))(events)
    alone = torch.stack([torch.func.grad(slope)(e) for e in events])
    torch.testing.assert_close(together, alone)
