"""Gated recurrent units written with matrix products alone, several of them side by side.

``nn.GRU`` is one network: members that never exchange anything would each be a call of their own.

Knows nothing about: what items are, whose they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class GRU(nn.Module):
    """Cho et al. 2014 (arXiv 1406.1078), with the reset gate after the product, as in cuDNN."""

    def __init__(self, members: int, dim: int, generator: torch.Generator) -> None:
        super().__init__()
        bound, orthogonal = dim**-0.5, nn.init.orthogonal_
        blocks = (torch.empty(dim, dim) for _ in range(members))
        recurrent = [torch.cat([orthogonal(block, generator=generator)] * 3) for block in blocks]
        self.input_weight = nn.Parameter(_uniform((members, 3 * dim, dim), bound, generator))
        self.input_bias = nn.Parameter(torch.zeros(members, 3 * dim))
        self.state_weight = nn.Parameter(torch.stack(recurrent))
        self.state_bias = nn.Parameter(torch.zeros(members, 3 * dim))

    def forward(
        self, inputs: Float[Tensor, "members items dim"], sizes: Sequence[int]
    ) -> Float[Tensor, "members items dim"]:
        """All states, starting from zeros; the state after an item has read it and those before.

        Items are packed (``Packing``): ``sizes`` says how many people have a first, a second, ….
        """
        projected = linear([inputs], self.input_weight, self.input_bias[:, None])
        first, *others = projected.split_with_sizes(list(sizes), dim=1)
        # Of zeros a product makes nothing; everybody is there at the first step, so it counts.
        nothing = self.state_bias[:, None].expand(-1, sizes[0], -1)
        states = [self._step(first, inputs.new_zeros(()), nothing)]
        for step in others:
            state = states[-1][:, : step.shape[1]]
            recurrent = linear([state], self.state_weight, self.state_bias[:, None])
            states.append(self._step(step, state, recurrent))
        return torch.cat(states, dim=1)

    def _step(
        self,
        projected: Float[Tensor, "members users gates"],
        state: Float[Tensor, ...],
        recurrent: Float[Tensor, "members users gates"],
    ) -> Float[Tensor, "members users dim"]:
        dim = projected.shape[-1] // 3
        gates_in, new_in = projected.split_with_sizes([2 * dim, dim], dim=-1)
        gates_rec, new_rec = recurrent.split_with_sizes([2 * dim, dim], dim=-1)
        reset, update = torch.sigmoid(gates_in + gates_rec).chunk(2, dim=-1)
        new = torch.tanh(torch.addcmul(new_in, reset, new_rec))
        return torch.lerp(new, state, update)


def linear(
    sources: Sequence[Float[Tensor, "members rows inputs"]],
    weight: Float[Tensor, "members outputs inputs_of_all"],
    start: Float[Tensor, "members rows_or_one outputs"],
) -> Float[Tensor, "members rows outputs"]:
    """Every member's own affine map of equally wide sources side by side, which need no joining.

    ``start`` is what the products are added to.
    """
    outputs = start
    pieces = weight.chunk(len(sources), dim=-1)
    for source, piece in zip(sources, pieces, strict=True):
        outputs = torch.baddbmm(outputs, source, piece.mT)
    return outputs


def _uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)
