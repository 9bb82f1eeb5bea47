"""Generated events by the million, from Parquet to a directory of shards, one file or several.

The floor beside it is polars reading the files and sorting them onto the disk, without a check.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.speed.figures import Figure, seconds
from benchmarks.speed.world import people
from clusterseq.bench.cost import peak_mb
from clusterseq.data.dataset import Dataset
from clusterseq.data.prepare import prepare_dataset

SECTION = "prepare"
EVENTS = (1_000_000, 10_000_000, 50_000_000)
ITEMS = 200_000
PER_FILE = 10_000_000
LIMIT_MIB = 4096
"""Memory that is asked for, at 50 million."""


def run(sizes: tuple[int, ...] = EVENTS) -> Iterator[Figure]:
    """Seconds and memory at growing sizes, and of loading what came out."""
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "events", Path(folder) / "data"
            source.mkdir()
            _in_a_process(_write, size, source)
            _forget_peak()
            took = seconds(partial(prepare_dataset, source, target), runs=1, warm=0)
            peak = peak_mb()
            floor = seconds(partial(_sorted, source, Path(folder) / "floor"), runs=1, warm=0)
            rival = "polars reading and sorting alone"
            yield Figure(SECTION, f"{size:,} events", took, "s", rival, floor / took)
            if peak is not None:
                target_mib = f"value <= {LIMIT_MIB}"
                yield Figure(SECTION, f"memory, {size:,} events", peak, "MiB", target=target_mib)
            took = seconds(partial(Dataset.load, target), runs=1, warm=0)
            yield Figure(SECTION, f"loading {size:,} events", took, "s")


def _forget_peak() -> None:
    """Let the most memory held be counted from now on."""
    with suppress(OSError):  # only Linux tells, and it isn't asked where it doesn't
        Path("/proc/self/clear_refs").write_text("5")


def _in_a_process(function: object, *arguments: object) -> None:
    """Run something whose memory is not counted here."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments)  # type: ignore[arg-type]
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit("the events could not be written")


def _write(events: int, folder: Path) -> None:
    """Generated events of people with string ids, in files of ten million rows at most."""
    draws = np.random.default_rng(1)
    for number, start in enumerate(range(0, events, PER_FILE)):
        size = min(PER_FILE, events - start)
        known = people(int(size / 8.9) + 1, ITEMS)
        users = known.user_of_event[:size].astype(np.int64) + start
        frame = pl.DataFrame(
            {
                "user": users,
                "item": known.items[:size],
                "timestamp": 1_600_000_000 + draws.integers(0, 10**8, len(users)),
            }
        ).with_columns(
            pl.format("u{}", "user").alias("user"), pl.format("i{}", "item").alias("item")
        )
        frame.write_parquet(folder / f"{number:05}.parquet")


def _sorted(folder: Path, target: Path) -> None:
    pl.scan_parquet(folder).sort("user", "timestamp").sink_ipc(target)
