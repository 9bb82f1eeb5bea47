"""How training grows: seconds of an epoch and memory, over items and over people.

Each size is a process of its own, which tells the most memory that it ever held. A few steps are
timed, and as many as an epoch has are charged; what prepares the stages (graph, memory, clusters,
folds) is timed whole. Exponents are slopes in the logarithms of both.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch

from benchmarks.speed.figures import Figure
from benchmarks.speed.world import people
from clusterseq.bench.cost import peak_mb
from clusterseq.config import Config, ModelConfig
from clusterseq.learning.stage import Batch, Place, Stage, run_stage
from clusterseq.learning.trainer import Trainer

SECTION = "growth"
DIM = 64
USERS, ITEMS = 100_000, 12_000
"""What stays as it is while the other grows."""
MANY_ITEMS = (1_000, 10_000, 100_000, 1_000_000)
MANY_USERS = (10_000, 100_000, 1_100_000, 5_500_000)
"""The largest ones have ten and fifty million events."""
NEWCOMERS = 500
"""People who judge the training."""
WARMING, STEPS = 1, 8
"""Steps of a stage that aren't timed, and that are; the median counts."""
LIMIT_MIB = 8 * 1024
"""What training may hold at a million items."""

Cost: TypeAlias = dict[str, float]


def run() -> Iterator[Figure]:
    """Seconds and memory at every size, and the exponents of both series."""
    by_items = {items: cost_of(USERS, items) for items in MANY_ITEMS}
    yield from _series("items", by_items, f"{USERS:,} users")
    by_users = {users: cost_of(users, ITEMS) for users in MANY_USERS}
    yield from _series("users", by_users, f"{ITEMS:,} items")


def _series(what: str, costs: Mapping[int, Cost], beside: str) -> Iterator[Figure]:
    for size, cost in costs.items():
        case = f"{size:,} {what}, {beside}"
        for name, value in cost.items():
            unit = "MiB" if name == "memory" else "s"
            limited = name == "memory" and what == "items" and size == max(MANY_ITEMS)
            target = f"value <= {LIMIT_MIB}" if limited else ""
            yield Figure(SECTION, f"{name}, {case}", value, unit, target=target)
    for name in next(iter(costs.values())):
        slope = _exponent(list(costs), [cost[name] for cost in costs.values()])
        yield Figure(SECTION, f"{name} grows with {what} to the power of", slope, "")


def _exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The slope of a line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-3)), 1)[0])


def cost_of(users: int, items: int) -> Cost:
    """What training costs at one size, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.speed.growth", str(users), str(items)]
    command.append(str(torch.get_num_threads()))
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    cost: Cost = json.loads(done.stdout)
    return cost


def _cost(users: int, items: int) -> Cost:
    """Seconds of preparing and of an epoch of each stage with its judgement, and memory in MiB."""
    config = dataclasses.replace(Config(), model=ModelConfig(members=1, dim=DIM))
    known, validation = people(users, items), people(NEWCOMERS, items, seed=1)
    before = time.perf_counter()
    trainer = Trainer(known, validation, config, items, 0)
    prepared = time.perf_counter() - before
    found = {"pretraining epoch": _epoch(trainer, trainer.pretraining())}
    before = time.perf_counter()
    trainer.start_clusters()
    stage = trainer.meta_training()
    prepared += time.perf_counter() - before
    found = {"preparing": prepared, **found, "meta-training epoch": _epoch(trainer, stage)}
    peak = peak_mb()
    return found if peak is None else {**found, "memory": peak}


def _epoch(trainer: Trainer, stage: Stage[Batch]) -> float:
    """Seconds of all steps of an epoch, from a few, and of the judgement after it."""
    watch = _Watch(stage.epochs)
    silent = dataclasses.replace(stage, validate=None)
    place = Place(stage.name)
    with contextlib.suppress(_EnoughError):
        run_stage(silent, trainer.model, place, seed=0, watcher=watch, checkpoint=_unkept)
    begun = time.perf_counter()
    if stage.validate is not None:
        stage.validate()
    return watch.seconds + time.perf_counter() - begun


def _unkept() -> None:
    pass


class _EnoughError(Exception):
    """Some steps were timed."""


class _Watch:
    """Takes the time of some steps, and ends the stage after them."""

    def __init__(self, epochs: int) -> None:
        self.epochs, self.seconds = epochs, 0.0
        self.times: list[float] = []

    def step(self, stage: str, done: int, total: int) -> None:
        """Remember when a step ended; after the last one, charge an epoch."""
        self.times.append(time.perf_counter())
        if done >= min(WARMING + STEPS, total):
            step = statistics.median(np.diff(self.times[WARMING - 1 :]).tolist() or [0.0])
            self.seconds = step * total / self.epochs
            raise _EnoughError

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Look away."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Cost of one size, as JSON.")
    for name in ("users", "items", "threads"):
        parser.add_argument(name, type=int)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(json.dumps(_cost(given.users, given.items)))
