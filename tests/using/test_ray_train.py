"""Training on Ray: a process that is killed in the middle is made up for, to the same figures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TRAIN = ["--set", "model.members=1", "--set", "model.dim=4", "--set", "train.meta_epochs=0"]
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


def command(events: Path, out: Path, *more: str) -> list[str]:
    words = [sys.executable, "-m", "clusterseq", "train", str(events), "--out", str(out)]
    return [*words, "--engine", "ray", "--workers", "2", "--threads", "1", *TRAIN, *more]


def metrics(out: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((out / "metrics.json").read_text())["test"]["full"]
    return found


def test_a_killed_process_changes_nothing(
    ray_address: str, events_file: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, "RAY_ADDRESS": ray_address, "OMP_NUM_THREADS": "1"}
    epochs = ["--set", "train.pretrain_epochs=40", "--set", "train.patience=40"]
    calm, troubled = tmp_path / "calm", tmp_path / "troubled"
    calmly = command(events_file, calm, *epochs, "--json")
    done = subprocess.run(calmly, stdout=subprocess.PIPE, check=True, env=environment, timeout=180)
    assert json.loads(done.stdout)["test"]["full"] == metrics(calm), "nothing else is printed"
    with subprocess.Popen(command(events_file, troubled, *epochs), env=environment) as process:
        log = troubled.with_name("troubled.training") / "log.jsonl"
        deadline = time.monotonic() + 120
        while not (log.exists() and len(log.read_text().splitlines()) >= 3):
            assert time.monotonic() < deadline, "some epochs are behind us"
            assert process.poll() is None, "it trains"
            time.sleep(0.02)
        victims = workers()
        assert len(victims) == 2
        os.kill(victims[-1], signal.SIGKILL)
        assert process.wait(180) == 0
    assert metrics(troubled) == metrics(calm)
    weights = [(out / "model.safetensors").read_bytes() for out in (calm, troubled)]
    assert weights[0] == weights[1]


def workers() -> list[int]:
    """The processes in which Ray trains."""
    found = subprocess.run(
        ["pgrep", "-f", "ray::RayTrainWorker"], capture_output=True, text=True, check=False
    )
    return sorted(int(word) for word in found.stdout.split())
