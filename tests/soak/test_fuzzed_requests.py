"""Bodies of requests, whatever is in them, to the application as it is served."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from clusterseq.errors import DataError
from clusterseq.service.server import build
from tests.service.serving import settings_of
from tests.soak.fuzzing import Tally, fuzz, mutated, mutated_json

REQUESTS: dict[str, tuple[Any, int]] = {
    "/v1/recommend": (
        {"history": ["i01", "i02"], "k": 5, "exclude": ["i03"], "only": None, "steps": 1},
        60,
    ),
    "/v1/recommend:batch": ({"histories": [["i01"], [], ["i40", "x"]], "k": 3}, 40),
    "/v1/events": ({"events": [{"user": "ann", "item": "i01", "time": 5.0, "id": "a"}]}, 80),
}
"""A good body for each address, and the thousands of cases that a soak makes of it."""


class Served:
    """An application between its start and its end, called without a socket."""

    def __init__(self, app: FastAPI) -> None:
        self._app, self._loop = app, asyncio.new_event_loop()
        self._life = app.router.lifespan_context(app)
        self._loop.run_until_complete(self._life.__aenter__())

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer."""
        return self._loop.run_until_complete(self._answer(path, body))

    async def _answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        told: list[Any] = []
        scope = {
            **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1"},
            **{"method": "POST", "scheme": "http", "path": path, "raw_path": path.encode()},
            **{"query_string": b"", "root_path": "", "client": ("127.0.0.1", 1)},
            **{"server": ("127.0.0.1", 80), "headers": [(b"content-type", b"application/json")]},
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            told.append(message)

        await self._app(scope, receive, send)
        return told[0]["status"], b"".join(part.get("body", b"") for part in told[1:])

    def close(self) -> None:
        """End it."""
        self._loop.run_until_complete(self._life.__aexit__(None, None, None))
        self._loop.close()


@pytest.fixture(scope="module")
def served(model_directory: Path) -> Iterator[Served]:
    found = Served(build(settings_of(model_directory)))
    yield found
    found.close()


@pytest.mark.parametrize("path", REQUESTS)
def test_bodies(
    served: Served,
    cases: Callable[[int], int],
    record_property: Callable[[str, object], None],
    path: str,
) -> None:
    good, thousands = REQUESTS[path]

    def case(tally: Tally, draws: random.Random) -> None:
        body = json.dumps(mutated_json(good, draws) if draws.random() < 0.7 else good).encode()
        if draws.random() < 0.5:
            body = mutated(body, draws)

        def ask() -> None:
            status, answer = served.post(path, body)
            told = json.loads(answer)
            assert status < 500, told
            if status >= 400:
                assert told["status"] == status
                raise DataError(told["detail"])

        tally.attempt(ask)

    fuzz(case, cases(thousands), record_property)
