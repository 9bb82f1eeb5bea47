"""Ten times what a service can do: some are served, some told to come back, and it recovers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx2
import numpy as np
import pytest

from tests.service.serving import PATIENCE, Served, served, wait_until
from tests.soak.calling import CATALOGUE

TIMES = 10
SECONDS, SOAK_SECONDS = 3, 60
PEOPLE = 1_024
"""In a request: so many that a few requests fill the queue."""


@pytest.fixture(scope="module")
def service(model_directory: Path) -> Iterator[Served]:
    with served(model_directory, "--store", "memory:") as (running, _):
        yield running


def test_ten_times_too_much_is_partly_refused_and_soon_forgotten(
    service: Served, soaking: bool
) -> None:
    told = Counter[tuple[int, str | None]]()

    def batch(seed: int) -> None:
        """People of whom nobody has come before."""
        places = np.random.default_rng(seed).integers(0, len(CATALOGUE), (PEOPLE, 4))
        body = {"histories": np.array(CATALOGUE)[places].tolist(), "k": 1}
        told[ask(service, "recommend:batch", body)] += 1

    began = time.monotonic()
    for seed in range(3):
        batch(seed)
    able = 3 / (time.monotonic() - began)
    assert set(told) == {(200, None)}
    with ThreadPoolExecutor(200) as pool:
        asking: list[Future[None]] = []
        began, until = time.monotonic(), SOAK_SECONDS if soaking else SECONDS
        while (now := time.monotonic() - began) < until:
            due = int(TIMES * able * now)
            asking += [pool.submit(batch, 3 + seed) for seed in range(len(asking), due)]
            time.sleep(0.05)
    for each in asking:
        each.result()
    assert set(told) == {(200, None), (503, "1")}, told
    draws = np.random.default_rng(0)
    wait_until(lambda: not any([fell_back(service, draws) for _ in range(20)]))


def ask(service: Served, what: str, body: object) -> tuple[int, str | None]:
    """The status of an answer, and when to come back."""
    answer = httpx2.post(f"{service.url}/v1/{what}", json=body, timeout=4 * PATIENCE)
    return answer.status_code, answer.headers.get("Retry-After")


def fell_back(service: Served, draws: np.random.Generator) -> bool:
    """Whether somebody new is told what is popular, for want of time."""
    history = draws.choice(CATALOGUE, 6).tolist()
    answer = httpx2.post(f"{service.url}/v1/recommend", json={"history": history})
    assert answer.status_code == 200
    return bool(answer.json()["fallback"])
