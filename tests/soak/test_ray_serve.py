"""A new model on Ray Serve: replicas are replaced one by one, and everybody is answered."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from clusterseq import cli
from tests.ports import free_port
from tests.service.conftest import redis_server
from tests.service.serving import wait_until

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "ray-serve.yaml"
PATIENCE = 180
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Cluster:
    """The file of deploy/ on a Ray of this machine, with another model, store and port."""

    def __init__(self, folder: Path, ray_address: str, model: Path, store: str) -> None:
        self._file, self._ray = folder / "ray-serve.yaml", ray_address
        self._told: dict[str, Any] = yaml.safe_load(CONFIGURATION.read_text())
        self._told["http_options"]["port"] = free_port()
        self.arguments = self._told["applications"][0]["args"]
        self.arguments |= {"model": str(model), "store": store}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._told['http_options']['port']}"

    def deploy(self, version: int) -> None:
        """Deploy it, as ``serve deploy`` does where Ray has its dashboard."""
        self.arguments["version"] = version
        self._file.write_text(yaml.safe_dump(self._told))
        program = Path(sys.executable).with_name("serve")
        words = [str(program), "run", "--non-blocking", str(self._file)]
        environment = {**os.environ, "RAY_ADDRESS": self._ray}
        done = subprocess.run(
            words, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture
def cluster(
    soaking: bool, tmp_path: Path, ray_address: str, model_directory: Path
) -> Iterator[Cluster]:
    if not soaking:
        pytest.skip("it takes a minute; make soak runs it")
    serve = pytest.importorskip("ray.serve")
    shutil.copytree(model_directory, tmp_path / "model")
    with redis_server() as redis:
        yield Cluster(tmp_path, ray_address, tmp_path / "model", redis.url)
        serve.shutdown()


class Customers:
    """People who ask without a break, over kept connections and new ones."""

    def __init__(self, url: str) -> None:
        self.versions: list[str] = []
        self.lost: list[str] = []
        self._url, self._enough = url, threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(kept,)) for kept in (True, False)]

    def __enter__(self) -> Customers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, kept: bool) -> None:
        with httpx2.Client(base_url=self._url, timeout=30) as client:
            while not self._enough.is_set():
                try:
                    if kept:
                        self._note(client.post("/v1/recommend", json={"history": ["i03"]}))
                    else:
                        url = f"{self._url}/v1/recommend"
                        self._note(httpx2.post(url, json={"history": ["i03"]}, timeout=30))
                except httpx2.HTTPError as error:
                    self.lost.append(repr(error))

    def _note(self, answer: httpx2.Response) -> None:
        if answer.status_code != 200:
            self.lost.append(answer.text)
        else:
            self.versions.append(answer.json()["model_version"])


def test_a_new_version_is_taken_without_a_lost_request(
    cluster: Cluster, events_file: Path, small_options: list[str], tmp_path: Path
) -> None:
    cluster.deploy(version=1)
    ready = f"{cluster.url}/readyz"
    wait_until(lambda: httpx2.get(ready, timeout=PATIENCE).status_code == 200, PATIENCE)
    with Customers(cluster.url) as customers:
        wait_until(lambda: customers.versions, PATIENCE)
        words = ["train", str(events_file), "--out", str(tmp_path / "model"), "--seed", "1"]
        assert cli.main([*words, *small_options]) == 0
        cluster.deploy(version=2)
        former = customers.versions[0]
        # Either replica may answer: so many answers are of both.
        wait_until(lambda: former not in customers.versions[-40:], PATIENCE)
    assert not customers.lost
    assert len(set(customers.versions)) == 2
