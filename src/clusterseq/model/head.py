"""The adaptable parameters θ, and how they point a query.

What adapts is small and acts where the error is: the decoder's output (an element-wise gain and a
shift of the query), how sharp the scores are, how much popularity counts, and how far to trust each
kind of neighbour memory. All is a pure function: of one person's θ, or of many with a leading axis.

Knows nothing about: how θ is found, sequences, sampling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

Theta: TypeAlias = Mapping[str, Tensor] | nn.ParameterDict
"""gain and shift (width), sharpness (1), popularity (traits), and with a memory trust (kinds)."""


@dataclass(frozen=True)
class Candidates:
    """Some items that queries are scored against."""

    vectors: Float[Tensor, "items width"]
    """Their vectors, each member's piece of length 1 if the score is a cosine."""
    traits: Float[Tensor, "items traits"]
    """Their biases, near the logarithm of how often they are touched, and how fresh they are."""
    scale: float
    """Scale of the cosine; 0 scores by the inner product."""
    members: int = 1
    """Equal pieces of a vector, each with a score of its own; the mean counts."""


def start_of_theta(width: int, traits: int, kinds: int) -> dict[str, Tensor]:
    """θ before anything is learnt: the query as it is, and some trust in each memory."""
    theta = {
        "gain": torch.ones(width),
        "shift": torch.zeros(width),
        "sharpness": torch.zeros(1),
        "popularity": torch.eye(traits)[0],  # the bias counts once, the rest is to be learnt
    }
    return theta | {"trust": torch.full((kinds,), 0.3)} if kinds else theta


class Pointer:
    """The query after gain and shift, whose product with a vector is the mean of all members'."""

    def __init__(
        self, theta: Theta, queries: Float[Tensor, "*users prefixes width"], candidates: Candidates
    ) -> None:
        moved = torch.addcmul(
            theta["shift"][..., None, :], queries, theta["gain"][..., None, :]
        )  # (users, prefixes, width)
        self.members, self.scale = candidates.members, candidates.scale
        self.pieces = moved.reshape(*moved.shape[:-1], self.members, -1)
        pointed = self.pieces
        if self.scale:
            # Unlike a norm, it has second derivatives where dropout left nothing of a query.
            squares = self.pieces.square().sum(dim=-1, keepdim=True)
            self.shortening = torch.rsqrt(squares + 1e-6)
            pointed = self.scale * self.shortening * self.pieces
        self.vectors: Float[Tensor, "*users prefixes width"] = (pointed / self.members).flatten(-2)

    def pull_back(
        self, slopes: Float[Tensor, "*users prefixes width"]
    ) -> Float[Tensor, "*users prefixes width"]:
        """Slopes at ``vectors``, turned into slopes at gain · query + shift."""
        slopes = slopes.reshape(self.pieces.shape) / self.members
        if self.scale:
            # Of a direction u/|u| only what is across u can change: I − u uᵀ/|u|², over |u|.
            units = self.shortening * self.pieces
            along = (units * slopes).sum(dim=-1, keepdim=True)
            slopes = self.scale * self.shortening * (slopes - along * units)
        return slopes.flatten(-2)
