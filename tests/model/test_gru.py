"""The GRUs of matrix products, against the one of PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from clusterseq.model.gru import GRU

DIM, MEMBERS = 6, 2
SIZES = torch.tensor([4, 4, 3, 1, 1])
"""How many people have a first event, a second one, …: PyTorch packs them in the same order."""
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


def inputs(dtype: torch.dtype = torch.float64) -> Tensor:
    shape = (MEMBERS, int(SIZES.sum()), DIM)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)


def states(gru: nn.GRU, events: Tensor) -> Tensor:
    """PyTorch's states of our packed events, in the same order."""
    found: Tensor = gru(PackedSequence(events, SIZES))[0].data
    return found


def test_states_are_those_of_torch() -> None:
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        ours, theirs = both(dtype)
        events = inputs(dtype)
        expected = torch.stack([states(gru, e) for gru, e in zip(theirs, events, strict=True)])
        found = ours(events, SIZES.tolist())
        torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


def test_gradients_are_those_of_torch() -> None:
    ours, theirs = both(torch.float64)
    events = inputs()
    ours(events, SIZES.tolist()).square().sum().backward()
    for gru, part in zip(theirs, events, strict=True):
        states(gru, part).square().sum().backward()  # type: ignore[no-untyped-call]
    mine = (ours.input_weight, ours.input_bias, ours.state_weight, ours.state_bias)
    for parameter, name in zip(mine, NAMES, strict=True):
        expected = torch.stack([getattr(gru, name).grad for gru in theirs])
        torch.testing.assert_close(parameter.grad, expected)
