"""Which requests reach the routes: those with a readable address and a body within bounds.

A body is held in memory, so nobody's is read who has no key where one is asked for: the route says
why then.

Knows nothing about: routes, what a key opens, what is asked.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clusterseq.service.access import secret_in
from clusterseq.service.keys import Keyring
from clusterseq.service.problems import respond

BODILESS = ("GET", "DELETE", "OPTIONS")
"""Methods whose body nobody reads."""


class Admission:
    """Wraps an application."""

    def __init__(self, app: ASGIApp, body_bytes: int, keyring: Keyring) -> None:
        self.app, self.body_bytes, self.keyring = app, body_bytes, keyring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or say why not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if not _readable(scope):
            detail = "the address isn't UTF-8, percent-encoded; encode ids so, or others are meant"
            await respond(400, "Address not understood", detail)(scope, receive, send)
            return
        messages = await self._body(scope, receive)
        if messages is None:
            detail = f"the body is larger than {self.body_bytes:,} bytes; send less at once"
            await respond(413, "Too large", detail)(scope, receive, send)
            return

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self.app(scope, replay, send)

    async def _body(self, scope: Scope, receive: Receive) -> list[Message] | None:
        """The messages that bring the body; None if it is too large, said or not."""
        headers = Headers(scope=scope)
        if not self.keyring.open and self.keyring.find(secret_in(headers)) is None:
            return [{"type": "http.request", "body": b"", "more_body": False}]
        content_length = headers.get("content-length", "")
        if content_length.isdecimal() and int(content_length) > self.body_bytes:
            return None
        received, messages = 0, []
        while scope["method"] not in BODILESS:
            message = await receive()
            messages.append(message)
            received += len(message.get("body", b""))
            if received > self.body_bytes:
                return None
            if message["type"] != "http.request" or not message.get("more_body"):
                break
        return messages


def _readable(scope: Scope) -> bool:
    """Whether the address is UTF-8; decoded leniently, ids that aren't would all become one."""
    try:
        for part in (scope.get("raw_path") or b"", scope["query_string"]):
            unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        return False
    return True
