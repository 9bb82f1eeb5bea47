"""Traces of a training: of which steps, where they go, and that they change nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from clusterseq.learning.profiler import STEPS, WARMING, Profiler
from clusterseq.machine.progress import Silent
from tests.tiny import trained


class Listener(Silent):
    """A watcher that counts what it is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int, int]] = []
        self.records: list[Mapping[str, Any]] = []

    def step(self, stage: str, done: int, total: int) -> None:
        self.steps.append((stage, done, total))

    def epoch(self, record: Mapping[str, Any]) -> None:
        self.records.append(record)


def work(profiler: Profiler, stage: str, total: int) -> None:
    """Steps of one product each."""
    for done in range(1, total + 1):
        torch.ones(2, 2) @ torch.ones(2, 2)
        profiler.step(stage, done, total)


def products(folder: Path, stage: str) -> int:
    """How many products a trace holds."""
    events = json.loads((folder / f"{stage}.trace.json").read_text())["traceEvents"]
    return sum(event.get("name") == "aten::matmul" for event in events)


def test_some_steps_of_each_stage_are_recorded(tmp_path: Path) -> None:
    listener = Listener()
    with Profiler(listener, tmp_path / "traces") as profiler:
        profiler.step("prepare", 0, 1)
        profiler.step("prepare", 1, 1)
        work(profiler, "long", 2 * (WARMING + STEPS))
        work(profiler, "short", 3)
    assert products(tmp_path / "traces", "long") == STEPS
    assert products(tmp_path / "traces", "short") == 1
    names = [path.name for path in profiler.written]
    kinds = ("trace.json", "table.txt")
    assert names == [f"{stage}.{kind}" for stage in ("long", "short") for kind in kinds]
    assert "aten::mm" in (tmp_path / "traces" / "long.table.txt").read_text()
    assert len(listener.steps) == 2 + 2 * (WARMING + STEPS) + 3


def test_what_ends_while_it_is_recorded_is_kept(tmp_path: Path) -> None:
    with Profiler(Silent(), tmp_path) as profiler:
        for done in range(1, WARMING + 2):
            torch.ones(2, 2) @ torch.ones(2, 2)
            profiler.step("stopped", done, 100)
    assert products(tmp_path, "stopped") == 1


def test_a_recorded_training_ends_in_the_same_weights(tmp_path: Path) -> None:
    listener = Listener()
    with Profiler(listener, tmp_path) as profiler:
        recorded = trained(watcher=profiler)
    plain = trained()
    assert all(torch.equal(t, plain.tensors()[n]) for n, t in recorded.tensors().items())
    assert {path.name.split(".")[0] for path in profiler.written} == {"pretrain", "meta"}
    assert listener.records
