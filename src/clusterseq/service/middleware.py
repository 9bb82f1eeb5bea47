"""What happens around every request: an id, a line in the log, and headers.

Who asks for the head of an answer alone (HEAD, as some balancers do) is served as if all of it were
asked for (GET): the server sends no body then.

Histories are never logged: a line says which route, how long and with what outcome, and no more.

Knows nothing about: routes, keys, what is asked.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clusterseq.service.logs import LOG
from clusterseq.service.metrics import Metrics

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

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        header = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = header if SANE_ID.fullmatch(header) else uuid.uuid4().hex
        outcome, method = _Outcome(send, request_id), scope["method"]
        if method == "HEAD":
            scope = {**scope, "method": "GET"}  # the server's own stays as it is
        started = time.perf_counter()
        try:
            await self.app(scope, receive, outcome)
        finally:
            self._tell(method, scope, outcome, time.perf_counter() - started)

    def _tell(self, method: str, scope: Scope, outcome: _Outcome, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or "unmatched"
        self.metrics.requests.labels(route, str(outcome.status)).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        level = logging.WARNING if outcome.status >= 500 else logging.INFO
        if LOG.isEnabledFor(level):
            line: dict[str, Any] = {
                "request_id": outcome.request_id,
                "method": method,
                "route": route,
                "status": outcome.status,
                "ms": round(1000 * seconds, 2),
            }
            LOG.log(level, "request", extra={"told": line})


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
