"""Jobs of a bench, so many at once, each in a process of its own.

A process per job makes its peak memory the model's own, and turns a crash or a kill for want of
memory into one failed row.

Knows nothing about: how a job is computed, terminals, tables.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO

from clusterseq.bench.cell import Job, failed_row
from clusterseq.bench.results import FAILED, Results, Row

HOME = Path(__file__).parents[2]
LOOK_EVERY_S = 0.05
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class JobProcess:
    """A process that computes a job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "clusterseq.bench"],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            env=_environment(job),
        )
        assert self._process.stdin is not None
        self._pipe = self._process.stdin
        # Left open: its end tells the process that this one is gone. If it died at once, its status
        # says so.
        with contextlib.suppress(BrokenPipeError):
            self._pipe.write(job.to_json().encode() + b"\n")
            self._pipe.flush()

    def ended(self) -> bool:
        """Whether the process is over, by itself or not."""
        return self._process.poll() is not None

    def settle(self, results: Results) -> list[Row]:
        """The rows it has left, and failed ones in the place of those it hasn't."""
        self._close()
        rows = []
        for cell in self.job.cells:
            row = results.row(cell)
            if row is None or (self._process.returncode and row["status"] == FAILED):
                results.write(cell, failed_row(self.job, self._cause()))
                row = results.row(cell)
            assert row is not None
            rows.append(row)
            self._keep_output(results.error_path(cell), failed=row["status"] == FAILED)
        self._log.close()
        return rows

    def stop(self) -> None:
        """Kill the process, whatever it does."""
        self._process.kill()
        self._close()
        self._log.close()

    def _close(self) -> None:
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._pipe.close()

    def _cause(self) -> str:
        status = self._process.returncode
        if status >= 0:
            last = (self._output().strip().splitlines() or ["it said nothing"])[-1]
            return f"the process ended with status {status}: {last}"
        name = signal.Signals(-status).name
        hint = "; perhaps the memory ran out" if name == "SIGKILL" else ""
        return f"the process was killed by {name}{hint}"

    def _output(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def _keep_output(self, path: Path, *, failed: bool) -> None:
        if failed:
            path.parent.mkdir(exist_ok=True)
            path.write_text(self._output(), encoding="utf-8")
        else:
            path.unlink(missing_ok=True)


def run_jobs(
    jobs: Iterable[Job],
    results: Results,
    started: Callable[[Job], None],
    ended: Callable[[Job, Sequence[Row]], None],
    *,
    at_once: int = 1,
) -> None:
    """Run jobs, at most ``at_once`` at a time; each ends in some rows, which may have failed.

    Raises:
        KeyboardInterrupt: on Ctrl-C; the jobs under way are lost, and no other.
    """
    waiting, running = deque(jobs), list[JobProcess]()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                running.append(JobProcess(waiting.popleft()))
                started(running[-1].job)
            time.sleep(LOOK_EVERY_S)
            for process in [process for process in running if process.ended()]:
                running.remove(process)
                ended(process.job, process.settle(results))
    finally:
        for process in running:
            process.stop()


def _environment(job: Job) -> dict[str, str]:
    """The same program as this one, and no more threads than asked for."""
    paths = [str(HOME), *filter(None, [os.environ.get("PYTHONPATH")])]
    limits = dict.fromkeys(THREADS, str(job.threads)) if job.threads else {}
    return {**os.environ, **limits, "PYTHONPATH": os.pathsep.join(paths)}
