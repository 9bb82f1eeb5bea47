"""What each step of the inner loop changes for people never seen: the adaptation curve.

Beyond the steps that were learnt, the step sizes of the last one are used again.

Knows nothing about: drawing, files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences, evenly
from clusterseq.data.tasks import Tasks
from clusterseq.judging.judge import log_likelihood, mean_reciprocal_rank
from clusterseq.machine.progress import Progress
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.ranker import Ranker

SHOWN_STEPS = 10
AT_MOST = 1_500
"""People who are judged."""


@dataclass(frozen=True)
class AtStep:
    """How people are served after so many steps of the inner loop."""

    steps: int
    mrr: float
    """In the full catalogue."""
    loss: float
    """Mean −log probability of what came next, in nats."""


def adaptation_curve(
    ranker: Ranker, people: Sequences, k: int, progress: Progress | None = None
) -> list[AtStep]:
    """The accuracy after 0, 1, … steps on people with more than ``k`` items; k = 1 has no support.

    Empty for a model that doesn't adapt, and where nobody has so many items.
    """
    tasks = _tasks(people, k)
    if ranker.model.rates is None or not len(tasks):
        return []
    curve, most = [], max(SHOWN_STEPS, len(ranker.model.rates))
    with _longer(ranker.model):
        for steps in range(most + 1):

            def score(histories: Histories, steps: int = steps) -> torch.Tensor:
                return ranker.scores(ranker.adapt(histories, steps))

            curve.append(
                AtStep(steps, mean_reciprocal_rank(score, tasks), -log_likelihood(score, tasks))
            )
            if progress:
                progress(steps + 1, most + 1)
    return curve


def _tasks(people: Sequences, k: int) -> Tasks:
    """The first ``k`` items of some people, and the next one."""
    users = np.flatnonzero(people.lengths > k)
    rows = list(people.select(evenly(users, AT_MOST))) if len(users) else []
    targets = np.array([row[k] for row in rows], dtype=np.int64)
    return Tasks(Histories.from_lists(row[:k] for row in rows), torch.from_numpy(targets))


@contextmanager
def _longer(model: ClusterSeq) -> Iterator[None]:
    """The inner loop lengthened, for a while."""
    learnt = model.rates
    assert learnt is not None, "only a model that adapts has steps"
    more = learnt[-1:].expand(max(0, SHOWN_STEPS - len(learnt)), -1)
    model.rates = nn.Parameter(torch.cat([learnt, more]).detach(), requires_grad=False)
    try:
        yield
    finally:
        model.rates = learnt
