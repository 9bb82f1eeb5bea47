"""A Redis server of the tests' own: on a socket in a temporary folder, without persistence."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

STARTUP_SECONDS = 30.0


@dataclass
class RedisServer:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End it at once; it keeps nothing."""
        self.process.kill()
        self.process.wait()


@contextmanager
def _redis_server() -> Iterator[RedisServer]:
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server isn't installed; Debian's package redis-server has it")
    # Not in pytest's own folder, whose name may be longer than that of a socket can be.
    with tempfile.TemporaryDirectory(prefix="clusterseq-redis-") as folder:
        socket = Path(folder) / "redis.sock"
        options = {"--port": "0", "--unixsocket": str(socket), "--dir": folder, "--save": ""}
        words = [word for option in options.items() for word in option]
        with subprocess.Popen([binary, *words], stdout=subprocess.DEVNULL) as process:
            server = RedisServer(f"unix://{socket}", process)
            try:
                _wait_for(server)
                yield server
            finally:
                server.kill()


def _wait_for(server: RedisServer) -> None:
    from redis import Redis, RedisError

    deadline = time.monotonic() + STARTUP_SECONDS
    with Redis.from_url(server.url) as client:
        while True:
            try:
                client.ping()
                return
            except RedisError:
                assert server.process.poll() is None, "redis-server ended by itself"
                assert time.monotonic() < deadline, "redis-server doesn't answer"
                time.sleep(0.02)


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """A server for many tests; leave it running."""
    with _redis_server() as server:
        yield server


@pytest.fixture
def redis_url(shared_redis: RedisServer) -> str:
    """Where an empty server answers."""
    from redis import Redis

    with Redis.from_url(shared_redis.url) as client:
        client.flushall()
    return shared_redis.url


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server for one test, which may do to it what it likes."""
    with _redis_server() as server:
        yield server


class Clock:
    """Seconds since 1970 that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()
