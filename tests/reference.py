"""Scores as the equations have them, one person at a time.

Knows nothing about: how the package computes them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from clusterseq.model.head import Candidates, Theta


def logits(values: Tensor, queries: Tensor, some: Candidates, evidence: Tensor) -> Tensor:
    """e^sharpness · mean over members of ⟨q, t_j⟩ + popularity · b_j + trust · m_j.

    ``values`` are one person's θ, ``evidence`` is kinds × queries × items.
    """
    theta = Theta(values, some)
    moved = queries * theta.gain + theta.shift
    matched = []
    for query, vectors in zip(
        moved.chunk(some.members, dim=1), some.vectors.chunk(some.members, dim=1), strict=True
    ):
        pointed = query
        if some.scale:
            pointed = some.scale * query / (query.square().sum(dim=1, keepdim=True) + 1e-6).sqrt()
        matched.append(pointed @ vectors.T)
    found: Tensor = torch.exp(theta.sharpness) * torch.stack(matched).mean(dim=0)
    found = found + theta.popularity @ some.traits.T
    return found + (theta.trust[0, :, None, None] * evidence).sum(dim=0)
