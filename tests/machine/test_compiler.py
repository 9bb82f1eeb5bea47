"""Compiled models: what they say, and what is told where nothing can be compiled.

In processes of their own, where no types are checked while it runs: that can't be compiled.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from clusterseq.reading.vocab import RawId
from clusterseq.using.recommender import Recommender
from tests.service.serving import served

HEADER = Path(sysconfig.get_paths()["include"], "Python.h")
needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None or not HEADER.exists(), reason="needs g++ and Python's headers"
)
HISTORIES: list[list[RawId]] = [["i03"], ["i03", "i07"], ["i03", "i07", "i01"], ["i02"] * 9, []]
COMPARED = """
import sys, torch
from clusterseq import Recommender
from tests.machine.test_compiler import HISTORIES

def compiled(recommend, history):
    with torch.profiler.profile() as seen:
        recommend(history)
    return sum("Torch-Compiled Region" in event.name for event in seen.events())

plain, fast = Recommender.load(sys.argv[1]), Recommender.load(sys.argv[1], compiled=True)
# How one is adapted to, and how one is scored roughly: the former only of up to three items.
rough = int(fast.ranker.screen is not None)
regions = [compiled(fast.recommend, history) for history in HISTORIES]
assert regions == [1 + rough, 1 + rough, 1 + rough, rough, 1 + rough], regions
assert not compiled(plain.recommend, HISTORIES[2])
for threads in (1, 2):
    torch.set_num_threads(threads)
    for history in HISTORIES:
        found, expected = fast.recommend(history), plain.recommend(history)
        assert found.ids == expected.ids, history
        for one, other in zip(found, expected):
            assert abs(one.score - other.score) < 1e-4, (history, one, other)
together = fast.recommend(HISTORIES)
assert [one.ids for one in together] == [plain.recommend(each).ids for each in HISTORIES]
"""
"""The compiled one runs what was compiled, and says the same; with other threads, too."""

SMALL = """
import torch
from clusterseq.machine.compiler import compiled

ones = torch.ones(3)
assert compiled(torch.sin, [(ones,)])(ones).equal(torch.sin(ones))
"""

BESIDE_OTHERS = """
import threading, torch
from clusterseq.machine.compiler import compiled

ones, over = torch.ones(3), threading.Event()
first = compiled(torch.sin, [(ones,)])

def use():
    while not over.is_set():
        first(ones)

user = threading.Thread(target=use)
user.start()
functions = [lambda x, n=n: (x + n).cos() for n in range(2)]
later = [compiled(function, [(ones,)]) for function in functions]
over.set()
user.join()
with torch.profiler.profile() as seen:
    results = [function(ones) for function in later]
assert sum("Torch-Compiled Region" in event.name for event in seen.events()) == 2
assert all(result.allclose((ones + n).cos()) for n, result in enumerate(results))
"""
"""What is compiled while others run what was compiled before is compiled all the same."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is compiled once serves all of these tests."""
    return tmp_path_factory.mktemp("compiled")


def run(cache: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    others = {"TORCHINDUCTOR_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1", **variables}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, env={**os.environ, **others}, capture_output=True, text=True, check=False
    )


@needs_compiler
def test_a_compiled_model_says_the_same(model_directory: Path, cache: Path) -> None:
    found = run(cache, "-c", COMPARED, str(model_directory))
    assert found.returncode == 0, found.stderr


@needs_compiler
def test_a_model_is_compiled_while_another_is_in_use(cache: Path) -> None:
    found = run(cache, "-c", BESIDE_OTHERS)
    assert found.returncode == 0, found.stderr


@needs_compiler
def test_the_service_compiles_before_it_listens(
    model_directory: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(cache))
    plain = Recommender.load(model_directory)
    with served(model_directory, "--compile", "--store", "memory:") as (_, client):
        for history in HISTORIES:
            answer = client.post("/v1/recommend", json={"history": history, "k": 5}).json()
            assert [one["item"] for one in answer["items"]] == plain.recommend(history, k=5).ids


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("CXX", "no-such-compiler", "and no-such-compiler isn't there; install it"),
        ("CXX", "false", "the model can't be compiled here ("),
        ("TORCHINDUCTOR_CACHE_DIR", "/dev/null/kept", "what is compiled can't be kept ("),
    ],
)
def test_what_cannot_be_compiled_is_told(
    variable: str, value: str, told: str, model_directory: Path, tmp_path: Path
) -> None:
    command = ["-m", "clusterseq", "serve", str(model_directory), "--compile", "--port", "0"]
    variables = {"CXX": "true", variable: value}
    found = run(tmp_path, *command, "--store", "memory:", **variables)
    assert found.returncode == 2
    assert told in found.stderr
    assert "Traceback" not in found.stderr


@needs_compiler
def test_no_home_to_write_to_is_no_hindrance(tmp_path: Path) -> None:
    places = {"HOME": "/dev/null", "TMPDIR": str(tmp_path), "TORCHINDUCTOR_CACHE_DIR": ""}
    found = run(tmp_path, "-c", SMALL, **places)
    assert found.returncode == 0, found.stderr
    assert any(tmp_path.glob("clusterseq-*/*"))
