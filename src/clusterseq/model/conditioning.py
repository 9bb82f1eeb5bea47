"""Parameter conditioning: every cluster starts the adaptation from parameters of its own.

The cluster embedding c_u = Σ_k p_k C_k gives each adaptable parameter a gate and a shift,
θ_u = θ ∘ 2σ(A c_u) + B c_u (element-wise, as in hierarchically structured meta-learning, Yao
et al. 2019, arXiv 1905.05301). A and B start at zero: at first nobody is treated apart.

Knows nothing about: how people are assigned, what the parameters do.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Gates(nn.Module):
    """From soft assignments to everybody's own start of the adaptable parameters."""

    def __init__(self, clusters: int, width: int, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(clusters, width, generator=generator))
        self.gates = nn.Parameter(torch.zeros(size, width))
        self.shifts = nn.Parameter(torch.zeros(size, width))

    def forward(
        self, start: Float[Tensor, " size"], shares: Float[Tensor, "users clusters"]
    ) -> Float[Tensor, "users size"]:
        """θ_u of every person."""
        embeddings = shares @ self.embedding  # (users, width)
        gates = 2 * torch.sigmoid(embeddings @ self.gates.T)
        return torch.addmm(start * gates, embeddings, self.shifts.T)
