"""A conditioner: every cluster moves the start, and stretches nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Shift(nn.Module):
    def __init__(self, clusters: int, width: int, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.shifts = nn.Parameter(torch.zeros(clusters, size))

    def forward(self, start: Tensor, shares: Tensor) -> Tensor:
        return start + shares @ self.shifts
