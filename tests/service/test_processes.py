"""Several processes behind one port: one history, one set of numbers, and a model that is replaced
under load without a lost request."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from clusterseq.cli import main
from clusterseq.config import Config
from clusterseq.errors import ConfigError
from clusterseq.reading.events import read_events
from clusterseq.using.experiment import Experiment
from tests.service.serving import PATIENCE, served, settings_of, wait_until


@contextmanager
def processes(model: Path, redis: str) -> Iterator[tuple[httpx2.Client, list[str]]]:
    """Two of them, and what they say on standard error."""
    with served(model, "--store", redis, "--processes", "2") as (service, client):
        wait_until(lambda: started(service.said) == 2)
        yield client, service.said


def started(said: list[str]) -> int:
    return sum("Application startup complete" in line for line in said)


def fresh(client: httpx2.Client) -> httpx2.Client:
    """A connection of its own, which either process may accept."""
    return httpx2.Client(base_url=client.base_url, timeout=30)


@pytest.fixture
def directory(model_directory: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "model"
    shutil.copytree(model_directory, copy)
    return copy


def test_one_history_and_one_set_of_numbers(model_directory: Path, redis_url: str) -> None:
    with processes(model_directory, redis_url) as (client, _):
        answers = []
        for at in range(20):
            with fresh(client) as one:
                event = {"user": "ann", "item": f"i{at:02}", "time": at}
                assert one.post("/v1/events", json=event).status_code == 200
            with fresh(client) as other:
                answers.append(other.get("/v1/users/ann").json()["events"])
        assert [len(events) for events in answers] == [*range(1, 21)]
        told = [httpx2.get(f"{client.base_url}/metrics").text for _ in range(6)]
        counts = [re.search(r"clusterseq_events_total\{.*accepted.*\} (\S+)", t) for t in told]
        assert {found and float(found[1]) for found in counts} == {20.0}


def test_a_new_model_reaches_all_and_no_request_is_lost(
    directory: Path, redis_url: str, events_file: Path, small: Config
) -> None:
    with processes(directory, redis_url) as (client, said):
        former = client.get("/healthz").json()["model_version"]
        Experiment(read_events(events_file), directory, small, k=2).run()
        lost: list[object] = []
        versions: list[str] = []
        ended = threading.Event()

        def ask() -> None:
            while not ended.is_set():
                with fresh(client) as one:
                    answer = one.post("/v1/recommend", json={"history": ["i01"]})
                if answer.status_code != 200:
                    lost.append(answer.text)
                versions.append(answer.json()["model_version"])

        askers = [threading.Thread(target=ask) for _ in range(2)]
        for asker in askers:
            asker.start()
        try:
            newer = client.post("/v1/model:reload").json()["version"]
            wait_until(lambda: started(said) == 4)
            wait_until(lambda: sum("Finished server process" in line for line in said) == 2)
        finally:
            ended.set()
            for asker in askers:
                asker.join()
        assert not lost
        assert newer != former
        assert {former, newer} >= set(versions)
        for _ in range(10):
            with fresh(client) as one:
                assert one.get("/healthz").json()["model_version"] == newer


def test_who_came_before_the_end_is_answered(model_directory: Path) -> None:
    with served(model_directory, "--store", "memory:") as (service, client):
        address = ("127.0.0.1", service.port)
        with socket.create_connection(address) as early, fresh(client) as later:
            assert later.get("/healthz").status_code == 200, "so the early one is accepted, too"
            service.ending = True
            service.process.send_signal(signal.SIGTERM)
            wait_until(lambda: any("Shutting down" in line for line in service.said))
            early.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert early.recv(12) == b"HTTP/1.1 200"
        assert service.process.wait(PATIENCE) in (0, -signal.SIGTERM)


def test_a_killed_process_is_replaced(model_directory: Path, redis_url: str) -> None:
    with processes(model_directory, redis_url) as (client, said):
        numbers = re.findall(r"Started server process \[(\d+)\]", "".join(said))
        assert len(numbers) == 2
        os.kill(int(numbers[0]), signal.SIGKILL)
        wait_until(lambda: started(said) == 3)
        for _ in range(10):
            with fresh(client) as one:
                assert one.post("/v1/recommend", json={"history": []}).status_code == 200


def test_a_successor_that_dies_is_followed_by_another(directory: Path, redis_url: str) -> None:
    pattern = r"Started server process \[(\d+)\]"
    with served(directory, "--store", redis_url, "--processes", "2") as (service, client):
        wait_until(lambda: started(service.said) == 2)
        parent = service.process.pid
        first = set(_children(parent))
        assert client.post("/v1/model:reload").status_code == 200
        wait_until(lambda: set(_children(parent)) - first)
        (successor,) = set(_children(parent)) - first
        os.kill(successor, signal.SIGKILL)  # before it serves
        wait_until(lambda: first.isdisjoint(_children(parent)), 4 * PATIENCE)
        wait_until(lambda: len(re.findall(pattern, "".join(service.said))) >= 4)


def _children(parent: int) -> list[int]:
    """The processes that serve, or are about to."""
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    children = [int(number) for number in text.split()]
    return [child for child in children if b"spawn_main" in _command(child)]


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def test_numbers_outlive_processes_and_take_no_more_room(
    model_directory: Path, redis_url: str
) -> None:
    with processes(model_directory, redis_url) as (client, said):
        asked = 12
        for _ in range(asked):
            with fresh(client) as one:
                one.post("/v1/recommend", json={"history": ["i01"]})
        for place in (0, 1):
            numbers = re.findall(r"Started server process \[(\d+)\]", "".join(said))
            os.kill(int(numbers[place]), signal.SIGKILL)
            wait_until(lambda expected=3 + place: started(said) == expected)  # type: ignore[misc]
        told = httpx2.get(f"{client.base_url}/metrics").text
        found = re.findall(r"clusterseq_people_total\{.*\} (\S+)", told)
        assert sum(map(float, found)) == asked
        (folder,) = {Path(file).parent for file in _open_files(said) if file.endswith(".db")}
        assert len([*folder.glob("counter_*.db")]) == 2


def test_without_the_folder_of_numbers_people_are_served(
    model_directory: Path, redis_url: str
) -> None:
    """Whoever clears temporary folders may take it away."""
    with processes(model_directory, redis_url) as (client, said):
        (folder,) = {Path(file).parent for file in _open_files(said) if file.endswith(".db")}
        shutil.rmtree(folder)
        for _ in range(12):
            with fresh(client) as one:
                assert one.post("/v1/recommend", json={"history": ["i01"]}).status_code == 200
        problem = httpx2.get(f"{client.base_url}/metrics")
        assert (problem.status_code, problem.json()["title"]) == (503, "Numbers gone")
        os.kill(_supervisor(said), signal.SIGHUP)
        wait_until(lambda: started(said) == 4)
        wait_until(lambda: httpx2.get(f"{client.base_url}/metrics").status_code == 200)


def _supervisor(said: list[str]) -> int:
    number = re.findall(r"Started server process \[(\d+)\]", "".join(said))[0]
    return int(Path(f"/proc/{number}/stat").read_text().split()[3])


def _open_files(said: list[str]) -> Iterator[str]:
    number = re.findall(r"Started server process \[(\d+)\]", "".join(said))[-1]
    yield from (os.readlink(link) for link in Path(f"/proc/{number}/fd").iterdir())


def test_processes_end_with_their_supervisor(model_directory: Path, redis_url: str) -> None:
    with processes(model_directory, redis_url) as (client, said):
        os.kill(_supervisor(said), signal.SIGKILL)
        address = httpx2.URL(client.base_url)

        def gone() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex((address.host, address.port or 80)) != 0

        wait_until(gone)


def test_a_process_that_dies_while_it_is_asked_is_replaced(
    model_directory: Path, redis_url: str
) -> None:
    with processes(model_directory, redis_url) as (_, said):
        number = int(re.findall(r"Started server process \[(\d+)\]", "".join(said))[0])
        os.kill(number, signal.SIGSTOP)  # it is asked twice a second, and doesn't answer
        time.sleep(1.5)
        os.kill(number, signal.SIGKILL)
        wait_until(lambda: started(said) == 3)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--store", "redis://127.0.0.1:1/0"], "Redis"),
        (["--store", "REDIS", "--keys", "nowhere.jsonl"], "nowhere.jsonl"),
    ],
)
def test_what_no_process_could_serve_is_told_once(
    model_directory: Path,
    redis_url: str,
    options: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [redis_url if one == "REDIS" else one for one in options]
    assert main(["serve", str(model_directory), "--processes", "2", "--port", "0", *words]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "died" not in said


def test_processes_need_a_store_that_they_share(model_directory: Path) -> None:
    with pytest.raises(ConfigError, match="2 processes need a store that they share"):
        settings_of(model_directory, "sqlite:secret", processes=2)
