"""The clustering module (section 3.2.4): K autoencoders, each the specialist of one kind of people.

After Opochinsky et al. 2020 (arXiv 1912.12175): a person belongs to the cluster whose autoencoder
reconstructs them best. Each autoencoder is a centre and a narrow bottleneck around it,
AE_k(z) = μ_k + D_k tanh(F_k (z − μ_k)), so that k-means++ centres are a ready start.

Knows nothing about: where representations come from, what clusters are used for.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

LLOYD_STEPS = 20
STARTS = 8
"""Draws of k-means++, of which the best counts: a single one often misses a small cluster."""


class KAutoencoders(nn.Module):
    """Soft assignment of representations to clusters, and the loss that shapes the clusters."""

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
        self.centres = nn.Parameter(torch.randn(clusters, dim, generator=generator) * 0.1)
        self.encoders = nn.Parameter(torch.randn(clusters, dim, bottleneck, generator=generator))
        self.decoders = nn.Parameter(
            torch.randn(clusters, bottleneck, dim, generator=generator) * 0.01 / bottleneck
        )

    def errors(self, people: Float[Tensor, "users dim"]) -> Float[Tensor, "users clusters"]:
        """Squared reconstruction error of every person under every autoencoder, r_k."""
        offsets = people - self.centres[:, None]  # (clusters, users, dim)
        codes = torch.tanh(offsets @ self.encoders)
        residues = torch.baddbmm(offsets, codes, self.decoders, alpha=-1)
        return residues.square().sum(dim=-1).T

    def forward(self, people: Float[Tensor, "users dim"]) -> Float[Tensor, "users clusters"]:
        """Soft assignment of every person."""
        return self.assigned(self.errors(people))

    def assigned(self, errors: Float[Tensor, "users clusters"]) -> Float[Tensor, "users clusters"]:
        """Soft assignment from reconstruction errors, p_k = softmax(−r_k / τ)."""
        return (errors / -self.temperature).softmax(dim=-1)

    @torch.no_grad()
    def start(self, people: Float[Tensor, "users dim"], generator: torch.Generator) -> None:
        """Put the centres where k-means does, at its best of some k-means++ draws."""
        tries = [_lloyd(people, len(self.centres), generator) for _ in range(STARTS)]
        costs = torch.stack([_nearest(people, centres)[0].sum() for centres in tries])
        self.centres.copy_(tries[int(costs.argmin())])

    @torch.no_grad()
    def revive(self, people: Float[Tensor, "users dim"]) -> int:
        """Move each cluster that nearly nobody is in to the person reconstructed worst.

        Returns the number of clusters moved. A cluster is dead below a twentieth of its fair share.
        """
        dead = (self(people).mean(dim=0) < 0.05 / len(self.centres)).nonzero()[:, 0]
        for cluster in dead.tolist():
            worst = self.errors(people).min(dim=1).values.argmax()
            self.centres[cluster] = people[worst]
            self.decoders[cluster] *= 0.1
        return len(dead)


def clustering_loss(
    errors: Float[Tensor, "users clusters"],
    shares: Float[Tensor, "users clusters"],
    balance: float,
) -> Float[Tensor, ""]:
    """Σ_k p_k r_k, less the entropy of the mean assignment, so that no cluster swallows all."""
    sizes = shares.mean(dim=0)
    entropy = -(sizes * sizes.clamp_min(1e-9).log()).sum()
    return (shares * errors).sum(dim=1).mean() - balance * entropy


def _lloyd(
    people: Float[Tensor, "users dim"], clusters: int, generator: torch.Generator
) -> Float[Tensor, "clusters dim"]:
    """k-means from one k-means++ draw; a centre without people stays where it is."""
    centres = _plus_plus(people, clusters, generator)
    for _ in range(LLOYD_STEPS):
        members = torch.nn.functional.one_hot(_nearest(people, centres)[1], clusters)
        sizes = members.sum(dim=0)[:, None]
        sums = members.to(people.dtype).T @ people
        centres = torch.where(sizes > 0, sums / sizes.clamp_min(1), centres)
    return centres


def _nearest(
    people: Float[Tensor, "users dim"], centres: Float[Tensor, "clusters dim"]
) -> tuple[Float[Tensor, " users"], Int64[Tensor, " users"]]:
    """Squared distance to the nearest centre, and which it is."""
    crossed = torch.addmm(centres.square().sum(dim=1), people, centres.T, alpha=-2)
    distances, clusters = crossed.min(dim=1)
    return (distances + people.square().sum(dim=1)).clamp_min(0), clusters


def _plus_plus(
    people: Float[Tensor, "users dim"], clusters: int, generator: torch.Generator
) -> Float[Tensor, "clusters dim"]:
    """Each centre is drawn by its squared distance to the others (Arthur & Vassilvitskii 2007)."""
    first = torch.randint(len(people), (1,), generator=generator, device=people.device)
    centres = [people[first[0]]]
    for _ in range(clusters - 1):
        distances, _ = _nearest(people, torch.stack(centres))
        centres.append(people[torch.multinomial(distances + 1e-9, 1, generator=generator)[0]])
    return torch.stack(centres)
