"""A clusterer: people belong to the direction nearest theirs (spherical k-means without steps)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Directions(nn.Module):
    def __init__(
        self,
        clusters: int,
        dim: int,
        bottleneck: int,
        *,
        temperature: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.centres = nn.Parameter(torch.randn(clusters, dim, generator=generator))

    def errors(self, people: Tensor) -> Tensor:
        units = [nn.functional.normalize(each, dim=-1) for each in (people, self.centres)]
        return (1 - units[0] @ units[1].T).clamp_min(0)

    def forward(self, people: Tensor) -> Tensor:
        return self.assigned(self.errors(people))

    def assigned(self, errors: Tensor) -> Tensor:
        return (-errors / self.temperature).softmax(dim=-1)

    @torch.no_grad()
    def start(self, people: Tensor, generator: torch.Generator) -> None:
        """Each centre is somebody far from the centres before (Gonzalez 1985)."""
        self.centres[:] = people[0]
        for cluster in range(1, len(self.centres)):
            self.centres[cluster] = people[self.errors(people).min(dim=1).values.argmax()]

    @torch.no_grad()
    def revive(self, people: Tensor) -> int:
        """Each cluster that nearly nobody is in goes to who fits the others least."""
        unused = (self(people).mean(dim=0) < 0.01).nonzero()[:, 0].tolist()
        for cluster in unused:
            self.centres[cluster] = people[self.errors(people).min(dim=1).values.argmax()]
        return len(unused)
