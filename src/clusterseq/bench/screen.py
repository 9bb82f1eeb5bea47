"""How a bench looks while it runs: a bar for all of it, one for each job, a line for each end.

Knows nothing about: what the jobs compute, tables.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.progress import TaskID

from clusterseq.bench.cell import Job
from clusterseq.bench.results import DONE, FAILED, Row
from clusterseq.showing.terminal import bars, screen


class BenchScreen:
    """Shows how far the jobs are: bars on a terminal; anywhere, a line for each job that ends."""

    def __init__(self, jobs: int) -> None:
        self._console = screen(stderr=True)
        self._bars = bars(self._console)
        self._all = self._bars.add_task("bench", total=jobs)
        self._jobs = jobs
        self._done = 0
        self._running: dict[str, tuple[TaskID, float]] = {}

    def __enter__(self) -> BenchScreen:
        if self._console.is_terminal and self._jobs:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal and self._jobs:
            self._bars.stop()

    def started(self, job: Job) -> None:
        """Give the job a bar that tells its seconds."""
        task = self._bars.add_task(f"  {_name(job)}", total=None)
        self._running[job.first.name] = task, time.monotonic()

    def finished(self, job: Job, rows: Sequence[Row]) -> None:
        """Print what the job has come to."""
        task, started = self._running.pop(job.first.name)
        self._bars.remove_task(task)
        self._done += 1
        self._bars.update(self._all, completed=self._done)
        seconds = time.monotonic() - started
        message = f"{_name(job)}: {_outcome(rows)}, {seconds:.1f} s"
        self._console.print(f"{self._done} of {self._jobs}: {message}", soft_wrap=True)


def _name(job: Job) -> str:
    cell = job.first
    return f"{cell.model} on {cell.dataset} ({cell.split}), seed {cell.seed}"


def _outcome(rows: Sequence[Row]) -> str:
    failed = [row for row in rows if row["status"] == FAILED]
    if failed:
        return f"failed: {failed[0]['error']}"
    figures = [f"{row['full_mrr']:.4f} (K = {row['k']})" for row in rows if row["status"] == DONE]
    return f"MRR {', '.join(figures)}" if figures else f"nothing to judge: {rows[0]['error']}"
