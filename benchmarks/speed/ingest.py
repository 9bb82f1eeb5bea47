"""Ten million generated events from a file to a data set that is ready for training.

The floor beside it is polars reading the file and sorting it, without a check of anything.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.speed.figures import Figure, seconds
from benchmarks.speed.world import people
from clusterseq.bench.cost import peak_mb
from clusterseq.data.dataset import Dataset
from clusterseq.reading.events import read_events

SECTION = "ingest"
EVENTS, ITEMS = 10_000_000, 200_000
LIMITS = {"parquet": 15, "csv": 30}
"""Seconds that are asked for."""


def run(events: int = EVENTS) -> Iterator[Figure]:
    """Seconds and memory for Parquet, then for CSV."""
    with tempfile.TemporaryDirectory() as folder:
        for kind, limit in LIMITS.items():
            path = Path(folder) / f"events.{kind}"
            _write(events, path)
            took = seconds(partial(_ready, path), runs=1, warm=0)
            peak = peak_mb()
            floor = seconds(partial(_sorted, path), runs=1)
            case = f"{events:,} events from {kind}"
            rival = "polars reading and sorting alone"
            yield Figure(SECTION, case, took, "s", rival, floor / took, f"value <= {limit}")
            if peak is not None:
                yield Figure(SECTION, f"memory, {kind}", peak, "MiB", target="value <= 3072")


def _ready(path: Path) -> Dataset:
    return Dataset.from_events(read_events(path))


def _write(events: int, path: Path) -> None:
    """Generated events, from a process of its own, whose memory is not counted here."""
    writer = multiprocessing.get_context("spawn").Process(target=_written, args=(events, path))
    writer.start()
    writer.join()
    if writer.exitcode:
        raise SystemExit(f"{path}: the events could not be written")


def _written(events: int, path: Path) -> None:
    frame = _frame(events)
    frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)


def _frame(events: int) -> pl.DataFrame:
    known = people(int(events / 8.9), ITEMS)
    size = min(events, len(known.items))
    draws = np.random.default_rng(1)
    columns = {
        "user": known.user_of_event[:size],
        "item": known.items[:size],
        "timestamp": 1_600_000_000 + draws.integers(0, 10**8, size),
    }
    return pl.DataFrame(columns)


def _sorted(path: Path) -> pl.DataFrame:
    read: Callable[[Path], pl.DataFrame] = (
        pl.read_parquet if path.suffix == ".parquet" else pl.read_csv
    )
    return read(path).sort("user", "timestamp")
