"""The process of one job: ``python -m clusterseq.bench`` reads it as a line of standard input.

It writes its rows by itself, and ends when standard input does: then whoever started it is gone,
and nobody waits for what it would have found.

Knows nothing about: other jobs, terminals.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from pathlib import Path

import torch

from clusterseq.bench.cell import Job, compute, failed_row
from clusterseq.bench.models import peer_named
from clusterseq.bench.results import Results
from clusterseq.bench.split_arrays import SplitArrays
from clusterseq.errors import ClusterSeqError

ORPHANED = 3


def main() -> None:
    """Compute a job and keep its rows; what fails is a row, too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started this
    job = Job.from_json(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if job.threads:
        torch.set_num_threads(job.threads)
    results, pending = Results(job.out), list(job.cells)
    try:
        peer = peer_named(job.first.model, job.config)
        for cell, row, ranks in compute(job, peer, SplitArrays.load(Path(job.split_file))):
            results.write(cell, row, ranks)
            pending.remove(cell)
    except Exception as error:
        traceback.print_exc()
        message = str(error)
        if not isinstance(error, ClusterSeqError):
            message = f"{type(error).__name__}: {message}"
        for cell in pending:
            results.write(cell, failed_row(job, " ".join(message.split())))


def _end_with_parent() -> None:
    # Not through sys.stdin, whose lock the interpreter would want at its own end.
    while os.read(0, 1024):
        pass
    os._exit(ORPHANED)


if __name__ == "__main__":
    main()
