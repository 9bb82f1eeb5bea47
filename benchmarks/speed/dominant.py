"""What each phase spends its time on: the operations with the largest shares, by PyTorch.

Shares are of the operations' own time; what Python adds between them is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.speed.figures import Figure
from benchmarks.speed.newcomer import newcomers
from benchmarks.speed.settings import model_of
from benchmarks.speed.world import people
from clusterseq.config import TrainConfig
from clusterseq.data.sequences import Sequences
from clusterseq.data.tasks import draw_tasks
from clusterseq.data.windows import Windows
from clusterseq.judging.evaluate import evaluate
from clusterseq.learning.folds import FoldTasks
from clusterseq.learning.metatrain import MetaLoss
from clusterseq.learning.pretrain import PrefixLoss
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.ranker import Ranker

SECTION = "what dominates"
USERS, ITEMS = 22_363, 12_101
"""People and items of beauty_5core."""
SHOWN = 4
"""Operations of each phase."""
REPEATS = 5


def run() -> Iterator[Figure]:
    """Of a step of pre-training and one of meta-training, of a newcomer, and of a judgement."""
    known = people(USERS, ITEMS)
    model = model_of(known, ITEMS, members=4, dim=128)
    yield from _largest("pre-training", _pretraining(model, known))
    yield from _largest("meta-training", _meta_training(model, known))
    ranker = Ranker(model)
    yield from _largest("newcomer", lambda: ranker.score(newcomers(1, ITEMS, 0)))
    judged, counts = known.select(np.arange(500)), np.bincount(known.items, minlength=ITEMS)
    yield from _largest("evaluation", lambda: evaluate(ranker, judged, item_counts=counts))


def _largest(phase: str, action: Callable[[], object]) -> Iterator[Figure]:
    action()
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        for _ in range(REPEATS):
            action()
    found = recorded.key_averages()
    whole = sum(each.self_cpu_time_total for each in found)
    found = sorted(found, key=lambda each: -each.self_cpu_time_total)[:SHOWN]
    for each in found:
        yield Figure(SECTION, f"{phase}: {each.key}", each.self_cpu_time_total / whole, "share")


def _pretraining(model: ClusterSeq, known: Sequences) -> Callable[[], None]:
    config = TrainConfig()
    windows = Windows.of(known, config.window)
    batch = windows.batches(config.sequences_per_batch, np.random.default_rng(0))[0]
    loss = PrefixLoss(model, config)

    def step() -> None:
        loss(batch, torch.Generator().manual_seed(0)).backward()  # type: ignore[no-untyped-call]

    return step


def _meta_training(model: ClusterSeq, known: Sequences) -> Callable[[], None]:
    config = TrainConfig()
    users = np.arange(config.tasks_per_batch)
    batch = FoldTasks(draw_tasks(known, users, np.random.default_rng(0), support=3), model.memory)
    loss = MetaLoss(model, config)
    loss.settle()

    def step() -> None:
        loss(batch, torch.Generator().manual_seed(0)).backward()  # type: ignore[no-untyped-call]

    return step
