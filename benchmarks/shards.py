"""What an item table in shares takes of each process: ``python -m benchmarks.shards``.

Two processes pre-train for an epoch, with a whole table and in shares; when it ends, each says how
much memory it holds and has held, and how long it took. Prints the table in docs/scaling.md.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from clusterseq.config import Config, ModelConfig, Runtime, TrainConfig
from clusterseq.data.sequences import Sequences
from clusterseq.learning.train import fit

ITEMS, PEOPLE, EVENTS = 1_000_000, 10_000, 9
DIM = 64
CONFIG = Config(
    model=ModelConfig(members=1, dim=DIM, clustering=False),
    train=TrainConfig(pretrain_epochs=1, meta_epochs=0),
)
WHOLE, SHARES = "whole", "in shares"


class _EpochEndedError(Exception):
    """There is nothing to see after the first epoch."""


class _Meter:
    """Says what a process holds when the epoch ends, and ends the training there."""

    def step(self, stage: str, done: int, total: int) -> None:
        """Do nothing."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Print it in one line."""
        told = Path("/proc/self/status").read_text(encoding="ascii")
        held = [int(re.findall(rf"{name}:\s+(\d+)", told)[0]) // 1024 for name in ("RSS", "HWM")]
        print("found", *held, round(record["seconds"]), flush=True)
        raise _EpochEndedError


def main() -> None:
    """Start two processes for each row."""
    if sys.argv[1:]:
        _train(shard_items=sys.argv[1] == SHARES)
        return
    print("| item table | held by each process | most held | epoch |\n|---|--:|--:|--:|")
    for kind in (WHOLE, SHARES):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node=2", "-m", "benchmarks.shards", kind]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("found")]
        held, most, seconds = (max(map(int, column)) for column in zip(*found, strict=True))
        print(f"| {kind} | {held:,} MiB | {most:,} MiB | {seconds} s |", flush=True)


def _train(*, shard_items: bool) -> None:
    draws = np.random.default_rng(0)
    people = (ITEMS * draws.random((PEOPLE, EVENTS)) ** 3).astype(np.int64)
    known, judges = (
        Sequences.from_rows(people[:-100].tolist()),
        Sequences.from_rows(people[-100:].tolist()),
    )
    runtime = Runtime(threads=1, shard_items=shard_items)
    try:
        fit(known, judges, CONFIG, n_items=ITEMS, runtime=runtime, watcher=_Meter())
    except _EpochEndedError:
        os._exit(0)  # both are at the same place


if __name__ == "__main__":
    main()
