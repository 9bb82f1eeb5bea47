"""The adaptable parameters θ, and the logits they turn queries, items and memory into.

What adapts is small and acts where the error is: the decoder's output (an element-wise gain and a
shift of the query), how sharp the scores are, how much popularity counts, and how far to trust each
kind of neighbour memory. All is a pure function, unbatched; people are added by ``vmap``.

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


def logits(
    theta: Theta,
    queries: Float[Tensor, "prefixes width"],
    candidates: Candidates,
    evidence: Float[Tensor, "prefixes items kinds"],
) -> Float[Tensor, "prefixes items"]:
    """One person's scores after each prefix: e^sharpness ⟨q, t_j⟩ + popularity·b_j + trust·m_j."""
    matched = point(theta, queries, candidates) @ candidates.vectors.T
    scores = torch.exp(theta["sharpness"]) * matched + candidates.traits @ theta["popularity"]
    return scores + evidence @ theta["trust"] if "trust" in theta else scores


def point(
    theta: Theta, queries: Float[Tensor, "prefixes width"], candidates: Candidates
) -> Float[Tensor, "prefixes width"]:
    """The query after gain and shift; its product with a vector is the mean of all members'."""
    queries = queries * theta["gain"] + theta["shift"]
    if not candidates.scale:
        return queries / candidates.members
    pieces = queries.reshape(*queries.shape[:-1], candidates.members, -1)
    # Unlike a norm, this has second derivatives where dropout has left nothing of a query.
    lengths = torch.rsqrt(pieces.square().sum(dim=-1, keepdim=True) + 1e-6)
    return (candidates.scale / candidates.members * pieces * lengths).flatten(-2)
