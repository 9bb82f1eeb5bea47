"""A blend: the weighted sum of other scorers' scores, each brought to one scale per person.

For each person, a scorer's lowest score becomes 0 and its highest 1, since a count, a similarity
and a logit have nothing else in common. Of a coarse grid of weights, which holds each scorer alone
too, the validation users choose.

Knows nothing about: what it blends, test users.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from clusterseq.baselines.peer import Setting
from clusterseq.data.histories import Histories
from clusterseq.errors import ConfigError
from clusterseq.judging.metrics import rank_of_target
from clusterseq.judging.scorer import Scorer

STEPS = 5
"""Weights are multiples of one fifth."""
SCORED_AT_ONCE = 256


class Blend:
    """Scores an item by the weighted mean of other scorers, on a scale of 0 to 1."""

    def __init__(self, scorers: Sequence[Scorer], weights: Sequence[float]) -> None:
        """Take scorers of one catalogue and the weight of each; the weights sum to 1.

        Raises:
            ConfigError: the scorers don't rank the same catalogue.
        """
        sizes = {scorer.n_items for scorer in scorers}
        if len(sizes) != 1:
            raise ConfigError(f"a blend of scorers of {sorted(sizes)} items; fit them on one split")
        self.scorers, self.weights = tuple(scorers), tuple(weights)
        self.n_items = sizes.pop()
        self.needs_history = any(scorer.needs_history for scorer in scorers)

    @classmethod
    def fit(cls, setting: Setting, scorers: Sequence[Scorer]) -> Blend:
        """Choose the weights by the validation users, who also tuned the scorers."""
        tasks, points = setting.judges(), simplex(len(scorers), STEPS)
        totals = np.zeros(len(points))
        for start in range(0, len(tasks), SCORED_AT_ONCE):
            batch = tasks[slice(start, start + SCORED_AT_ONCE)]
            scores = _scaled(scorers, batch.support)
            touched = batch.support.touched(scores.shape[2])
            for index, weights in enumerate(points):
                ranks = rank_of_target(_mixed(scores, weights), batch.targets, touched)
                totals[index] += (1 / ranks).sum()
        return cls(scorers, points[int(totals.argmax())])

    def score(self, histories: Histories) -> Float[Tensor, "users items"]:
        """The weighted mean of all scorers' scaled scores."""
        return _mixed(_scaled(self.scorers, histories), self.weights)


def simplex(parts: int, steps: int) -> list[tuple[float, ...]]:
    """Every way to share 1 among some parts in steps of 1 / ``steps``.

    >>> simplex(2, steps=2)
    [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)]
    >>> len(simplex(3, steps=5))
    21
    """
    shares = itertools.product(range(steps + 1), repeat=parts)
    return [tuple(part / steps for part in share) for share in shares if sum(share) == steps]


def on_one_scale(scores: Float[Tensor, "users items"]) -> Float[Tensor, "users items"]:
    """From 0 for a person's lowest score to 1 for the highest; 0 where all are equal.

    >>> on_one_scale(torch.tensor([[-1.0, 3.0, 0.0], [7.0, 7.0, 7.0]])).tolist()
    [[0.0, 1.0, 0.25], [0.0, 0.0, 0.0]]
    """
    lowest, highest = scores.aminmax(dim=1, keepdim=True)
    span = highest - lowest
    return (scores - lowest) / torch.where(span > 0, span, 1)


def _scaled(
    scorers: Sequence[Scorer], histories: Histories
) -> Float[Tensor, "scorers users items"]:
    return torch.stack([on_one_scale(scorer.score(histories).double()) for scorer in scorers])


def _mixed(
    scores: Float[Tensor, "scorers users items"], weights: Sequence[float]
) -> Float[Tensor, "users items"]:
    shares = torch.tensor(weights, dtype=scores.dtype)
    return (shares[:, None, None] * scores).sum(dim=0)
