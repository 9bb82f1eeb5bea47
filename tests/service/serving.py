"""A real server, in a thread of the test's own process or in one of its own, and a client for it.

Knows nothing about: what the tests ask.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import uvicorn
from fastapi import FastAPI

from clusterseq.service.context import Context
from clusterseq.service.server import Settings, build

PATIENCE = 30
"""Seconds that a server may take to start or stop."""


class Service:
    """A service that answers, and what it is made of."""

    def __init__(self, app: FastAPI, client: httpx2.Client) -> None:
        self.app, self.client = app, client
        self.context: Context = app.state.context

    @property
    def url(self) -> str:
        return str(self.client.base_url)

    def recommend(self, **body: object) -> dict[str, object]:
        """The answer to a request that is served."""
        found = self.client.post("/v1/recommend", json=body)
        assert found.status_code == 200, found.text
        answer: dict[str, object] = found.json()
        return answer


@contextmanager
def serving(settings: Settings) -> Iterator[Service]:
    """Serve on a free port until the block ends, and then drain."""
    app = build(replace(settings, port=0))
    config = uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=PATIENCE)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
            yield Service(app, client)
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
    assert not thread.is_alive(), "the server has stopped"


class Served:
    """``clusterseq serve``, as people run it, on a port that was free."""

    def __init__(self, model: Path, *options: str) -> None:
        command = [sys.executable, "-m", "clusterseq", "serve", str(model), "--port", "0"]
        self.said: list[str] = []
        self.ending = False
        """Whether it was told to end, and may hang up on anybody."""
        self.process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.url = ""
        try:
            wait_until(self._listens, 4 * PATIENCE)  # it imports and loads first
        except AssertionError:
            self.end(signal.SIGKILL)
            raise AssertionError("".join(self.said)) from None

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def open_files(self) -> int:
        """Files and connections that the process has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident_mib(self) -> float:
        """Memory that the process holds."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send a signal and wait until the process is gone."""
        self.ending = True
        self.process.send_signal(number)
        self.process.wait(2 * PATIENCE)
        self._reader.join(PATIENCE)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(iter(self.process.stderr.readline, ""))

    def _listens(self) -> bool:
        assert self.process.poll() is None, "it has ended by itself"
        found = re.search(r"running on (http://127\.0\.0\.1:\d+)", "".join(self.said))
        self.url = found[1] if found else ""
        return bool(found)


@contextmanager
def served(model: Path, *options: str) -> Iterator[tuple[Served, httpx2.Client]]:
    """A process that serves until the block ends, and a client for it."""
    service = Served(model, *options)
    try:
        with httpx2.Client(base_url=service.url, timeout=PATIENCE) as client:
            yield service, client
    finally:
        service.end()


def settings_of(model: Path, store: str = "memory:", **others: object) -> Settings:
    """How the tests' services are run, but for what is said."""
    return Settings(model=model, store=store, **others)  # type: ignore[arg-type]


def wait_until(so: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until something is so, or fail."""
    deadline = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < deadline, "it has come to be so"
        time.sleep(0.01)
