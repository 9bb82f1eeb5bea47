"""Install a wheel as its users do, into a bare virtual environment, and run what the README shows.

    python deploy/trial.py WHEEL

Every dependency comes from requirements.lock and is refused if its hash differs. The commands and
the lines of Python are taken from the README; those of extras that aren't locked are left out.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "deploy" / "requirements.lock"
LOCKED_EXTRAS = {"serve", "storage"}
PATIENCE_S = 120.0
EVENTS = """
import numpy as np, polars as pl
items = ["milk", "bread", "tea", "jam", "cream", *(f"thing-{n}" for n in range(20))]
draws = np.random.default_rng(0)
def events(name, people, start):
    rows = [
        (f"{name}-{person}", items[item], start + 1000 * person + place)
        for person in range(people)
        for place, item in enumerate(draws.permutation(len(items))[:8])
    ]
    return pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")
events("person", 80, 0).write_csv("events.csv")
events("later", 40, 10**6).write_csv("this-week.csv")
events("newcomer", 10, 10**6).write_parquet("newcomers.parquet")
"""
"""Small files by the names that the README gives them."""


def main(wheel: Path) -> None:
    """Try a wheel out in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        try_out(installed(Path(folder) / "environment", wheel), Path(folder))


def installed(environment: Path, wheel: Path) -> Path:
    """The interpreter of a new environment of the wheel and what is locked, nothing else."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    with _timed("pip install --require-hashes"):
        subprocess.run([*pip, "install", "-q", "--require-hashes", "-r", LOCK], check=True)
    # By its name, so that where the wheel lay is recorded nowhere.
    here = ["--no-deps", "--no-index", "--find-links", str(wheel.parent)]
    name, version = wheel.name.split("-")[:2]
    subprocess.run([*pip, "install", "-q", *here, f"{name}=={version}"], check=True)
    subprocess.run([*pip, "check"], check=True)
    return python


def try_out(python: Path, folder: Path) -> None:
    """Run the README's commands and its lines of Python; the first failure ends it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    subprocess.run([python, "-c", EVENTS], check=True, cwd=folder)
    for command in ("clusterseq --version", "clusterseq doctor", *commands(readme)):
        with _timed(command):
            _run(command, python, folder)
    (lines,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    with _timed("the lines of Python"):
        _checked([str(python), "-c", lines], folder)


def commands(readme: str) -> Iterator[str]:
    """The commands under "Use it" for which nothing is missing, without their comments."""
    block = re.search(r"^## Use it\n.*?^```sh\n(.*?)```", readme, re.DOTALL | re.MULTILINE)
    assert block is not None, "the README has no commands under 'Use it'"
    for line in block[1].splitlines():
        command, _, comment = line.partition("#")
        if set(re.findall(r"extra \[(\w+)\]", comment)) <= LOCKED_EXTRAS:
            yield command.strip()


def _run(command: str, python: Path, folder: Path) -> None:
    program, *words = shlex.split(command)
    line = [str(python.parent / program), *words]
    if words[0] == "serve":
        _ask(line, folder)
    else:
        _checked(line, folder)


def _checked(line: list[str], folder: Path) -> None:
    """Run it quietly; say everything if it fails."""
    done = subprocess.run(line, cwd=folder, env=_environment(), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{done.stdout}{done.stderr}{shlex.join(line)}: {done.returncode}")


def _ask(line: list[str], folder: Path) -> None:
    """Start the service, ask for a recommendation, let it end in order."""
    with served(line, cwd=folder, env=_environment()) as address:
        request = urllib.request.Request(
            f"{address}/v1/recommend",
            b'{"history": ["milk", "bread"]}',
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            assert b'"items"' in answer.read()


@contextmanager
def served(line: list[str], **where: Any) -> Iterator[str]:
    """The address of a service, from when it is ready until it has ended in order."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = [*line, "--port", str(port)]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(line, **where) as process:
        try:
            _wait_for(f"{address}/readyz", process)
            yield address
        finally:
            process.terminate()
    if process.returncode:
        raise SystemExit(f"{shlex.join(line)}: {process.returncode}")


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(address, timeout=PATIENCE_S).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{address} isn't ready after {PATIENCE_S:.0f} s")


def _environment() -> dict[str, str]:
    """Nothing of the checkout is to be imported."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@contextmanager
def _timed(what: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    print(f"{time.monotonic() - start:6.1f} s  {what}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
