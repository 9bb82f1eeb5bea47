"""A real server in a thread of the test's own process, and a client that talks to it.

Knows nothing about: what the tests ask.
"""

from __future__ import annotations

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


def settings_of(model: Path, store: str = "memory:", **others: object) -> Settings:
    """How the tests' services are run, but for what is said."""
    return Settings(model=model, store=store, **others)  # type: ignore[arg-type]


def wait_until(so: Callable[[], object]) -> None:
    """Wait until something is so, or fail."""
    deadline = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < deadline, "it has come to be so"
        time.sleep(0.01)
