"""What happens around every request: an id, a bound on its body, a line in the log, and headers.

Histories are never logged: a line says which route, how long and with what outcome, and no more.

Knows nothing about: routes, keys, what is asked.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clusterseq.service.logs import LOG
from clusterseq.service.metrics import Metrics
from clusterseq.service.problems import respond

REQUEST_ID = "X-Request-ID"
SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
STANDARD = {
    "Cache-Control": "no-store",  # most answers are about a person
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
}


class RequestMiddleware:
    """Wraps an application."""

    def __init__(self, app: ASGIApp, metrics: Metrics, body_bytes: int) -> None:
        self.app, self.metrics, self.body_bytes = app, metrics, body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID, "")
        request_id = given if SANE_ID.fullmatch(given) else uuid.uuid4().hex
        outcome = _Outcome(send, request_id)
        begun = time.perf_counter()
        try:
            await self._bounded(scope, headers, receive, outcome)
        finally:
            self._tell(scope, outcome, time.perf_counter() - begun)

    async def _bounded(
        self, scope: Scope, headers: Headers, receive: Receive, outcome: _Outcome
    ) -> None:
        """Serve, but for an unreadable address and a body that is too large, said or not."""
        if not _readable(scope):
            detail = "the address isn't UTF-8, percent-encoded; encode ids so, or others are meant"
            await respond(400, "Address not understood", detail)(scope, receive, outcome)
            return
        told = headers.get("content-length", "")
        if told.isdecimal() and int(told) > self.body_bytes:
            await self._too_large(scope, receive, outcome)
            return
        received, messages = 0, []
        while scope["method"] not in ("GET", "HEAD", "DELETE", "OPTIONS"):
            message = await receive()
            messages.append(message)
            received += len(message.get("body", b""))
            if received > self.body_bytes:
                await self._too_large(scope, receive, outcome)
                return
            if message["type"] != "http.request" or not message.get("more_body"):
                break

        async def again() -> Message:
            return messages.pop(0) if messages else await receive()

        await self.app(scope, again, outcome)

    async def _too_large(self, scope: Scope, receive: Receive, outcome: _Outcome) -> None:
        detail = f"the body is larger than {self.body_bytes:,} bytes; send less at once"
        await respond(413, "Too large", detail)(scope, receive, outcome)

    def _tell(self, scope: Scope, outcome: _Outcome, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or "unmatched"
        self.metrics.requests.labels(route, str(outcome.status)).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        level = logging.WARNING if outcome.status >= 500 else logging.INFO
        if LOG.isEnabledFor(level):
            line: dict[str, Any] = {
                "request_id": outcome.request_id,
                "method": scope["method"],
                "route": route,
                "status": outcome.status,
                "ms": round(1000 * seconds, 2),
            }
            LOG.log(level, "request", extra={"told": line})


def _readable(scope: Scope) -> bool:
    """Whether the address is UTF-8; decoded leniently, ids that aren't would all become one."""
    try:
        for part in (scope.get("raw_path") or b"", scope["query_string"]):
            unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        return False
    return True


class _Outcome:
    """Sends an answer on, with the headers that every answer has."""

    def __init__(self, send: Send, request_id: str) -> None:
        self.send, self.request_id, self.status = send, request_id, 500

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = self.request_id
            for name, value in STANDARD.items():
                headers.setdefault(name, value)
        await self.send(message)
