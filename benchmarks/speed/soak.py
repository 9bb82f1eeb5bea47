"""New people for ten minutes, or an hour, at half of the rate that the service is asked to bear.

What grows would grow without end: memory is read after every minute, and the first two don't count,
since caches fill in them. Not part of ``make bench``; ``make soak`` runs it, ``make soak
MINUTES=60`` for an hour.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.speed.figures import Figure
from benchmarks.speed.service import WIDE, load, resident_mib, save, served

SECTION = "soak"
ITEMS, RATE = 12_000, 200
MINUTES, FILLING = 10, 2
"""How long, and for how many of these minutes caches fill."""
FLAT = 1.5
"""By how much the slowest of a hundred may differ from minute to minute."""


def run(minutes: int = MINUTES, seconds: int = 60) -> Iterator[Figure]:
    """Errors, growth of memory in per cent, and the slowest of a hundred at the start and end."""
    case = f"{minutes} × {seconds} s of {RATE} new people/s, {ITEMS:,} items"
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder) / "model", ITEMS, *WIDE)
        with served(Path(folder) / "model") as (process, _):
            found, memory = [], []
            for minute in range(minutes):
                found.append(load(ITEMS, RATE, 0, minute, seconds))
                memory.append(resident_mib(process.pid))
    settled = memory[FILLING - 1 :]
    growth = 100 * (settled[-1] / settled[0] - 1)
    errors = sum(each["errors"] for each in found)
    yield Figure(SECTION, f"errors, {case}", errors, "", target="value <= 0")
    yield Figure(SECTION, f"memory after {FILLING} minutes", settled[0], "MiB")
    yield Figure(SECTION, "memory at the end", settled[-1], "MiB")
    yield Figure(SECTION, "growth of memory", growth, "%", target="value <= 2")
    second, last = found[1]["p99_ms"], found[-1]["p99_ms"]
    yield Figure(SECTION, "p99, second minute", second, "ms")
    yield Figure(SECTION, "p99, last minute", last, "ms", target=f"value <= {FLAT * second:.4g}")
