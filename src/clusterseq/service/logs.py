"""The service's log: lines of JSON on standard error, which never hold up a request.

A reader that stalls leaves a full pipe, and whoever writes to it stops. So lines wait in a queue of
bounded length for a thread that writes them, and those beyond it are dropped and counted.

Knows nothing about: what is told.
"""

from __future__ import annotations

import atexit
import json
import logging
import sys
import threading
import time
from contextlib import suppress
from queue import Full, Queue
from typing import TextIO

LOG = logging.getLogger("clusterseq.service")
WAITING = 10_000
"""Lines that may wait to be written."""
LAST_SECONDS = 1.0
"""How long the last lines may take when the process ends."""


class JsonLines(logging.Formatter):
    """Each record as one object of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "told", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class Unhurried(logging.Handler):
    """Hands lines to a thread that writes them by another handler."""

    def __init__(self, writer: logging.Handler, waiting: int = WAITING) -> None:
        super().__init__()
        self.dropped = 0
        self._lines = Queue[logging.LogRecord](waiting)
        self._writer = writer
        threading.Thread(target=self._write, name="log", daemon=True).start()
        atexit.register(self.finish)

    def emit(self, record: logging.LogRecord) -> None:
        """Put a line behind the others, or drop it where too many wait."""
        try:
            self._lines.put_nowait(record)
        except Full:
            self.dropped += 1
        if record.name.startswith("uvicorn"):  # it may end the process right after its line
            self.finish()

    def finish(self, seconds: float = LAST_SECONDS) -> None:
        """Wait until all is written, but no longer than that."""
        end = time.monotonic() + seconds
        while self._lines.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.01)

    def _write(self) -> None:
        while True:
            record = self._lines.get()
            with suppress(Exception):  # standard error is closed, or a line can't be formatted
                self._write_one(record)
            self._lines.task_done()

    def _write_one(self, record: logging.LogRecord) -> None:
        dropped, self.dropped = self.dropped, 0
        if dropped:
            message = f"{dropped:,} lines were dropped, since nobody read the log"
            line = LOG.makeRecord(LOG.name, logging.WARNING, "", 0, message, (), None)
            self._writer.handle(line)
        self._writer.handle(record)


class _Stream(logging.StreamHandler[TextIO]):
    """A stream whose errors are left to whoever writes: by themselves they print a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:
        raise  # it is called where the error is being handled


def log_to_stderr(level: str) -> None:
    """Structured lines on standard error, the server's own among them."""
    writer = _Stream(sys.stderr)
    writer.setFormatter(JsonLines())
    handler = Unhurried(writer)
    for logger in (LOG, logging.getLogger("uvicorn")):
        logger.handlers[:] = [handler]
        logger.setLevel(level.upper())
        logger.propagate = False
