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
from benchmarks.speed.settings import model_of
from benchmarks.speed.world import people
from clusterseq.checkpoint import Checkpoint, Provenance, save_checkpoint
from clusterseq.config import Config, ModelConfig
from clusterseq.vocab import Vocabulary

SECTION = "service"
PRESET = ModelConfig()
SIZES = {12_000: (PRESET.members, PRESET.dim), 100_000: (1, 64)}
"""Members and width at each size of a catalogue."""
LOADS = {
    12_000: [("new people", 400, 0, 25), ("returning people", 1_000, 1_000, 10)],
    100_000: [("new people", 150, 0, 40)],
}
"""What is asked, requests a second, distinct people (0: all new), milliseconds asked for."""
SECONDS, READY_SECONDS, LIMIT_MIB = 20, 5, 600
PORT = 8791


def run() -> Iterator[Figure]:
    """Latencies at fixed rates, seconds until it is ready, and memory."""
    with tempfile.TemporaryDirectory() as folder:
        for n_items, loads in LOADS.items():
            directory = Path(folder) / str(n_items)
            _save(directory, n_items)
            with _served(directory) as (process, ready):
                target = f"value <= {READY_SECONDS}"
                yield Figure(SECTION, f"ready, {n_items:,} items", ready, "s", target=target)
                for who, rate, distinct, limit in loads:
                    if distinct:
                        _load(n_items, rate / 4, distinct)  # they have been here before
                    yield from _under_load(n_items, who, rate, distinct, limit)
                limited = f"value <= {LIMIT_MIB}" if n_items == max(LOADS) else ""
                memory = _resident_mib(process.pid)
                yield Figure(SECTION, f"memory, {n_items:,} items", memory, "MiB", target=limited)


def _under_load(
    n_items: int, who: str, rate: float, distinct: int, limit: float
) -> Iterator[Figure]:
    found = _load(n_items, rate, distinct)
    members, dim = SIZES[n_items]
    case = f"{rate:,} requests/s of {who}, {n_items:,} items, {members} × {dim}"
    yield Figure(SECTION, f"p50, {case}", found["p50_ms"], "ms")
    yield Figure(SECTION, f"p99, {case}", found["p99_ms"], "ms", target=f"value <= {limit}")
    yield Figure(
        SECTION, f"answered, {case}", found["rate"], "1/s", target=f"value >= {0.98 * rate}"
    )
    yield Figure(SECTION, f"errors, {case}", found["errors"], "", target="value <= 0")


def _load(n_items: int, rate: float, distinct: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.speed.load", f"http://127.0.0.1:{PORT}"]
    options = {"rate": rate, "seconds": SECONDS, "items": n_items, "distinct": distinct}
    command += [word for name, value in options.items() for word in (f"--{name}", str(value))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


@contextmanager
def _served(directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
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


def _resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def _save(directory: Path, n_items: int) -> None:
    members, dim = SIZES[n_items]
    known = people(min(n_items, 200_000), n_items)
    model = model_of(known, n_items, members=members, dim=dim)
    checkpoint = Checkpoint(
        model=model,
        config=Config(model=model.config),
        items=Vocabulary(pl.Series(np.arange(n_items))),
        item_counts=np.bincount(known.items, minlength=n_items),
        provenance=Provenance("none", 0, None, "generated", 1.0, len(known), len(known.items)),
    )
    save_checkpoint(directory, checkpoint)
