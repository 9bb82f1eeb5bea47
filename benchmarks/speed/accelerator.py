"""The same work on an accelerator: a meta-training step, an epoch of pre-training, newcomers.

Each figure stands beside the processor of the same machine, and beside the rate of products that
the accelerator reaches on large matrices. Without a CUDA device nothing is measured.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.figures import Figure, seconds
from benchmarks.speed.meta_step import own_step
from benchmarks.speed.newcomer import best, newcomers
from benchmarks.speed.pretraining import epoch
from benchmarks.speed.settings import model_of
from benchmarks.speed.world import people
from clusterseq.config import ModelConfig, TrainConfig
from clusterseq.data.sequences import Sequences
from clusterseq.data.tasks import draw_tasks
from clusterseq.data.windows import Windows
from clusterseq.learning.pretrain import PrefixLoss
from clusterseq.machine.accelerator import CPU, device_named
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.ranker import Ranker

SECTION = "accelerator"
USERS, ITEMS = 22_363, 12_101
"""People and items of beauty_5core."""
TASKS = (1_024, 8_192)
SIDE = 8_192
"""Rows and columns of the matrices that measure the rate of products."""
FLOATS = 1_000_000_000
PRESET = ModelConfig()
WIDTHS = ((1, 64), (1, 256), (PRESET.members, PRESET.dim))


def run(name: str = "cuda") -> Iterator[Figure]:
    """Rates of the device, then the work on it and beside it."""
    if name == "cuda" and not torch.cuda.is_available():
        print("no CUDA device: nothing is measured", file=sys.stderr)
        return
    device = device_named(name)
    rate = _rate(torch.float32, device)
    yield Figure(SECTION, f"products, TensorFloat-32, {_name(device)}", rate, "TFLOP/s")
    yield Figure(SECTION, "products, bfloat16", _rate(torch.bfloat16, device), "TFLOP/s")
    yield Figure(SECTION, "memory, read and written", _bandwidth(device), "GB/s")
    known = people(USERS, ITEMS)
    for members, dim in WIDTHS:
        here = model_of(known, ITEMS, members=members, dim=dim)
        there = copy.deepcopy(here).on(device)
        case = f"{members} × {dim}"
        for many in TASKS:
            yield from _meta(here, there, known, many, f"{many:,} tasks, {case}", rate)
        yield _pretraining(here, there, known, case)
        yield _newcomers(here, there, case)


def _meta(
    here: ClusterSeq, there: ClusterSeq, known: Sequences, many: int, case: str, rate: float
) -> Iterator[Figure]:
    tasks = draw_tasks(known, np.arange(many), np.random.default_rng(0), support=3)
    beside = many / seconds(own_step(here, tasks), runs=3)
    step = own_step(there, tasks.to(there.device))
    with FlopCounterMode(display=False) as counter:
        step()
    took = seconds(_waited(step), runs=10, warm=3)
    share = counter.get_total_flops() / took / 1e12 / rate
    name = f"meta-training step, {case}"
    yield Figure(SECTION, name, many / took, "users/s", "its processor", many / took / beside)
    yield Figure(SECTION, f"share of that rate, {case}", share, "share")


def _pretraining(here: ClusterSeq, there: ClusterSeq, known: Sequences, case: str) -> Figure:
    config = TrainConfig()
    windows = Windows.of(known, config.window)
    batches = windows.batches(config.sequences_per_batch, np.random.default_rng(0))
    beside, took = (epoch(model, PrefixLoss(model, config), batches) for model in (here, there))
    return Figure(SECTION, f"pre-training epoch, {case}", took, "s", "its processor", beside / took)


def _newcomers(here: ClusterSeq, there: ClusterSeq, case: str) -> Figure:
    histories = newcomers(1_024, ITEMS, 0)
    beside, speed = (
        1_024 / seconds(_waited(partial(best, Ranker(model), histories))) for model in (here, there)
    )
    name = f"1,024 newcomers at once, {case}"
    return Figure(SECTION, name, speed, "users/s", "its processor", speed / beside)


def _rate(dtype: torch.dtype, device: torch.device) -> float:
    """10¹² operations a second of one large product: 2 n³ operations."""
    side = SIDE if device != CPU else 512
    one, two = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / seconds(_waited(lambda: one @ two)) / 1e12


def _bandwidth(device: torch.device) -> float:
    numbers = torch.zeros(FLOATS if device != CPU else 1_000_000, device=device)
    return 2 * numbers.nbytes / seconds(_waited(lambda: numbers.add_(1.0))) / 1e9


def _waited(action: Callable[[], object]) -> Callable[[], None]:
    """The action, and its end: an accelerator works on when a call has returned."""

    def whole() -> None:
        action()
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    return whole


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "the processor"
