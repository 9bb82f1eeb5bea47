"""A blend: the weighted sum of other scorers' scores, each brought to one scale per person.

A count, a similarity and a logit have nothing in common but their order, so for each person a
scorer's highest score becomes 1, and 0 is either its lowest, or where it has no evidence. Of these
two scales and a coarse grid of weights, which holds each scorer alone too, the validation users
choose.

Knows nothing about: what it blends, test users.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from clusterseq.baselines.peer import Setting
from clusterseq.data.histories import Histories
from clusterseq.errors import ConfigError
from clusterseq.judging.metrics import rank_of_target
from clusterseq.judging.scorer import Scorer

RATIOS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
"""What weights may be to each other."""
BELOW = 1e-6
"""Scale of what has no evidence, which orders what is left."""
SCORED_AT_ONCE = 256
Scale: TypeAlias = Callable[[Tensor], Tensor]
"""Brings the scores of some people to a scale that is the same for all scorers."""


class Blend:
    """Scores an item by the weighted mean of other scorers, on one scale."""

    def __init__(
        self, scorers: Sequence[Scorer], weights: Sequence[float], scale: Scale | None = None
    ) -> None:
        """Take scorers of one catalogue and the weight of each; the weights sum to 1.

        The scale is ``by_range``, where none is given.

        Raises:
            ConfigError: the scorers don't rank the same catalogue.
        """
        sizes = {scorer.n_items for scorer in scorers}
        if len(sizes) != 1:
            raise ConfigError(f"a blend of scorers of {sorted(sizes)} items; fit them on one split")
        self.scorers, self.weights = tuple(scorers), tuple(weights)
        self.scale = scale or by_range
        self.n_items = sizes.pop()
        self.needs_history = any(scorer.needs_history for scorer in scorers)

    @classmethod
    def fit(cls, setting: Setting, scorers: Sequence[Scorer]) -> Blend:
        """Choose scale and weights by the validation users, who also tuned the scorers."""
        points = [(scale, weights) for scale in SCALES for weights in shares(len(scorers))]
        tasks, totals = setting.judges(), np.zeros(len(points))
        for start in range(0, len(tasks), SCORED_AT_ONCE):
            batch = tasks[slice(start, start + SCORED_AT_ONCE)]
            scores = [scorer.score(batch.support).double() for scorer in scorers]
            scaled = {scale: torch.stack([scale(one) for one in scores]) for scale in SCALES}
            touched = batch.support.touched(scores[0].shape[1])
            for index, (scale, weights) in enumerate(points):
                ranks = rank_of_target(_mixed(scaled[scale], weights), batch.targets, touched)
                totals[index] += (1 / ranks).sum()
        scale, weights = points[int(totals.argmax())]
        return cls(scorers, weights, scale)

    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """The weighted mean of all scorers' scaled scores."""
        scores = (scorer.score(histories).double() for scorer in self.scorers)
        return _mixed(torch.stack([self.scale(one) for one in scores]), self.weights).float()


def shares(parts: int) -> list[tuple[float, ...]]:
    """Ways to share 1 among some parts: each alone first, then all whose ratios are in the grid.

    >>> len(shares(2)), shares(2)[:3]
    (11, [(0.0, 1.0), (1.0, 0.0), (0.058823529411764705, 0.9411764705882353)])
    """
    ratios = itertools.product(RATIOS, repeat=parts)
    distinct = {tuple(one / sum(ratio) for one in ratio) for ratio in ratios if sum(ratio)}
    return sorted(distinct, key=lambda share: (sum(part > 0 for part in share), share))


def by_range(scores: Float[Tensor, "users items"]) -> Float[Tensor, "users items"]:
    """From 0 for a person's lowest score to 1 for the highest; 0 where all are equal.

    >>> by_range(torch.tensor([[-1.0, 3.0, 0.0], [7.0, 7.0, 7.0]])).tolist()
    [[0.0, 1.0, 0.25], [0.0, 0.0, 0.0]]
    """
    lowest, highest = scores.aminmax(dim=1, keepdim=True)
    span = highest - lowest
    return (scores - lowest) / torch.where(span > 0, span, 1)


def by_evidence(scores: Float[Tensor, "users items"]) -> Float[Tensor, "users items"]:
    """From 0 for no evidence to 1 for a person's highest score; what isn't reached ranks below.

    What no evidence reaches has a score below 0 that orders it (``evidence.reached_first``).

    >>> scaled = by_evidence(torch.tensor([[-0.5, 4.0, 1.0], [-0.5, -0.2, -1.0]]))
    >>> scaled.clamp_min(0).tolist(), scaled.argsort(descending=True).tolist()
    ([[0.0, 1.0, 0.25], [0.0, 0.0, 0.0]], [[1, 2, 0], [1, 0, 2]])
    """
    highest = scores.amax(dim=1, keepdim=True)
    evidence = scores.clamp_min(0) / torch.where(highest > 0, highest, 1)
    return evidence + BELOW * scores.clamp_max(0)


SCALES: tuple[Scale, ...] = (by_range, by_evidence)


def _mixed(
    scores: Float[Tensor, "scorers users items"], weights: Sequence[float]
) -> Float[Tensor, "users items"]:
    factors = torch.tensor(weights, dtype=scores.dtype)
    return (factors[:, None, None] * scores).sum(dim=0)
