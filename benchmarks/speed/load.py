"""Open-loop load: requests leave at fixed times, whether or not earlier ones were answered.

A closed loop would wait for slow answers and so hide them. A request's time counts from when it was
due, so that waiting for a free connection counts too. Run as a program it prints one JSON object:

    python -m benchmarks.speed.load http://127.0.0.1:8000 --rate 400 --seconds 10 --items 12000

Knows nothing about: what is served.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import numpy as np

from benchmarks.speed.figures import percentile

CONNECTIONS = 128


@dataclass(frozen=True)
class Outcome:
    """What became of a load."""

    requests: int
    """How many were due."""
    errors: int
    """How many weren't answered with 200."""
    rate: float
    """Answers a second."""
    p50_ms: float
    p99_ms: float
    worst_ms: float
    """Milliseconds from due to answered."""


class Connection:
    """One connection that is kept alive; answers need a content length."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> int:
        """Send a request, read the whole answer; returns its status, 0 for none."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(self.host, self.port)
            reader, writer = self._streams
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.split(b"content-length:")[1].split(b"\r\n")[0]
            await reader.readexactly(int(length))
            return int(head.split()[1])
        except (OSError, asyncio.IncompleteReadError, IndexError):
            self._streams = None
            return 0


async def load(url: str, rate: float, seconds: float, body: Callable[[int], bytes]) -> Outcome:
    """Send ``rate`` recommendation requests a second for some seconds."""
    where = urlsplit(url)
    host, port = where.hostname or "127.0.0.1", where.port or 80
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(Connection(host, port))
    took, errors = [], 0

    async def one(due: float, request: bytes) -> None:
        nonlocal errors
        connection = await free.get()
        status = await connection.ask(request)
        took.append(time.perf_counter() - due)
        free.put_nowait(connection)
        errors += status != 200

    begun, tasks = time.perf_counter(), []
    for at in range(int(rate * seconds)):
        due = begun + at / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due, request_of(host, body(at)))))
    await asyncio.gather(*tasks)
    whole, ordered = time.perf_counter() - begun, sorted(1000 * each for each in took)
    return Outcome(
        requests=len(tasks),
        errors=errors,
        rate=round(len(tasks) / whole, 1),
        p50_ms=round(percentile(ordered, 0.5), 2),
        p99_ms=round(percentile(ordered, 0.99), 2),
        worst_ms=round(ordered[-1], 2),
    )


def request_of(host: str, body: bytes) -> bytes:
    """A whole request for a recommendation."""
    head = (
        f"POST /v1/recommend HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def people(items: int, distinct: int, seed: int = 0) -> Callable[[int], bytes]:
    """Histories of three items, of so many distinct people in turn; 0 for a new one each time."""
    draws = np.random.default_rng(seed)
    made = draws.integers(0, items, (distinct or 1, 3)).tolist()

    def body(at: int) -> bytes:
        history = made[at % distinct] if distinct else draws.integers(0, items, 3).tolist()
        return json.dumps({"history": history}).encode()

    return body


if __name__ == "__main__":
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.load", description=about)
    parser.add_argument("url", metavar="URL")
    parser.add_argument("--rate", type=float, default=100, help="requests a second")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--items", type=int, default=12_000, help="item ids are 0 … ITEMS - 1")
    parser.add_argument("--distinct", type=int, default=0, help="how many people; 0: all new")
    parser.add_argument("--seed", type=int, default=0, help="of who asks")
    given = parser.parse_args()
    asked = people(given.items, given.distinct, given.seed)
    print(json.dumps(asdict(asyncio.run(load(given.url, given.rate, given.seconds, asked)))))
