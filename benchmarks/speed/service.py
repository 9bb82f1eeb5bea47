"""The service under open-loop load from a second process, which shares the machine with it.

Models are untrained, of the sizes named; weights change no time. New people have three items that
nobody had before; returning ones were served before, and their rankings are remembered.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.speed.figures import Figure
from benchmarks.speed.settings import model_of, size_of
from benchmarks.speed.world import people
from clusterseq.config import Config
from clusterseq.learning.checkpoint import Checkpoint, save_checkpoint
from clusterseq.learning.provenance import Provenance
from clusterseq.presets import preset
from clusterseq.reading.vocab import Vocabulary

SECTION = "service"
WIDE, SMALL = (size_of(preset(name).model) for name in ("default", "small"))
NARROW = (1, 64)
NEW, RETURNING = "new people", "returning people"
SERVED = [
    (12_000, WIDE, [(NEW, 200, 25), (NEW, 400, 25), (RETURNING, 1_000, 10)]),
    (12_000, SMALL, [(NEW, 200, 25), (NEW, 400, 25), (RETURNING, 1_000, 10)]),
    (100_000, NARROW, [(NEW, 150, 40)]),
]
"""Items, members and width, and loads: who asks, requests a second, milliseconds asked for."""
DISTINCT = 1_000
"""How many people return again and again."""
LARGEST = 100_000
SECONDS, READY_SECONDS, LIMIT_MIB = 20, 5, 600
PORT = 8791


def run() -> Iterator[Figure]:
    """Latencies at fixed rates, seconds until it is ready, and memory."""
    with tempfile.TemporaryDirectory() as folder:
        for place, (n_items, (members, dim), loads) in enumerate(SERVED):
            directory, case = Path(folder) / str(place), f"{n_items:,} items, {members} × {dim}"
            save(directory, n_items, members, dim)
            with served(directory) as (process, ready):
                target = f"value <= {READY_SECONDS}"
                yield Figure(SECTION, f"ready, {case}", ready, "s", target=target)
                for seed, (who, rate, limit) in enumerate(loads):
                    yield from _under_load(n_items, case, (who, rate, limit), seed)
                limited = f"value <= {LIMIT_MIB}" if n_items == LARGEST else ""
                memory = resident_mib(process.pid)
                yield Figure(SECTION, f"memory, {case}", memory, "MiB", target=limited)


def _under_load(
    n_items: int, where: str, asked: tuple[str, float, float], seed: int
) -> Iterator[Figure]:
    who, rate, limit = asked
    distinct = DISTINCT if who == RETURNING else 0
    if distinct:
        load(n_items, rate / 4, distinct, seed)  # they have been here before
    found = load(n_items, rate, distinct, seed)
    case, least = f"{rate:,} requests/s of {who}, {where}", f"value >= {0.98 * rate:g}"
    yield Figure(SECTION, f"p50, {case}", found["p50_ms"], "ms")
    yield Figure(SECTION, f"p99, {case}", found["p99_ms"], "ms", target=f"value <= {limit}")
    yield Figure(SECTION, f"answered, {case}", found["rate"], "1/s", target=least)
    yield Figure(SECTION, f"errors, {case}", found["errors"], "", target="value <= 0")


def load(
    n_items: int, rate: float, distinct: int, seed: int, seconds: int = SECONDS
) -> dict[str, float]:
    """What became of requests at a fixed rate, from a process of their own."""
    command = [sys.executable, "-m", "benchmarks.speed.load", f"http://127.0.0.1:{PORT}"]
    options = {
        "rate": rate,
        "seconds": seconds,
        "items": n_items,
        "distinct": distinct,
        "seed": seed,
    }
    command += [word for name, value in options.items() for word in (f"--{name}", str(value))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


@contextmanager
def served(directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A running service, and the seconds until it was ready."""
    command = [sys.executable, "-m", "clusterseq", "serve", str(directory), "--store", "memory:"]
    command += ["--port", str(PORT), "--log-level", "warning"]
    begun = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            while not _is_ready():
                if process.poll() is not None:
                    raise SystemExit("the service did not start")
                time.sleep(0.02)
            yield process, time.perf_counter() - begun
        finally:
            process.terminate()


def _is_ready() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def resident_mib(pid: int) -> float:
    """Memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def save(directory: Path, n_items: int, members: int, dim: int) -> None:
    """Save an untrained model of some size."""
    known = people(min(n_items, 200_000), n_items)
    model = model_of(known, n_items, members=members, dim=dim)
    checkpoint = Checkpoint(
        model=model,
        config=Config(model=model.config),
        items=Vocabulary(pl.Series(np.arange(n_items))),
        item_counts=known.counts(n_items),
        provenance=Provenance("none", 0, None, "generated", 1.0, len(known), len(known.items)),
    )
    save_checkpoint(directory, checkpoint)
