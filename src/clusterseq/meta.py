"""Meta-learning: adapt θ to each person by gradient steps on their support (section 3.2.5, MAML).

The inner loop of Finn et al. 2017 (arXiv 1703.03400) with a learnt step size for every parameter
and step (MAML++, Antoniou et al. 2019, arXiv 1810.09502). What adapts sits in the last layer, so
the inner gradient is written out: many people are a few matrix products, and a person at use costs
no automatic differentiation at all. The outer gradient goes through the written one as through any
other expression, which makes it second order.

Knows nothing about: models, clusters, how a support is made, the outer optimiser.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from clusterseq.model.head import Candidates, Pointer, Theta


@dataclass(frozen=True)
class Support:
    """The support prefixes of some people: after each, the next item against shared anchors."""

    queries: Float[Tensor, "*users prefixes width"]
    """The query after each prefix."""
    targets: Float[Tensor, "*users prefixes width"]
    """The vector of the item that came next."""
    facts: Float[Tensor, "*users prefixes candidates facts"]
    """Traits, and what the memory says, of the item that came next (first) and of the anchors."""
    counted: Float[Tensor, "*users prefixes"]
    """1 for a prefix that exists, 0 for padding."""
    offsets: Float[Tensor, "*users prefixes candidates"]
    """Log-weight of each candidate in the softmax; −∞ for an anchor that came next itself."""

    @cached_property
    def weights(self) -> Float[Tensor, "*users prefixes"]:
        """The share of each prefix in its person's mean."""
        return self.counted / self.counted.sum(dim=-1, keepdim=True).clamp_min(1.0)

    @cached_property
    def truth(self) -> Float[Tensor, " candidates"]:
        """1 for the item that came next, 0 for the anchors."""
        return torch.eye(1, self.facts.shape[-2], dtype=self.facts.dtype)[0]


def support_loss(theta: Theta, support: Support, anchors: Candidates) -> Float[Tensor, "*users"]:
    """Each person's mean cross-entropy over the support prefixes; 0 where there is none."""
    scores = _scores(theta, Pointer(theta, support.queries, anchors), support, anchors)
    losses = torch.logsumexp(scores, dim=-1) - scores[..., 0]
    return (losses * support.weights).sum(dim=-1)


def support_gradient(theta: Theta, support: Support, anchors: Candidates) -> dict[str, Tensor]:
    """The gradient of ``support_loss`` with respect to each person's θ, written out.

    With the errors e = softmax(scores) − [1, 0, …], one row per prefix and in parts of the mean,
    every parameter collects e times what it multiplies; gain and shift get theirs through the
    direction of the query (``Pointer.pull_back``).
    """
    pointer = Pointer(theta, support.queries, anchors)
    errors = _scores(theta, pointer, support, anchors).softmax(dim=-1) - support.truth
    errors = errors * support.weights[..., None]
    # What the errors would have of the query, but for its length: (users, prefixes, width)
    wanted = errors[..., :1] * support.targets + errors[..., 1:] @ anchors.vectors
    wanted = wanted * torch.exp(theta["sharpness"])[..., None]
    moved = pointer.pull_back(wanted)
    facts = (errors.flatten(-2)[..., None, :] @ support.facts.flatten(-3, -2)).squeeze(-2)
    traits = theta["popularity"].shape[-1]
    gradient = {
        "gain": (moved * support.queries).sum(dim=-2),
        "shift": moved.sum(dim=-2),
        "sharpness": (pointer.vectors * wanted).sum(dim=(-2, -1))[..., None],
        "popularity": facts[..., :traits],
    }
    return gradient | ({"trust": facts[..., traits:]} if "trust" in theta else {})


def adapt(
    theta: Theta, rates: Theta, support: Support, anchors: Candidates, *, second_order: bool
) -> dict[str, Tensor]:
    """Everybody's θ after gradient steps on their support; ``rates`` hold a row for each step.

    θ' = θ − α_s ∘ ∇ L_support(θ), repeated over the steps s (MAML, eq. 1). People don't influence
    each other. In first order the gradient counts as a constant.
    """
    adapted = dict(theta)
    for step in range(len(next(iter(rates.values())))):
        with torch.set_grad_enabled(second_order and torch.is_grad_enabled()):
            gradient = support_gradient(adapted, support, anchors)
        adapted = {n: value - rates[n][step] * gradient[n] for n, value in adapted.items()}
    return adapted


def _scores(
    theta: Theta, pointer: Pointer, support: Support, anchors: Candidates
) -> Float[Tensor, "*users prefixes candidates"]:
    """The logits of each prefix's own next item (first) and of the anchors."""
    own = (pointer.vectors * support.targets).sum(dim=-1, keepdim=True)
    matched = torch.cat([own, pointer.vectors @ anchors.vectors.T], dim=-1)
    weights = theta["popularity"]
    if "trust" in theta:
        weights = torch.cat([weights, theta["trust"]], dim=-1)
    liked = (support.facts @ weights[..., None, :, None]).squeeze(-1)
    return torch.exp(theta["sharpness"])[..., None] * matched + liked + support.offsets
