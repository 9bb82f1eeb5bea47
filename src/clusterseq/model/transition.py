"""The dynamic transition model (section 3.2.3): GRU encoder, attention decoder, one query per step.

The query of step t has read the items up to t only, so one pass serves every prefix of a sequence:
pre-training uses them all, the inner loop uses each support prefix, recommendation the last.

Several members stand side by side, each with its own share of the embedding and its own weights;
they never exchange anything, and their scores are averaged (``head``).

Knows nothing about: the catalogue, clusters, adaptation.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from clusterseq.model.gru import GRU, linear


class TransitionModel(nn.Module):
    """Embedded items in, one query vector per prefix out; width = members × dim."""

    def __init__(
        self,
        members: int,
        dim: int,
        *,
        attention: bool,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.members, self.dropout = members, dropout
        self.encoder = GRU(members, dim, generator)
        self.key = nn.Parameter(_normal((members, dim, dim), generator)) if attention else None
        read = 2 * dim if attention else dim
        self.output_weight = nn.Parameter(_normal((members, dim, read), generator))
        self.output_bias = nn.Parameter(torch.zeros(members, dim))

    def forward(
        self, inputs: Float[Tensor, "users steps width"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "users steps width"]:
        """The query of every prefix; with a generator, inputs and states are dropped by it."""
        apart = inputs.reshape(*inputs.shape[:2], self.members, -1).movedim(2, 0)
        states = self.encoder(dropped(apart, self.dropout, generator))
        if self.key is not None:
            states = torch.cat([states, self._attended(states, self.key)], dim=-1)
        kept = dropped(states, self.dropout, generator)
        return linear(kept, self.output_weight, self.output_bias).movedim(0, 2).flatten(2)

    def _attended(
        self,
        states: Float[Tensor, "members users steps dim"],
        key: Float[Tensor, "members dim dim"],
    ) -> Float[Tensor, "members users steps dim"]:
        """Each state looks back over itself and all earlier ones (long range)."""
        steps, dim = states.shape[2:]
        affinity = states @ (states @ key.mT[:, None]).mT / math.sqrt(dim)
        later = torch.ones(steps, steps, dtype=torch.bool, device=states.device).triu(1)
        return affinity.masked_fill(later, -torch.inf).softmax(dim=-1) @ states


def dropped(values: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Inverted dropout with an explicit generator; without one, the values as they are."""
    if generator is None or share == 0:
        return values
    kept = torch.rand(values.shape, generator=generator, device=values.device) >= share
    return values * kept / (1 - share)


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator) / math.sqrt(shape[-1])
