"""Episodic training: batches of tasks of known people, until the judges see no more progress.

An episode is what a newcomer brings, a few items and the one that came next (``tasks``); every
model that learns to learn from them is trained by the same loop. A batch draws people anew, with
replacement; every so many steps the validation users judge, the best state is kept, and training
ends after a few checks without a better one.

Knows nothing about: what a model does with a task, how it scores, tuning.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from clusterseq.baselines.peer import Setting
from clusterseq.data.tasks import Tasks, draw_tasks
from clusterseq.errors import DataError
from clusterseq.judging.judge import Score, mean_reciprocal_rank

EpisodeLoss: TypeAlias = Callable[[Tasks, torch.Generator], Float[Tensor, ""]]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train."""

    support: int
    """Most items of an episode's support."""
    batch: int = 256
    """Episodes of a step."""
    learning_rate: float = 1e-3
    """Of Adam."""
    most_steps: int = 100_000
    """The end, however much is still gained."""
    check_every: int = 500
    """Steps between two looks at the validation users."""
    patience: int = 4
    """Checks without a better state before training ends."""


def learn(
    model: nn.Module, loss: EpisodeLoss, score: Score, setting: Setting, schedule: Schedule
) -> int:
    """Train a model and leave it in its best state; returns the steps that took.

    Raises:
        DataError: no known person has two events.
    """
    people = np.flatnonzero(setting.known.lengths > 1)
    if not len(people):
        raise DataError("no known user has two events, so nothing follows anything", code="split")
    judges, model = setting.judges(), model.to(setting.device)
    generator = setting.generator("episodes", setting.device)
    draws = np.random.default_rng([setting.seed, *b"episodes"])
    optimiser = torch.optim.Adam(model.parameters(), schedule.learning_rate)
    best, best_state, best_step = -1.0, model.state_dict(), 0
    for step in range(1, schedule.most_steps + 1):
        users = draws.choice(people, schedule.batch)
        tasks = draw_tasks(setting.known, users, draws, support=schedule.support)
        optimiser.zero_grad()
        loss(tasks.to(setting.device), generator).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % schedule.check_every and step < schedule.most_steps:
            continue
        mrr = mean_reciprocal_rank(score, judges)
        if mrr > best:
            best, best_state, best_step = mrr, copy.deepcopy(model.state_dict()), step
        elif step - best_step >= schedule.patience * schedule.check_every:
            break
    model.load_state_dict(best_state)
    return best_step


def draw_rivals(
    held: Int64[Tensor, "users held"], n_items: int, uniform: Float[Tensor, "users rivals"]
) -> Int64[Tensor, "users rivals"]:
    """Uniform items that a person doesn't hold: numbers from [0, 1) pick among those left.

    Cells of ``held`` outside the catalogue are padding. Whoever holds everything gets any item.

    >>> uniform = torch.tensor([[0.0, 0.4, 0.9], [0.0, 0.4, 0.9]])
    >>> draw_rivals(torch.tensor([[0, 2, 0], [9, 3, 9]]), 4, uniform).tolist()
    [[1, 1, 3], [0, 1, 2]]
    """
    ordered = held.sort(dim=1).values
    repeated = torch.zeros_like(ordered, dtype=torch.bool)
    repeated[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    ordered = torch.where(repeated | (ordered >= n_items), n_items, ordered)
    ordered = ordered.sort(dim=1).values
    free = n_items - (ordered < n_items).sum(dim=1, keepdim=True)
    rivals = (uniform.double() * free.clamp_min(1)).long()
    for item in ordered.unbind(1):  # in ascending order, each moves those from it on by one
        rivals += rivals >= item[:, None]
    return rivals.clamp_max(n_items - 1)


@contextmanager
def drawn_by(generator: torch.Generator) -> Iterator[None]:
    """Let layers that only know PyTorch's global generator start from this one's numbers.

    >>> seeded = lambda: torch.Generator().manual_seed(0)
    >>> with drawn_by(seeded()):
    ...     one = nn.Linear(2, 2)
    >>> with drawn_by(seeded()):
    ...     other = nn.Linear(2, 2)
    >>> torch.equal(one.weight, other.weight)
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        yield
