"""A gated recurrent unit written with matrix products alone.

``nn.GRU`` has neither a batching rule under ``vmap`` nor a double backward on accelerators, and the
inner loop of meta-learning needs both.

Knows nothing about: items, padding (a later step never changes an earlier state).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class GRU(nn.Module):
    """Cho et al. 2014 (arXiv 1406.1078), with the reset gate after the product, as in cuDNN."""

    def __init__(self, dim: int, generator: torch.Generator) -> None:
        super().__init__()
        bound = dim**-0.5
        self.input_weight = nn.Parameter(_uniform((3 * dim, dim), bound, generator))
        self.input_bias = nn.Parameter(torch.zeros(3 * dim))
        self.state_weight = nn.Parameter(
            torch.cat([nn.init.orthogonal_(torch.empty(dim, dim), generator=generator)] * 3)
        )
        self.state_bias = nn.Parameter(torch.zeros(3 * dim))

    def forward(self, inputs: Float[Tensor, "users steps dim"]) -> Float[Tensor, "users steps dim"]:
        """All states, starting from zeros; the state of step t has read the inputs up to t."""
        projected = inputs @ self.input_weight.T + self.input_bias  # (users, steps, 3 dim)
        state = inputs.new_zeros(inputs.shape[0], inputs.shape[2])
        states = []
        for step in projected.unbind(1):
            state = self._step(step, state)
            states.append(state)
        return torch.stack(states, dim=1)

    def _step(
        self, projected: Float[Tensor, "users gates"], state: Float[Tensor, "users dim"]
    ) -> Float[Tensor, "users dim"]:
        reset_in, update_in, new_in = projected.chunk(3, dim=-1)
        recurrent = state @ self.state_weight.T + self.state_bias
        reset_rec, update_rec, new_rec = recurrent.chunk(3, dim=-1)
        reset = torch.sigmoid(reset_in + reset_rec)
        update = torch.sigmoid(update_in + update_rec)
        new = torch.tanh(new_in + reset * new_rec)
        return (1 - update) * new + update * state


def _uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)
