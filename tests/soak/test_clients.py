"""Slow, silent and broken clients, by hundreds (in `make soak` by ten thousand), at a real process.

Honest ones are served meanwhile, and afterwards the process has its files and its memory back.
"""

from __future__ import annotations

import json
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import numpy as np
import pytest

from tests.service.serving import Served, served, wait_until


@dataclass(frozen=True)
class Scale:
    """How hard it is tried."""

    clients: int
    """Connections at once."""
    patience: float
    """Seconds that the service waits for a client."""
    growth_mib: float
    """What may stay of the memory that so many clients take."""


SHORT, LONG = Scale(500, 2, 60), Scale(10_000, 20, 120)
BOUND_SECONDS = 60
"""How long an honest client may wait, also where other programs need the processor."""
HEAD = b"POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = b'{"history": ["i01"]}'
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)

Sockets = list[socket.socket]


@pytest.fixture(scope="module")
def scale(soaking: bool) -> Scale:
    return LONG if soaking else SHORT


@pytest.fixture(scope="module")
def service(model_directory: Path, scale: Scale) -> Iterator[Served]:
    limits = ["--connections", str(scale.clients + 100), "--client-timeout", str(scale.patience)]
    with served(model_directory, "--store", "memory:", *limits) as (it, _):
        for _ in range(4):  # what is made at first use is there now
            ask(it)
        yield it
        assert "Traceback" not in "".join(it.said)


def ask(service: Served) -> None:
    """An honest client, on a connection of its own."""
    with httpx2.Client(base_url=service.url, timeout=BOUND_SECONDS) as client:
        answer = client.post("/v1/recommend", json={"history": ["i01", "i02"], "k": 5})
    assert len(answer.json()["items"]) == 5


@contextmanager
def connected(service: Served, count: int) -> Iterator[Sockets]:
    """So many connections, which fail rather than wait."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, count + 1_000)), hard))
    with ExitStack() as stack:
        sockets = []
        for _ in range(count):
            made = socket.create_connection(("127.0.0.1", service.port), BOUND_SECONDS)
            made.setblocking(False)
            sockets.append(stack.enter_context(made))
        yield sockets
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def is_open(one: socket.socket, told: bytearray | None = None) -> bool:
    """Whether the other side has not hung up; what it has sent is read."""
    try:
        while got := one.recv(2**16):
            if told is not None:
                told += got
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def push(one: socket.socket, data: bytes) -> None:
    """Send what is taken now."""
    with suppress(OSError):
        one.send(data)


def nothing(one: socket.socket, turn: int) -> None:
    """A client that connects and says nothing."""


def half_a_body(one: socket.socket, turn: int) -> None:
    """One that stops in the middle."""
    if turn == 0:
        push(one, WHOLE[:-3])


def a_byte_a_second(one: socket.socket, turn: int) -> None:
    """One whose head comes byte by byte."""
    push(one, HEAD[turn : turn + 1])


def a_piece_a_second(one: socket.socket, turn: int) -> None:
    """One whose body comes in pieces, of which none is the last."""
    push(one, (b"" if turn else HEAD + b"Transfer-Encoding: chunked\r\n\r\n") + b"1\r\n \r\n")


def empty_lines(one: socket.socket, turn: int) -> None:
    """One that was answered, and keeps its connection open with what is no request."""
    push(one, b"\r\n" if turn else b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")


@pytest.mark.parametrize(
    "client", [nothing, half_a_body, a_byte_a_second, a_piece_a_second, empty_lines]
)
def test_slow_clients_are_let_go_and_honest_ones_served(
    service: Served, scale: Scale, client: Callable[[socket.socket, int], None]
) -> None:
    files, memory = service.open_files(), service.resident_mib()
    with connected(service, scale.clients) as sockets:
        left, turn = sockets, 0
        wait_until(lambda: service.open_files() > files + scale.clients // 2)
        deadline = time.monotonic() + 20 * scale.patience
        while left:
            assert time.monotonic() < deadline, f"{len(left)} are connected still"
            began = time.monotonic()
            for one in left:
                client(one, turn)
            ask(service)
            left, turn = [one for one in left if is_open(one)], turn + 1
            time.sleep(max(0.0, began + 1 - time.monotonic()))
    wait_until(lambda: service.open_files() <= files)
    assert service.resident_mib() <= memory + scale.growth_mib


def test_who_does_not_read_is_let_go(service: Served, scale: Scale) -> None:
    """The answers have twenty megabytes, more than the system's buffers hold."""
    files, memory = service.open_files(), service.resident_mib()
    body = json.dumps({"histories": [[]] * 1_024, "k": 60, "filter_seen": False}).encode()
    head = HEAD.replace(b"recommend", b"recommend:batch")
    with connected(service, 5) as sockets:
        for one in sockets:
            push(one, 4 * (head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)))
        wait_until(lambda: service.open_files() > files)
        ask(service)
        wait_until(lambda: service.open_files() <= files, 20 * scale.patience)
    assert "clients took too long" in "".join(service.said)
    wait_until(lambda: service.resident_mib() <= memory + scale.growth_mib)


def test_beyond_a_number_who_takes_longest_gives_way(model_directory: Path) -> None:
    limits = ["--connections", "50", "--client-timeout", "600"]
    with (
        served(model_directory, "--store", "memory:", *limits) as (service, _),
        connected(service, 200) as sockets,
    ):
        ask(service)
        wait_until(lambda: sum(map(is_open, sockets)) < 50)
        assert all(map(is_open, sockets[160:])), "the newest are let alone"
        assert service.open_files() < 50 + 30


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x00\x01\x02\xff" * 100, 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET /healthz HTTP/9.9\r\n\r\n", 400),
        (b"GET http://[::1 HTTP/1.1\r\n\r\n", 400),
        (b"GET /\xc3\xa4 HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT a:80 HTTP/1.1\r\n\r\n", 400),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Content-Length: 1e3\r\n\r\n", 400),
        (HEAD + b"Content-Length: %d\r\n\r\n" % 10**30, 400),
        (HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n" + BODY, 400),
        (HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY, 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY, 400),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n" + BODY, 400),
        (HEAD + b"Content-Length: 3\r\n\r\n" + BODY, 400),
        (HEAD + b"Content-Length: %d\r\n\r\n" % 10**9, 413),
        (b"GET /healthz HTTP/1.1\r\nA: " + 100_000 * b"a", 431),
        (b"GET /healthz HTTP/1.1\r\n" + 20_000 * b"a: b\r\n", 431),
        (b"GET /" + 100_000 * b"a", 431),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + 20_000 * b"1;aaaaa\r\n \r\n", 431),
        (150 * b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    ],
)
def test_what_is_not_http_is_refused_as_a_problem(
    service: Served, sent: bytes, status: int
) -> None:
    answer = exchange(service, sent)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"%d" % status
    assert b"application/problem+json" in head
    assert b'"detail"' in body
    ask(service)


def exchange(service: Served, sent: bytes) -> bytes:
    """What a client is told until the service hangs up."""
    with socket.create_connection(("127.0.0.1", service.port), BOUND_SECONDS) as one:
        told = b""
        try:
            one.sendall(sent)
            while got := one.recv(2**16):
                told += got
        except ConnectionError:  # it has hung up before it was told everything
            pass
        return told


@pytest.mark.parametrize("endless", [b"a", b"a: b\r\n"])
def test_a_head_without_end_takes_no_memory(service: Served, scale: Scale, endless: bytes) -> None:
    memory = service.resident_mib()
    exchange(service, b"GET /healthz HTTP/1.1\r\nA: b\r\n" + endless * (2**28 // len(endless)))
    assert service.resident_mib() <= memory + scale.growth_mib
    ask(service)


def test_requests_sent_ahead_are_answered_in_turn(service: Served) -> None:
    paths = [b"/healthz", b"/v1/model", b"/nothing", b"/readyz"] * 20
    close = b"GET /healthz HTTP/1.0\r\n\r\n"
    sent = b"".join(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path for path in paths) + close
    told = exchange(service, sent)
    statuses = [int(part[:3]) for part in told.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 200, 404, 200] * 20 + [200]


def test_damaged_requests_are_no_mistakes_of_the_service(service: Served, scale: Scale) -> None:
    """Some bytes are changed, cut or doubled; nothing but an answer or an end may come of it."""
    draws, told = np.random.default_rng(0), [bytearray() for _ in range(scale.clients)]
    with connected(service, scale.clients) as sockets:
        for one in sockets:
            push(one, damaged(draws))
        wait_until(
            lambda: not any([is_open(one, has) for one, has in zip(sockets, told, strict=True)]),
            20 * scale.patience,
        )
    statuses = {int(bytes(each).split()[1]) if each else 0 for each in told}
    assert statuses <= {0, 200, 400, 403, 404, 405, 413, 422, 431}
    assert {0, 200, 400, 422} <= statuses
    ask(service)


def damaged(draws: np.random.Generator) -> bytes:
    """A request with up to two bytes that are wrong, or some that are missing or come twice."""
    sent = bytearray(WHOLE)
    for place in draws.integers(0, len(WHOLE), draws.integers(1, 3)).tolist():
        sent[place] = int(draws.integers(0, 256))
    cut, on = sorted(draws.integers(0, len(sent), 2).tolist())
    if draws.random() < 0.7:
        return bytes(sent)
    return bytes(sent[:cut] + sent[on:] if draws.random() < 0.5 else sent[:on] + sent[cut:])
