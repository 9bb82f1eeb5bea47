"""Only this machine's own callers, where nobody is asked for a key.

A browser sends requests of any page to this machine: under a name that its owner points at
127.0.0.1 (DNS rebinding) the page even reads the answers, and without reading them it can post.
Both tell of themselves, by the name that was asked for and by where the page is from.

Knows nothing about: routes, keys, what is asked.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Container
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from clusterseq.service.problems import respond

READING = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing; of another site's page the browser doesn't show their answers."""


class LocalOnly:
    """Wraps an application; pages of ``origins`` ("*": of all) may call it, too."""

    def __init__(self, app: ASGIApp, origins: Container[str] = ()) -> None:
        self.app, self.origins = app, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or say why not."""
        reason = self._reason(scope) if scope["type"] == "http" else None
        if reason is None:
            await self.app(scope, receive, send)
        else:
            await respond(403, "Not from here", reason)(scope, receive, send)

    def _reason(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        if "host" in headers and not _names_this_machine(f"//{headers['host']}"):
            return (
                "without keys only this machine is served, under localhost or 127.0.0.1; run the "
                "service with --keys, or with --insecure behind a proxy that asks for them"
            )
        origin = headers.get("origin")
        named = origin in self.origins or "*" in self.origins
        if scope["method"] in READING or origin is None or named:
            return None
        if _names_this_machine(origin):
            return None
        return "a page of another site asks; name it by --cors, or run the service with --keys"


def _names_this_machine(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:  # half a bracket
        return False


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
