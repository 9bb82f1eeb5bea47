"""What keeps several serving processes alive: uvicorn's, which here hears of a death at once.

Knows nothing about: what the processes serve.
"""

from __future__ import annotations

import signal
import time
from socket import socket

from uvicorn import Config
from uvicorn.supervisors import Multiprocess

from clusterseq.service.logs import LOG

TRIES = 3
"""How often all are replaced until none of the former is left."""


class Supervisor(Multiprocess):
    """Starts processes, asks them whether they are well, and replaces those that are not."""

    def __init__(self, config: Config, sockets: list[socket], drain_seconds: float) -> None:
        super().__init__(config, sockets)
        self._drain_seconds = drain_seconds
        for number in (signal.SIGINT, signal.SIGTERM):
            # Heeded at once, also while all are replaced.
            signal.signal(number, lambda number, frame: self.should_exit.set())

    def keep_subprocess_alive(self) -> None:
        """Ask each, twice a second.

        A process that dies while it is asked would be waited for as if it were just slow: its end
        of the line has to be its alone, for the line to break with it.
        """
        for process in self.processes:
            process.child_conn.close()
        super().keep_subprocess_alive()

    def restart_all(self) -> None:
        """Replace all, one after the other; where a successor dies uvicorn would leave it at that,
        and two models would answer for good."""
        former = set(self.processes)
        for _ in range(TRIES):
            super().restart_all()
            if former.isdisjoint(self.processes) or self.should_exit.is_set():
                return
        LOG.error("not every process could be replaced; see why above, and ask for it again")

    def join_all(self) -> None:
        """Wait for those who drain, and kill who hasn't ended in that time."""
        end = time.monotonic() + self._drain_seconds
        for process in self.processes:
            process.process.join(max(0.0, end - time.monotonic()))
            if process.process.is_alive():
                process.process.kill()
                process.process.join()
