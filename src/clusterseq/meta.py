"""Meta-learning: adapt θ to one person by gradient steps on their support (section 3.2.5, MAML).

The inner loop of Finn et al. 2017 (arXiv 1703.03400) with a learnt step size for every parameter
and step (MAML++, Antoniou et al. 2019, arXiv 1810.09502). ``adapt`` is a pure function of one
person; ``torch.func.vmap`` makes it one of many, and second order costs nothing but the flag.

Knows nothing about: models, clusters, how a support is made, the outer optimiser.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import grad, vmap

from clusterseq.model.head import Candidates, Theta, logits


@dataclass(frozen=True)
class Support:
    """The support prefixes of some people: after each, the next item against shared anchors."""

    queries: Float[Tensor, "*users prefixes dim"]
    """The query after each prefix."""
    targets: Float[Tensor, "*users prefixes dim"]
    """The vector of the item that came next."""
    target_traits: Float[Tensor, "*users prefixes traits"]
    """The traits of the item that came next."""
    evidence: Float[Tensor, "*users prefixes candidates kinds"]
    """What the memory says of the item that came next (first) and of the anchors."""
    counted: Float[Tensor, "*users prefixes"]
    """1 for a prefix that exists, 0 for padding."""
    rivals: Float[Tensor, "*users prefixes anchors"]
    """Log-weight of each anchor in the softmax; −∞ where it is the item that came next."""

    def parts(self) -> tuple[Tensor, ...]:
        """The tensors in the order of the fields, as ``vmap`` takes them."""
        return (
            self.queries,
            self.targets,
            self.target_traits,
            self.evidence,
            self.counted,
            self.rivals,
        )


def support_loss(theta: Theta, support: Support, anchors: Candidates) -> Float[Tensor, ""]:
    """One person's mean cross-entropy over the support prefixes; 0 where there is none."""
    against = logits(theta, support.queries, anchors, support.evidence[:, 1:]) + support.rivals
    target = _target_logits(theta, support, anchors)
    everything = torch.cat([target[:, None], against], dim=1)
    losses = torch.logsumexp(everything, dim=1) - target
    return (losses * support.counted).sum() / support.counted.sum().clamp_min(1.0)


def adapt(
    theta: Theta, rates: Theta, support: Support, anchors: Candidates, *, second_order: bool
) -> dict[str, Tensor]:
    """One person's θ after gradient steps on their support; ``rates`` hold a row for each step.

    θ' = θ − α_s ∘ ∇ L_support(θ), repeated over the steps s (MAML, eq. 1).
    """
    adapted = dict(theta)
    for step in range(len(next(iter(rates.values())))):
        gradient = grad(support_loss)(adapted, support, anchors)
        for name, value in adapted.items():
            slope = gradient[name] if second_order else gradient[name].detach()
            adapted[name] = value - rates[name][step] * slope
    return adapted


def adapt_all(
    theta: Theta, rates: Theta, support: Support, anchors: Candidates, *, second_order: bool
) -> dict[str, Tensor]:
    """``adapt`` for many people at once: every tensor of θ and support has a leading users axis."""

    def one(start: Theta, *parts: Tensor) -> dict[str, Tensor]:
        return adapt(start, rates, Support(*parts), anchors, second_order=second_order)

    axes = (0,) * (1 + len(support.parts()))
    adapted: dict[str, Tensor] = vmap(one, in_dims=axes)(dict(theta), *support.parts())
    return adapted


def _target_logits(
    theta: Theta, support: Support, anchors: Candidates
) -> Float[Tensor, " prefixes"]:
    """The logit of each prefix's own next item, as ``logits`` would give it."""

    def one(query: Tensor, vector: Tensor, traits: Tensor, evidence: Tensor) -> Tensor:
        own = replace(anchors, vectors=vector[None], traits=traits[None])
        return logits(theta, query[None], own, evidence[None, None])[0, 0]

    found: Tensor = vmap(one)(
        support.queries, support.targets, support.target_traits, support.evidence[:, 0]
    )
    return found
