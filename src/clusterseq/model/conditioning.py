"""Parameter conditioning: every cluster starts the adaptation from parameters of its own.

The cluster embedding c_u = Σ_k p_k C_k gives each adaptable parameter a gate and a shift,
θ_u = θ ∘ 2σ(A c_u) + B c_u (element-wise, as in hierarchically structured meta-learning, Yao
et al. 2019, arXiv 1905.05301). A and B start at zero: at first nobody is treated apart.

Knows nothing about: how people are assigned, what the parameters do.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Conditioner(nn.Module):
    """From soft assignments to everybody's own start of the adaptable parameters."""

    def __init__(
        self,
        clusters: int,
        width: int,
        sizes: Mapping[str, int],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(clusters, width, generator=generator))
        self.gates = nn.ParameterDict({n: torch.zeros(size, width) for n, size in sizes.items()})
        self.shifts = nn.ParameterDict({n: torch.zeros(size, width) for n, size in sizes.items()})

    def forward(
        self, start: Mapping[str, Tensor], shares: Float[Tensor, "users clusters"]
    ) -> dict[str, Tensor]:
        """θ_u for every person: each of ``start``'s (size,) tensors becomes (users, size)."""
        cluster = shares @ self.embedding  # (users, width)
        return {
            name: value * (2 * torch.sigmoid(cluster @ self.gates[name].T))
            + cluster @ self.shifts[name].T
            for name, value in start.items()
        }
