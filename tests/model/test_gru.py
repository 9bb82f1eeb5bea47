"""The GRU of matrix products, against the one of PyTorch."""

from __future__ import annotations

import torch
from torch import nn

from clusterseq.model.gru import GRU

DIM = 6


def both(dtype: torch.dtype) -> tuple[GRU, nn.GRU]:
    """Our GRU and PyTorch's with the same weights; the biases are drawn, as ours start at zero."""
    generator = torch.Generator().manual_seed(0)
    ours = GRU(DIM, generator).to(dtype)
    for bias in (ours.input_bias, ours.state_bias):
        nn.init.normal_(bias, generator=generator)
    theirs = nn.GRU(DIM, DIM, batch_first=True, dtype=dtype)
    theirs.load_state_dict(
        {
            "weight_ih_l0": ours.input_weight,
            "bias_ih_l0": ours.input_bias,
            "weight_hh_l0": ours.state_weight,
            "bias_hh_l0": ours.state_bias,
        }
    )
    return ours, theirs


def inputs(users: int, steps: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(users, steps, DIM, generator=torch.Generator().manual_seed(1), dtype=dtype)


def test_states_are_those_of_torch() -> None:
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        ours, theirs = both(dtype)
        events = inputs(4, 7, dtype)
        torch.testing.assert_close(ours(events), theirs(events)[0], rtol=0, atol=tolerance)


def test_gradients_are_those_of_torch() -> None:
    ours, theirs = both(torch.float64)
    events = inputs(3, 5)
    ours(events).square().sum().backward()
    theirs(events)[0].square().sum().backward()
    mine = (ours.input_weight, ours.input_bias, ours.state_weight, ours.state_bias)
    names = ("weight_ih_l0", "bias_ih_l0", "weight_hh_l0", "bias_hh_l0")
    for parameter, name in zip(mine, names, strict=True):
        torch.testing.assert_close(parameter.grad, getattr(theirs, name).grad)


def test_it_can_be_differentiated_twice_under_vmap() -> None:
    ours, _ = both(torch.float64)

    def slope(events: torch.Tensor) -> torch.Tensor:
        one: torch.Tensor = torch.func.grad(lambda e: ours(e[None]).square().sum())(events)
        return one.square().sum()

    events = inputs(3, 4)
    together = torch.func.vmap(torch.func.grad(slope))(events)
    alone = torch.stack([torch.func.grad(slope)(e) for e in events])
    torch.testing.assert_close(together, alone)
