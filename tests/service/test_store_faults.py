"""A running service whose store is gone, hangs, is locked or full.

Who needs no store is served, who does is told to come back, and nothing acknowledged is lost.
"""

from __future__ import annotations

import resource
import signal
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from redis import Redis

from clusterseq.service.limits import Limits
from tests.service.conftest import RedisServer
from tests.service.serving import PATIENCE, Served, Service, serving, settings_of, wait_until

AT_ONCE = 40
"""More than there are threads for the store, several times over."""
LIMITS = Limits(store_seconds=1.0)


def is_told(answer: httpx2.Response) -> bool:
    """Whether an answer says that the store is out of reach, and that it will pass."""
    return (
        answer.status_code == 503
        and answer.headers["Retry-After"] == "1"
        and answer.json()["title"] == "History store out of reach"
    )


def accepted(answer: httpx2.Response) -> bool:
    """Whether an event was taken; whoever is not is told to come back."""
    assert answer.status_code == 200 or is_told(answer)
    return answer.status_code == 200


def append(client: httpx2.Client, user: str, id_: str) -> httpx2.Response:
    return client.post("/v1/events", json={"user": user, "item": "i01", "id": id_})


def ids(client: httpx2.Client, user: str) -> set[str]:
    found = client.get(f"/v1/users/{user}")
    assert found.status_code == 200
    return {event["id"] for event in found.json()["events"]}


def assert_the_rest_is_served(service: Service) -> None:
    """Whatever needs no store, also what needs a thread."""
    service.recommend(history=["i01"], explain=True)
    assert service.client.get("/v1/items", params={"query": "i0"}).status_code == 200
    assert service.client.get("/healthz").status_code == 200


@contextmanager
def writing(client: httpx2.Client, user: str) -> Iterator[list[httpx2.Response]]:
    """Somebody who sends one event after the other; their answers, in order."""
    answers: list[httpx2.Response] = []
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            answers.append(append(client, user, f"e{len(answers)}"))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield answers
    finally:
        ended.set()
        thread.join(PATIENCE)


def test_a_redis_that_is_started_anew_has_what_was_acknowledged(
    model_directory: Path, durable_redis: RedisServer
) -> None:
    with serving(settings_of(model_directory, durable_redis.url, limits=LIMITS)) as service:
        with writing(service.client, "ann") as answers:
            for _ in range(2):
                before = len(answers)
                wait_until(lambda: len(answers) > before + 20)  # noqa: B023
                durable_redis.kill()
                wait_until(lambda: answers[-1].status_code == 503)
                assert is_told(service.client.get("/readyz"))
                assert is_told(service.client.post("/v1/recommend", json={"user": "ann"}))
                assert_the_rest_is_served(service)
                durable_redis.start()
                wait_until(lambda: answers[-1].status_code == 200)
        assert all(answer.status_code == 200 or is_told(answer) for answer in answers)
        kept = {f"e{n}" for n, answer in enumerate(answers) if answer.status_code == 200}
        newest = set(sorted(kept, key=lambda id_: int(id_[1:]))[-150:])
        assert newest <= ids(service.client, "ann")


def test_a_redis_that_hangs_holds_nobody(model_directory: Path, own_redis: RedisServer) -> None:
    with serving(settings_of(model_directory, own_redis.url, limits=LIMITS)) as service:
        body = {"user": "ann"}
        own_redis.pause()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            asking = [
                pool.submit(httpx2.post, f"{service.url}/v1/recommend", json=body, timeout=PATIENCE)
                for _ in range(AT_ONCE)
            ]
            wait_until(lambda: any(one.done() for one in asking))
            assert_the_rest_is_served(service)
        assert all(is_told(one.result()) for one in asking)
        own_redis.go_on()
        wait_until(lambda: service.client.post("/v1/recommend", json=body).status_code == 200)
        assert append(service.client, "ann", "e").status_code == 200


def test_a_redis_that_is_full_is_read_still(model_directory: Path, own_redis: RedisServer) -> None:
    with (
        serving(settings_of(model_directory, own_redis.url)) as service,
        Redis.from_url(own_redis.url) as redis,
    ):
        assert append(service.client, "ann", "before").status_code == 200
        redis.config_set("maxmemory", "1")
        assert is_told(append(service.client, "ann", "refused"))
        assert ids(service.client, "ann") == {"before"}
        assert service.recommend(user="ann")["items"] == service.recommend(history=["i01"])["items"]
        redis.config_set("maxmemory", "0")
        assert append(service.client, "ann", "after").status_code == 200
        assert ids(service.client, "ann") == {"before", "after"}


def test_an_sqlite_that_is_locked_is_read_still(model_directory: Path, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with serving(settings_of(model_directory, str(path), limits=LIMITS)) as service:
        assert append(service.client, "ann", "before").status_code == 200
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            sending = [pool.submit(append, service.client, "ann", f"e{n}") for n in range(AT_ONCE)]
            wait_until(lambda: any(one.done() for one in sending))
            assert ids(service.client, "ann") == {"before"}
            assert not service.recommend(user="ann")["ignored_items"]
            assert_the_rest_is_served(service)
        assert all(is_told(one.result()) for one in sending)
        other.execute("ROLLBACK")
        other.close()
        # Those who were told so still stand in line for the file, perhaps for a second and more.
        wait_until(lambda: accepted(append(service.client, "ann", "after")))
        assert {"before", "after"} <= ids(service.client, "ann")


def test_an_sqlite_on_a_full_disk_goes_on_when_there_is_room(
    model_directory: Path, tmp_path: Path
) -> None:
    path, kept = tmp_path / "store.db", set()
    running = Served(model_directory, "--store", str(path))
    try:
        with httpx2.Client(base_url=running.url, timeout=PATIENCE) as client:
            room = path.stat().st_size + 500_000
            most = resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (room, most))
            for n in range(1_000):
                answer = append(client, f"u{n}", f"e{n}")
                if answer.status_code != 200:
                    break
                kept.add(n)
            assert is_told(answer)
            assert ids(client, "u0") == {"e0"}
            assert client.post("/v1/recommend", json={"user": "u0"}).status_code == 200
            resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (most, most))
            assert append(client, "late", "e").status_code == 200
    finally:
        running.end(signal.SIGKILL)
    assert len(kept) > 10
    with serving(settings_of(model_directory, str(path))) as service:
        assert all(ids(service.client, f"u{n}") == {f"e{n}"} for n in kept)
        assert ids(service.client, "late") == {"e"}


@pytest.fixture(autouse=True)
def _nothing_is_unforeseen(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert not [record for record in caplog.records if record.exc_info]
