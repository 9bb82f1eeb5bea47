"""A Redis server of the tests' own: on a socket in a temporary folder, without persistence."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

STARTUP_SECONDS = 30.0
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


class RedisServer:
    """A server that can be killed, paused and started again."""

    def __init__(self, folder: str, *options: str) -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            pytest.skip("redis-server isn't installed; Debian's package redis-server has it")
        socket = Path(folder) / "redis.sock"
        self.url = f"unix://{socket}"
        where = ["--port", "0", "--unixsocket", str(socket), "--dir", folder, "--save", ""]
        self._command = [binary, *where, *options]
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        _wait_for(self)

    def kill(self) -> None:
        """End it at once; it keeps what it was told to keep."""
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """Let it hang."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it hang no longer."""
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def redis_server(*options: str) -> Iterator[RedisServer]:
    """A server until the block ends."""
    # Not in pytest's own folder, whose name may be longer than that of a socket can be.
    with tempfile.TemporaryDirectory(prefix="clusterseq-redis-") as folder:
        server = RedisServer(folder, *options)
        try:
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
    with redis_server() as server:
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
    with redis_server() as server:
        yield server


@pytest.fixture
def durable_redis() -> Iterator[RedisServer]:
    """The same, and nothing that it has acknowledged is lost when it is killed."""
    with redis_server(*DURABLE) as server:
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
