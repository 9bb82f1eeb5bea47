"""Meta-learning: adapt θ to each person by gradient steps on their support (section 3.2.5, MAML).

The inner loop of Finn et al. 2017 (arXiv 1703.03400) with a learnt step size for every parameter
and step (MAML++, Antoniou et al. 2019, arXiv 1810.09502). What adapts sits in the last layer, so
the inner gradient is written out: many people are a few matrix products, and a person at use costs
no automatic differentiation at all. The outer gradient goes through the written one as through any
other expression, which makes it second order.

Knows nothing about: models, clusters, how a support is made, the outer optimiser.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from clusterseq.model.head import Candidates, Pointer, Theta


@dataclass(frozen=True)
class Support:
    """The support prefixes of some people: after each, the next item against shared anchors.

    Candidates are the item that came next (first) and the anchors.
    """

    queries: Float[Tensor, "*users prefixes width"]
    """The query after each prefix."""
    targets: Float[Tensor, "*users prefixes columns"]
    """The columns of the item that came next (see ``Candidates``)."""
    evidence: Float[Tensor, "*users kinds cells"]
    """What each kind of memory says of the candidates, with prefixes and candidates in a row, as
    products read it; no kinds without a memory."""
    offsets: Float[Tensor, "*users prefixes candidates"]
    """Log-weight of each candidate in the softmax; −∞ for an anchor that came next itself."""
    weights: Float[Tensor, "*users prefixes 1"]
    """The share of each prefix in its person's mean."""
    minus_truth: Float[Tensor, "*users prefixes candidates"]
    """Minus what the softmax of each prefix should be, in parts of the mean."""

    @classmethod
    def of(
        cls,
        *,
        queries: Float[Tensor, "*users prefixes width"],
        targets: Float[Tensor, "*users prefixes columns"],
        evidence: Float[Tensor, "*users kinds prefixes candidates"],
        counted: Float[Tensor, "*users prefixes"],
        offsets: Float[Tensor, "*users prefixes candidates"],
    ) -> Support:
        """What the steps of the inner loop read is made once; ``counted`` is 0 for padding."""
        sums = counted.sum(dim=-1, keepdim=True).clamp_min(1.0)
        weights = (counted / sums)[..., None]
        truth = offsets.new_zeros(offsets.shape[-1])
        truth[0] = 1
        return cls(queries, targets, evidence.flatten(-2), offsets, weights, -weights * truth)


def offsets_of(
    targets: Int64[Tensor, "*users prefixes"], anchors: Int64[Tensor, " anchors"], n_items: int
) -> Float[Tensor, "*users prefixes candidates"]:
    """``Support.offsets``: an anchor stands for the items that were not drawn, too.

    As if what came next were itself one of the anchors: where it isn't, they count for one part in
    as many too much, which with 128 of them is .008 nats.

    >>> offsets_of(torch.tensor([[7, 4]]), torch.tensor([2, 4, 6]), n_items=3)
    tensor([[[0., 0., 0., 0.],
             [0., 0., -inf, 0.]]])
    """
    weight = math.log(max(1, n_items - 1) / max(1, len(anchors) - 1))
    offsets = torch.where(targets[..., None] == anchors, -torch.inf, weight)
    return torch.nn.functional.pad(offsets, (1, 0))


def support_loss(
    theta: Float[Tensor, "*users size"], support: Support, anchors: Candidates
) -> Float[Tensor, "*users"]:
    """Each person's mean cross-entropy over the support prefixes; 0 where there is none."""
    parts = Theta(theta, anchors)
    scores = _scores(parts, Pointer(parts, support.queries, anchors), support, anchors)
    losses = torch.logsumexp(scores, dim=-1) - scores[..., 0]
    return (losses * support.weights[..., 0]).sum(dim=-1)


def support_gradient(
    theta: Float[Tensor, "*users size"], support: Support, anchors: Candidates
) -> Float[Tensor, "*users size"]:
    """The gradient of ``support_loss`` with respect to each person's θ, written out.

    With the errors e = softmax(scores) − [1, 0, …], one row per prefix and in parts of the mean,
    every parameter collects e times what it multiplies; gain and shift get theirs through the
    direction of the query (``Pointer.pull_back``).
    """
    parts = Theta(theta, anchors)
    pointer = Pointer(parts, support.queries, anchors)
    probabilities = _scores(parts, pointer, support, anchors).softmax(dim=-1)
    errors = torch.addcmul(support.minus_truth, probabilities, support.weights)
    # What the errors have of the candidates' columns: (users, prefixes, columns)
    target_errors, anchor_errors = errors[..., :1], errors[..., 1:]
    column_grad = torch.addcmul(anchor_errors @ anchors.columns, target_errors, support.targets)
    trust_grad = errors.flatten(-2).unsqueeze(-2) @ support.evidence.mT
    return torch.cat([pointer.pull_back(column_grad), trust_grad.squeeze(-2)], dim=-1)


def adapt(
    theta: Float[Tensor, "*users size"],
    rates: Float[Tensor, "steps size"],
    support: Support,
    anchors: Candidates,
    *,
    second_order: bool,
) -> Float[Tensor, "*users size"]:
    """Everybody's θ after gradient steps on their support, one for each row of ``rates``.

    θ' = θ − α_s ∘ ∇ L_support(θ), repeated over the steps s (MAML, eq. 1). People don't influence
    each other. In first order the gradient counts as a constant.
    """
    for rate in rates:
        with torch.set_grad_enabled(second_order and torch.is_grad_enabled()):
            gradient = support_gradient(theta, support, anchors)
        theta = torch.addcmul(theta, rate, gradient, value=-1)
    return theta


def _scores(
    theta: Theta, pointer: Pointer, support: Support, anchors: Candidates
) -> Float[Tensor, "*users prefixes candidates"]:
    """The logits of each prefix's own next item (first) and of the anchors."""
    queries = pointer.columns
    target_scores = (queries * support.targets).sum(dim=-1, keepdim=True)
    scores = torch.cat([target_scores, queries @ anchors.columns.T], dim=-1) + support.offsets
    votes = theta.trust @ support.evidence  # (users, 1, cells)
    return scores + votes.reshape(scores.shape)
