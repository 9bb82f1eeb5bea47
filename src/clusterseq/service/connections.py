"""What a connection may cost: no client keeps the service waiting for long, or fills its memory.

uvicorn alone bounds only the pause between two requests. A connection that never sends one, sends a
byte a second, or doesn't read its answer would stay for ever, and a head without end would be kept.

Knows nothing about: routes, models.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from itertools import takewhile
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from clusterseq.service.limits import Limits
from clusterseq.service.logs import LOG
from clusterseq.service.problems import MEDIA_TYPE, RETRY_SECONDS, Problem

SWEEP_SECONDS = 1.0
FIRST_WORDS_SECONDS = 2.0
"""How long a service that ends listens to who has come and not yet asked."""
PIPELINED = 100
"""Requests that a connection may send ahead of their answers."""


class Waiting:
    """The connections of a process whose client is to act, who has taken longest first."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.count: Callable[[int], None] | None = None
        """Told the status of every answer that a connection gives by itself."""
        self._since: OrderedDict[Connection, float] = OrderedDict()
        self._sweep: asyncio.TimerHandle | None = None

    def enter(self, connection: Connection) -> None:
        """The service waits for this one, from now on if it didn't before."""
        loop = asyncio.get_running_loop()
        self._since.setdefault(connection, loop.time())
        if self._sweep is None:
            self._sweep = loop.call_later(SWEEP_SECONDS, self._end_late)

    def leave(self, connection: Connection) -> None:
        """The client has acted, or is gone."""
        self._since.pop(connection, None)

    def end_first(self) -> bool:
        """End the connection that has been waited for longest; False where there is none."""
        if not self._since:
            return False
        self._since.popitem(last=False)[0].transport.abort()
        return True

    def _end_late(self) -> None:
        loop, self._sweep = asyncio.get_running_loop(), None
        oldest = loop.time() - self.limits.client_seconds
        late = list(takewhile(lambda since: since <= oldest, self._since.values()))
        for _ in late:
            self.end_first()
        if late:
            LOG.info("ended %d connections whose clients took too long", len(late))
        if self._since:
            self._sweep = loop.call_later(SWEEP_SECONDS, self._end_late)


class _Parser:
    """httptools' parser, which goes on with HTTP/1.1 where a client offers to speak another.

    The offer may be ignored (RFC 9110, section 7.8), as clients of HTTP/2 expect whose first
    request makes one. The parser stops at the end of such a head, and would take the body for the
    next request.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._parser = self._started()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> None:
        """Read on."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if self._parser.get_method() == b"CONNECT":  # which is for proxies, and no offer
                self._connection.send_400_response("CONNECT")
                return
            head = self._connection.head_without_offer(self._parser)
            self._parser = self._started()
            self.feed_data(head + data[offer.args[0] :])

    def _started(self) -> Any:
        parser = httptools.HttpRequestParser(self._connection)
        # What comes behind an answer that closes the connection is dropped, as uvicorn does it.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser


class Connection(HttpToolsProtocol):
    """A connection that ends when its client takes too long, and gives way when there are many."""

    def __init__(self, *given: Any, waiting: Waiting, **named: Any) -> None:
        super().__init__(*given, **named)
        self.waiting, self.limits = waiting, waiting.limits
        self.parser = _Parser(self)  # type: ignore[assignment]  # stands in for it
        self._head = 0
        """Bytes of the request that is being read, without its body."""
        self._served: RequestResponseCycle | None = None
        """The request that is answered now, or was last."""

    def connection_made(self, transport: Any) -> None:  # uvloop's own type
        """Somebody has come; where there is no room and nobody to give way, they are told so."""
        super().connection_made(transport)
        crowded = len(self.connections) > self.limits.connections
        if crowded and not self.waiting.end_first():
            detail = f"{self.limits.connections} requests are under way; ask again in a moment"
            self._refuse(503, "Overloaded", detail)
        self._update_turn()

    def connection_lost(self, exc: Exception | None) -> None:
        """They are gone."""
        super().connection_lost(exc)
        self.waiting.leave(self)
        if self._served is not None:  # uvicorn tells the last one that it has read alone
            self._served.disconnected = True

    def shutdown(self) -> None:
        """The service ends; who came just before may still ask, or their request would be lost."""
        if self.cycle is None:
            self.loop.call_later(FIRST_WORDS_SECONDS, super().shutdown)
        else:
            super().shutdown()

    def data_received(self, data: bytes) -> None:
        """They have sent something."""
        self._head += len(data)
        super().data_received(data)
        if self._head > self.limits.head_bytes and not self.transport.is_closing():
            detail = f"the head of a request may have {self.limits.head_bytes:,} bytes"
            self._refuse(431, "Head too large", detail)
        self._update_turn()

    def on_message_begin(self) -> None:
        """The first byte of a request: its time begins."""
        super().on_message_begin()
        self.waiting.leave(self)
        self._update_turn()

    def head_without_offer(self, parser: Any) -> bytes:
        """The head that was read last, as if its client had offered no other protocol."""
        version = parser.get_http_version().encode()
        lines = [parser.get_method() + b" " + self.url + b" HTTP/" + version]
        for name, value in self.headers:
            if name == b"connection":
                tokens = (token.strip() for token in value.split(b","))
                value = b", ".join(token for token in tokens if token.lower() != b"upgrade")
            if name != b"upgrade" and value:
                lines.append(name + b": " + value)
        return b"\r\n".join([*lines, b"", b""])

    def on_headers_complete(self) -> None:
        """The head of a request; those that come before their turn are kept, so not too many."""
        if self.parser.should_upgrade():
            return  # it is read once more, without the offer
        if len(self.pipeline) >= PIPELINED:
            raise OverflowError(f"more than {PIPELINED} requests at once")  # the parser's to tell
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body, which is bounded by who reads it."""
        self._head -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The whole request is there."""
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._head = 0

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._served = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """The whole answer is on its way."""
        super().on_response_complete()
        self._update_turn()

    def pause_writing(self) -> None:
        """They don't read as fast as they are answered."""
        super().pause_writing()
        self._update_turn()

    def resume_writing(self) -> None:
        """They do again."""
        super().resume_writing()
        self._update_turn()

    def send_400_response(self, msg: str) -> None:
        """What was sent is not HTTP, or too much of it."""
        detail = f"not HTTP/1.1, or more than {PIPELINED} requests ahead of their answers"
        self._refuse(400, "Request not understood", detail)

    def _update_turn(self) -> None:
        """See whose turn it is, the service's or the client's."""
        if self not in self.connections:
            return
        cycle = self._served
        at_work = cycle is not None and not (cycle.more_body or cycle.response_complete)
        if at_work and not self.flow.write_paused and not self.transport.is_closing():
            self.waiting.leave(self)
        else:
            self.waiting.enter(self)

    def _refuse(self, status: int, title: str, detail: str) -> None:
        """Answer before anybody asked properly, and hang up."""
        if self.waiting.count is not None:
            self.waiting.count(status)
        problem = Problem(title=title, status=status, detail=detail)  # type: ignore[call-arg]
        body = json.dumps(problem.model_dump())
        retry = f"Retry-After: {RETRY_SECONDS}\r\n" if status == 503 else ""
        self.transport.write(
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {MEDIA_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\n{retry}Connection: close\r\n\r\n{body}".encode()
        )
        self.transport.close()
