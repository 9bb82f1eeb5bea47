"""An encoder: every state is a linear map of the mean of the items so far."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class MeanEncoder(nn.Module):
    def __init__(self, members: int, dim: int, generator: torch.Generator) -> None:
        super().__init__()
        start = torch.randn(members, dim, dim, generator=generator) / dim**0.5
        self.weight = nn.Parameter(start)

    def forward(self, inputs: Tensor, sizes: Sequence[int]) -> Tensor:
        total = torch.zeros_like(inputs[:, : sizes[0]])
        means = []
        for place, step in enumerate(inputs.split_with_sizes(list(sizes), dim=1), 1):
            total = total[:, : step.shape[1]] + step  # those who have no such item are the last
            means.append(total / place)
        return torch.cat(means, dim=1) @ self.weight
