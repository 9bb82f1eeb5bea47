"""A real service to which everything happens at once, drawn from a generator with a seed.

Callers check every answer that they get (``calling.py``); meanwhile Redis hangs or dies, models are
replaced by good and broken ones, bursts and slow clients come, and the service itself is killed.
After each of these it must be as before, by itself.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import httpx2
import numpy as np
import pytest

from clusterseq.config import Config
from clusterseq.machine.directory import replacing
from clusterseq.machine.manifest import MANIFEST
from clusterseq.reading.events import read_events
from clusterseq.using.experiment import Experiment
from tests.service.conftest import DURABLE, RedisServer, redis_server
from tests.service.serving import PATIENCE, Served, wait_until
from tests.soak.calling import CATALOGUE, Caller

DEEDS, SECONDS = 4, 300
"""How much is done to each store's service, or in a soak for how long."""
CALLERS = 3
OPTIONS = ("--client-timeout", "3", "--connections", "500", "--log-level", "info")


@pytest.fixture(scope="module")
def models(
    model_directory: Path,
    events_file: Path,
    small: Config,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Path]:
    """Two models of one catalogue."""
    other = tmp_path_factory.mktemp("models") / "other"
    Experiment(read_events(events_file), other, small).run()
    return [model_directory, other]


@pytest.fixture(params=["redis", "sqlite"])
def chaos(request: pytest.FixtureRequest, models: list[Path], tmp_path: Path) -> Iterator[Chaos]:
    """A service with a store that loses nothing."""
    if request.param == "sqlite":
        yield from _running(models, tmp_path, None)
    else:
        with redis_server(*DURABLE) as redis:
            yield from _running(models, tmp_path, redis)


def _running(models: list[Path], folder: Path, redis: RedisServer | None) -> Iterator[Chaos]:
    chaos = Chaos(models, folder, redis)
    try:
        yield chaos
    finally:
        chaos.service.end()


class Chaos:
    """A service, and what is done to it."""

    def __init__(self, models: list[Path], folder: Path, redis: RedisServer | None) -> None:
        self.models, self.redis = models, redis
        self.directory = folder / "model"
        shutil.copytree(models[0], self.directory)
        self.store = redis.url if redis else str(folder / "histories.db")
        self.draws = np.random.default_rng(0)
        self.did: Counter[str] = Counter()
        self.said: list[str] = []
        self.service = self._started()
        self.deeds: list[Callable[[], None]] = [
            *(self.reload, self.reload_broken, self.burst, self.slow_clients),
            *(self.kill_service, self.stop_service),
            *([self.kill_redis, self.pause_redis, self.pause_redis] if redis else []),
        ]

    def deeds_in_turn(self) -> Iterator[Callable[[], None]]:
        """What to do next, without end: each once, then each once in another order."""
        while True:
            yield from [self.deeds[place] for place in self.draws.permutation(len(self.deeds))]

    def once(self, deed: Callable[[], None]) -> None:
        """Do something, and wait until everything is served again."""
        deed()
        self.did[deed.__name__] += 1
        wait_until(self._is_well, 4 * PATIENCE)

    def reload(self) -> None:
        """Put a good model in the other's place, as training does, and have it taken."""
        with replacing(self.directory, marker=MANIFEST) as draft:
            shutil.copytree(self.models[self.draws.integers(2)], draft, dirs_exist_ok=True)
        assert self._reloaded().status_code == 200

    def reload_broken(self) -> None:
        """Damage a file of the model, or take it away, or all of them; then make it good again."""
        files = sorted(path for path in self.directory.iterdir() if path.is_file())
        files = [path for path in files if path.suffix in (".safetensors", ".parquet", ".json")]
        path = files[self.draws.integers(len(files))]
        good, how = path.read_bytes(), self.draws.integers(3)
        if how == 0:
            path.write_bytes(good[: self.draws.integers(len(good))])
        elif how == 1:
            path.unlink()
        else:
            shutil.rmtree(self.directory)
        refused = self._reloaded()
        assert refused.status_code == 409, f"{path.name}, {how}: {refused.text}"
        assert "the model in use goes on" in refused.json()["detail"]
        shutil.copytree(self.models[0], self.directory, dirs_exist_ok=True)

    def burst(self) -> None:
        """Far more at once than can be served in time."""
        people = np.array(CATALOGUE)[self.draws.integers(0, 60, (20, 1_024, 3))]
        bodies = [json.dumps({"histories": each}) for each in people.tolist()]
        answers: list[tuple[int, str | None]] = []

        def ask(body: str) -> None:
            one = HTTPConnection("127.0.0.1", self.service.port, timeout=4 * PATIENCE)
            one.request("POST", "/v1/recommend:batch", body, {"Content-Type": "application/json"})
            answer = one.getresponse()
            answer.read()
            answers.append((answer.status, answer.headers["Retry-After"]))
            one.close()

        threads = [threading.Thread(target=ask, args=(body,)) for body in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(4 * PATIENCE)
        assert set(answers) <= {(200, None), (503, "1")}, answers
        assert len(answers) == len(threads)
        self.did["burst: 503"] += sum(status == 503 for status, _ in answers)

    def slow_clients(self) -> None:
        """Many who connect and say nothing, or only begin."""
        with ExitStack() as stack:
            for n in range(100):
                one = stack.enter_context(
                    socket.create_connection(("127.0.0.1", self.service.port), PATIENCE)
                )
                one.sendall(b"POST /v1/recommend HTTP/1.1\r\nContent-Length: 9\r\n\r\n"[: n % 60])
            time.sleep(float(self.draws.uniform(0, 5)))

    def kill_service(self) -> None:
        """End it in the middle of everything, and start it on the same store."""
        self._restart(signal.SIGKILL)

    def stop_service(self) -> None:
        """Ask it to end, and start it on the same store."""
        self._restart(signal.SIGTERM)

    def kill_redis(self) -> None:
        """End the store's server, and start it a while later."""
        assert self.redis is not None
        self.redis.kill()
        time.sleep(float(self.draws.uniform(0, 2)))
        self.redis.start()

    def pause_redis(self) -> None:
        """Let the store's server hang."""
        assert self.redis is not None
        self.redis.pause()
        time.sleep(float(self.draws.uniform(0, 6)))
        self.redis.go_on()

    def _restart(self, number: int) -> None:
        former = self.service
        former.end(number)
        self.said += former.said
        self.service = self._started()

    def _started(self) -> Served:
        return Served(self.directory, "--store", self.store, *OPTIONS)

    def _reloaded(self) -> httpx2.Response:
        return httpx2.post(f"{self.service.url}/v1/model:reload", timeout=4 * PATIENCE)

    def _is_well(self) -> bool:
        with httpx2.Client(base_url=self.service.url, timeout=PATIENCE) as client:
            ready = client.get("/readyz").status_code == 200
            answer = client.post("/v1/recommend", json={"history": ["i01"]})
        return ready and answer.status_code == 200 and not answer.json()["fallback"]


def test_whatever_happens_every_answer_is_right(
    chaos: Chaos, soaking: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    callers = [Caller(f"caller{seed}", seed, lambda: chaos.service) for seed in range(CALLERS)]
    ended = threading.Event()
    threads = [threading.Thread(target=caller.run, args=(ended,)) for caller in callers]
    for thread in threads:
        thread.start()
    try:
        began = time.monotonic()
        for done, deed in enumerate(chaos.deeds_in_turn()):
            if (time.monotonic() - began > SECONDS) if soaking else (done == DEEDS):
                break
            chaos.once(deed)
    finally:
        ended.set()
        for thread in threads:
            thread.join(4 * PATIENCE)
    for caller in callers:
        for user in caller.users:
            caller.see_user(user)
    told = sum((caller.told for caller in callers), Counter[str]())
    if soaking:
        with capsys.disabled():
            print(f"\n{SECONDS} s of chaos, {len(chaos.said + chaos.service.said):,} lines logged")
            for name, count in [*sorted(chaos.did.items()), *sorted(told.items())]:
                print(f"  {count:8,}  {name}")
    wrong = [each for caller in callers for each in caller.wrong]
    assert not wrong, wrong[:5]
    assert not [line for line in chaos.said + chaos.service.said if "Traceback" in line]
    assert told["recommend: ok"]
    assert told["send: ok"]
