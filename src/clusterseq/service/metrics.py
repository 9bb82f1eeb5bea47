"""What is counted of a running service, as Prometheus reads it.

Where several processes serve one port, each keeps its numbers in files of one folder, and whichever
is asked tells the sums over all of them. The library decides that when it is imported, by the
environment variable ``PROMETHEUS_MULTIPROC_DIR``. A process goes on in the files of one that is
gone, so that there are never more of them than processes at once.

Knows nothing about: HTTP, what happens to the numbers.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
    multiprocess,
    values,
)

from clusterseq.errors import ConfigError
from clusterseq.service.ranking_service import Served

PREFIX = "clusterseq"
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
KINDS = ("counter", "histogram", "gauge_livesum", "gauge_livemax")
"""A process that shares its numbers keeps one file of each."""
ROOM = 2**18
"""Bytes of such a file, which holds some 2,000 numbers."""


def reserve(folder: Path, place: int) -> None:
    """Take the room of all that a process counts, at once.

    The library maps files that have no blocks yet: where the disk is full, the system would end the
    process that counts something.

    Raises:
        ConfigError: there isn't so much.
    """
    try:
        for kind in KINDS:
            with (folder / f"{kind}_{place}.db").open("ab") as file:
                file.write(bytes(max(0, ROOM - file.tell())))
    except OSError as error:
        raise ConfigError(
            f"{folder}: no room for what is counted ({error.strerror}); free some, or name another "
            "folder by TMPDIR",
            code="output",
        ) from error


def _free_place(folder: Path) -> tuple[int, FileLock]:
    """The first place in which no living process counts, and what holds it as long as this one."""
    for place in count():
        lock = FileLock(folder / f"{place}.lock", timeout=0)
        with suppress(Timeout):
            lock.acquire()
            return place, lock
    raise AssertionError("there is always another place")


class Metrics:
    """The numbers of one service; each service has its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._folder = Path(os.environ[FOLDER]) if FOLDER in os.environ else None
        if self._folder is not None:
            self._place, self._lock = _free_place(self._folder)
            reserve(self._folder, self._place)
            shared = values.MultiProcessValue(lambda: self._place)  # type: ignore[no-untyped-call]
            values.ValueClass = shared
        else:
            ProcessCollector(registry=self.registry)
        self.requests = self._counter("requests", "Requests.", "route", "status")
        self.seconds = self._histogram("request_seconds", "Seconds of a request.", "route")
        self.phases = self._histogram(
            "phase_seconds", "Seconds of adapting, scoring, and reading the store.", "phase"
        )
        self.people = self._counter("people", "People recommended to.", "source")
        self.items = self._counter("history_items", "Items of histories.", "known")
        self.events = self._counter("events", "Events received.", "outcome")
        self.attributed = self._counter("events_attributed", "Events that came of an answer.")
        self.reloads = self._counter("reloads", "Models taken or refused.", "outcome")
        self._queue = self._gauge("queue_depth", "People who wait for their turn.", "livesum")
        self._coverage = self._gauge(
            "catalogue_coverage",
            "Share of the catalogue that was recommended since the model was loaded.",
            "livemax",  # at least: another process may have recommended others
        )
        self._shown: set[int] = set()
        self._waiting: Callable[[], int] = lambda: 0
        for outcome in ("taken", "refused"):  # a first refusal has to be an increase, for alerts
            self.reloads.labels(outcome)
        for phase in ("adapt", "score", "store"):  # opens the file, which may be gone later
            self.phases.labels(phase)
        for gauge in (self._queue, self._coverage):  # of a process that was killed, perhaps
            gauge.set(0)

    def watch(self, queue: Callable[[], int]) -> None:
        """Say how many wait, whenever somebody is served or asks for the numbers."""
        self._waiting = queue

    def served(self, served: Served, known: int, unknown: int) -> None:
        """Somebody got an answer."""
        self._queue.set(self._waiting())
        source = "fallback" if served.fallback else "cache" if served.cached else "model"
        self.people.labels(source).inc()
        self.items.labels("yes").inc(known)
        self.items.labels("no").inc(unknown)
        if source == "model":
            self.phases.labels("adapt").observe(served.ranking.adapt_ms / 1000)
            self.phases.labels("score").observe(served.ranking.score_ms / 1000)

    def refused(self, status: int) -> None:
        """A connection was answered before a route was known."""
        self.requests.labels("connection", str(status)).inc()

    def shown(self, items: list[int], n_items: int) -> None:
        """Some items were recommended."""
        self._shown.update(items)
        self._coverage.set(len(self._shown) / max(1, n_items))

    def new_model(self) -> None:
        """Nothing of the new catalogue was recommended yet."""
        self._shown.clear()
        self._coverage.set(0)

    def text(self) -> bytes | None:
        """All numbers in Prometheus' format; None where the folder that holds them is gone."""
        self._queue.set(self._waiting())
        if self._folder is None:
            return generate_latest(self.registry)
        if not self._folder.is_dir():
            return None
        everybody = CollectorRegistry()
        multiprocess.MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
        return generate_latest(everybody)

    def close(self) -> None:
        """This process serves no more: what it has counted stays, what it held does not."""
        if self._folder is not None:
            multiprocess.mark_process_dead(self._place)  # type: ignore[no-untyped-call]
            self._lock.release()

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", about, labels, registry=self.registry)

    def _gauge(self, name: str, about: str, together: Literal["livesum", "livemax"]) -> Gauge:
        return Gauge(f"{PREFIX}_{name}", about, registry=self.registry, multiprocess_mode=together)

    def _histogram(self, name: str, about: str, *labels: str) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", about, labels, registry=self.registry, buckets=SECONDS)
