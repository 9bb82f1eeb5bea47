"""Traces of where a training spends its time: some steps of each stage, as timelines and tables.

A watcher beside the one who shows the progress: it starts to record when a stage has warmed up, and
writes what it has seen a few steps later. A trace opens in a browser's chrome://tracing or on
ui.perfetto.dev, without being sent anywhere.

Knows nothing about: what is trained, the command line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.profiler import ProfilerActivity, profile

from clusterseq.machine.files import make_folder
from clusterseq.machine.progress import Watcher

WARMING = 3
"""Steps of a stage before it is recorded: the first ones plan their products and fill caches."""
STEPS = 5
"""Steps that are recorded: a trace of more is too large to look at."""
ROWS = 20
"""Operations in a table."""


class Profiler:
    """Passes everything on to another watcher, and records some steps of each stage.

    Files are ``STAGE.trace.json`` and ``STAGE.table.txt``. Recording makes those steps slower, and
    changes no number of the training.

    Raises:
        DataError: the folder can't be made.
    """

    def __init__(self, watcher: Watcher, folder: Path) -> None:
        self.watcher, self.folder = watcher, folder
        self.written: list[Path] = []
        self._running: profile | None = None
        self._stage, self._last = "", 0
        os.environ.setdefault("KINETO_LOG_LEVEL", "5")  # or it tells the terminal when it starts
        make_folder(folder)

    def __enter__(self) -> Profiler:
        return self

    def __exit__(self, *_: object) -> None:
        if self._running is not None:
            self._write(self._running)

    def step(self, stage: str, done: int, total: int) -> None:
        """Pass on, and start or end a recording between two steps."""
        self.watcher.step(stage, done, total)
        if self._running is not None and (done >= self._last or stage != self._stage):
            self._write(self._running)
        elif stage != self._stage and min(WARMING, total - 1) <= done < total and done:
            self._stage, self._last = stage, min(done + STEPS, total)
            self._running = profile(activities=[ProfilerActivity.CPU])
            self._running.start()

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Pass on."""
        self.watcher.epoch(record)

    def _write(self, running: profile) -> None:
        running.stop()
        self._running = None
        trace = self.folder / f"{self._stage}.trace.json"
        running.export_chrome_trace(str(trace))
        table = self.folder / f"{self._stage}.table.txt"
        averages = running.key_averages()
        table.write_text(averages.table(sort_by="self_cpu_time_total", row_limit=ROWS) + "\n")
        self.written += [trace, table]
