"""Trainings that are killed, stopped, short of memory or of a place, or whose clock jumps.

Every training is a process of its own. One parent, which has imported all that takes long and
computes nothing itself, forks them.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clusterseq.cli import main
from clusterseq.config import Config
from clusterseq.learning.checkpoint import LOG, WEIGHTS
from clusterseq.reading.events import read_events
from clusterseq.using.experiment import Experiment

MEMORY = 8 * 2**30
"""Bytes of addresses for a training that asks for more."""

CLUSTERSEQ = (sys.executable, "-m", "clusterseq")

TRAININGS = """
import os, random, shutil, signal, sys, time
from clusterseq.learning.checkpoint import load_checkpoint
from clusterseq.config import Config, Runtime
from clusterseq.reading.events import read_events
from clusterseq.using.experiment import Experiment, can_resume
from clusterseq.overrides import with_assignments

events, folder, trials, *options = sys.argv[1:]
config = with_assignments(Config(), options)

def child(out, seed, resume=False):
    forked = os.fork()
    if forked:
        return forked
    try:
        Experiment(read_events(events), out, config, Runtime(seed=seed)).run(resume=resume)
    except KeyboardInterrupt:
        os._exit(130)
    os._exit(0)

def status(process):
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

def content(out):
    # In a process of its own, so that this one stays without threads.
    read, write = os.pipe()
    forked = os.fork()
    if not forked:
        os.write(write, load_checkpoint(out).content.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as told:
        found = told.read()
    assert status(forked) == 0, "a model loads"
    return found

begun = time.monotonic()
assert status(child(f"{folder}/seed0", 0)) == 0
takes = time.monotonic() - begun
assert status(child(f"{folder}/seed1", 1)) == 0
models = [content(f"{folder}/seed0"), content(f"{folder}/seed1")]
print("models", *models)
assert models[0] != models[1]
out, draws, there, begun, stopped = f"{folder}/model", random.Random(0), 0, False, 0
shutil.copytree(f"{folder}/seed0", out)
while True:
    process = child(out, 1 - there, resume=begun and can_resume(out))
    if stopped < int(trials):
        time.sleep(draws.uniform(0, 1.1 * takes))
        os.kill(process, draws.choice([signal.SIGKILL, signal.SIGTERM]))
    ended = status(process)
    print("ended", ended, flush=True)
    assert ended in (0, 130, -signal.SIGKILL, -signal.SIGTERM)
    stopped += ended != 0
    found = content(out)
    assert found in models, "the old model or the new one, byte for byte"
    # Killed after the new model was saved, a training is over, and the next one begins anew.
    begun = found == models[there]
    assert ended != 0 or not begun, "it ends in the weights of an undisturbed run"
    there = models.index(found)
    if ended == 0 and stopped == int(trials):
        break
"""


def test_stopped_at_any_moment_the_old_or_the_new_model_loads(
    events_file: Path, small_options: list[str], tmp_path: Path, soaking: bool
) -> None:
    """SIGKILL and SIGTERM at random moments; resumed, it ends in the weights of its seed."""
    trials = 50 if soaking else 1
    words = [sys.executable, "-c", TRAININGS, str(events_file), str(tmp_path), str(trials)]
    words += [option for option in small_options if option != "--set"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, check=False, timeout=3_000
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ended = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("ended")]
    assert sum(status != 0 for status in ended) == trials
    assert ended[-1] == 0
    left = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")}
    assert left == {"model", "seed0", "seed1"}


def test_a_clock_that_jumps_changes_nothing(
    events_file: Path,
    model_directory: Path,
    small: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Durations are of a clock that knows no date: the same weights, and no epoch is negative."""
    events, jumps = read_events(events_file), iter([9, 5e9, 0, 1, -7] * 10**6)
    with monkeypatch.context() as patch:
        patch.setattr("time.time", jumps.__next__)
        Experiment(events, tmp_path / "jumping", small).run()
    lines = (tmp_path / "jumping" / LOG).read_text().splitlines()
    assert all(json.loads(line)["seconds"] >= 0 for line in lines)
    assert (tmp_path / "jumping" / WEIGHTS).read_bytes() == (model_directory / WEIGHTS).read_bytes()


def run(*words: str, memory: int = resource.RLIM_INFINITY) -> tuple[int, str]:
    """The status and the error of a command, in a process with so many bytes of addresses."""
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (memory, memory)),
    )
    return done.returncode, done.stderr.splitlines()[-2]


def test_without_enough_memory_it_says_what_to_do(events_file: Path, tmp_path: Path) -> None:
    """It is let through, since its items would fit, and a square of its width doesn't."""
    words = ["train", str(events_file), "--out", str(tmp_path / "model")]
    words = [*CLUSTERSEQ, *words, "--set", "model.dim=60000"]
    assert run(*words, memory=MEMORY) == (
        2,
        "clusterseq: error: out of memory; take a narrower model (--set model.dim=32), leave out "
        "rare items (--set data.min_item_events=5), or give the machine more",
    )
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("place", ["file/model", "/proc/clusterseq/model"])
def test_a_place_that_cannot_be_written_is_told_before_the_training(
    events_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    """Also to the superuser, whom permissions don't stop."""
    (tmp_path / "file").write_text("dear")
    assert main(["train", str(events_file), "--out", str(tmp_path / place)]) == 2
    assert "name another place" in capsys.readouterr().err.splitlines()[-2]
    assert (tmp_path / "file").read_text() == "dear"


def test_a_read_only_place_is_told_before_the_training(events_file: Path, tmp_path: Path) -> None:
    mount = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o ro none "$0" && exec "$@"']
    mount.append(str(tmp_path))
    if not shutil.which("unshare") or subprocess.run([*mount, "true"], check=False).returncode:
        pytest.skip("only the superuser can mount something read-only")
    words = ["train", str(events_file), "--out", str(tmp_path / "model")]
    status, told = run(*mount, *CLUSTERSEQ, *words)
    assert status == 2
    assert "can't be written; name another place" in told
