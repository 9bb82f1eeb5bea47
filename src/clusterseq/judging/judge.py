"""The judge of a training: what validation users did next after their first few items.

MRR is what early stopping and tuning of the peers follow. It takes every short prefix of a
validation user, not one target each: a few hundred people are few. Ours follows the log-likelihood
of the same prefixes, as its scores are calibrated: it says more with as many people, since MRR
hangs on a few ranks.

Knows nothing about: test users, how scores come about, epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.data.tasks import Tasks, prefixes
from clusterseq.errors import TrainingError
from clusterseq.judging.metrics import rank_of_target
from clusterseq.judging.scorer import require_scores
from clusterseq.model.losses import cross_entropy

AT_MOST = 2_000
LONGEST = 5
SCORED_AT_ONCE = 256
CELLS = 8_000_000
"""Bound on people × items of one ranking, unless one person's are more."""

Score: TypeAlias = Callable[[Histories], Float[Tensor, "users items"]]


def judged_tasks(people: Sequences, generator: np.random.Generator) -> Tasks:
    """At most 2,000 prefixes of 1 to 5 items of people whom the model does not train on."""
    return prefixes(people, generator, longest=LONGEST, at_most=AT_MOST)


def mean_reciprocal_rank(score: Score, tasks: Tasks) -> float:
    """MRR of the tasks' targets in the full catalogue less their support."""
    ranks = (rank_of_target(scores, *rest) for scores, *rest in _judged(score, tasks))
    return sum(float((1 / part).sum()) for part in ranks) / len(tasks)


@torch.no_grad()
def log_likelihood(score: Score, tasks: Tasks) -> float:
    """Mean log-probability of the tasks' targets, by the softmax over what isn't in the support."""
    losses = (cross_entropy(*batch) * len(batch[1]) for batch in _judged(score, tasks))
    return -sum(map(float, losses)) / len(tasks)


def _judged(
    score: Score, tasks: Tasks
) -> Iterator[
    tuple[Float[Tensor, "users items"], Int64[Tensor, " users"], Bool[Tensor, "users items"]]
]:
    """Scores, targets and what was touched before, for some people at a time."""
    at_once = min(SCORED_AT_ONCE, max(1, CELLS // _n_items(score, tasks)))
    for start in range(0, len(tasks), at_once):
        batch = tasks[slice(start, start + at_once)]
        scores = score(batch.support)
        require_scores(scores, len(batch))
        if not bool(torch.isfinite(scores).all()):
            raise TrainingError("scores that are not finite; lower the learning rate")
        batch = batch.to(scores.device)  # a network scores where it lies
        yield scores, batch.targets, batch.support.touched(scores.shape[1])


def _n_items(score: Score, tasks: Tasks) -> int:
    """As one person's scores tell it."""
    scores = score(tasks[slice(0, 1)].support)
    require_scores(scores, min(1, len(tasks)))
    return max(1, scores.shape[1])
