"""Several processes train as one does: same weights, a kill is told, and the rest stays silent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from clusterseq.errors import ConfigError
from clusterseq.machine.workers import ALONE, Workers, process_group

FIT = """
import sys
import torch
from safetensors.torch import save_file

if sys.argv[2] == "float64":
    torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
from clusterseq.config import Runtime
from clusterseq.learning.train import fit
from clusterseq.machine.workers import is_main_process
from tests.tiny import KNOWN, N_ITEMS, VALIDATION, tiny

config = tiny({"dropout": 0.0}, rivals=12, meta_epochs=2, fast_softmax=False)
model = fit(KNOWN, VALIDATION, config, n_items=N_ITEMS, runtime=Runtime(threads=1))
if is_main_process():
    save_file(model.tensors(), sys.argv[1])
"""
SUM = """
import torch
from torch import nn
from clusterseq.machine.workers import process_group

with process_group(torch.device("cpu")) as workers:
    both, one, none = (nn.Parameter(torch.zeros(2)) for _ in range(3))
    both.grad = torch.ones(2)
    if workers.first:
        one.grad = torch.full((2,), 3.0)
    workers.sum_gradients([both, one, none])
    assert both.grad.tolist() == [2, 2] and one.grad.tolist() == [3, 3] and none.grad is None
"""
TRAIN = ["--set", "model.members=1", "--set", "model.dim=4", "--set", "train.meta_epochs=0"]


def trained(folder: Path, workers: int, dtype: str) -> dict[str, torch.Tensor]:
    """The tensors that so many processes come to."""
    target = folder / f"{workers}-{dtype}.safetensors"
    run(folder, FIT, workers, str(target), dtype)
    return load_file(target)


def run(folder: Path, text: str, workers: int, *arguments: str) -> None:
    """Run a program in so many processes."""
    script = folder / "script.py"
    script.write_text(text)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={workers}", str(script), *arguments]
    paths = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    subprocess.run(command, check=True, env={**os.environ, **paths}, timeout=120)


def test_where_nobody_has_a_gradient_there_is_none_after_all(tmp_path: Path) -> None:
    run(tmp_path, SUM, 2)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 0.02)])
# Of single precision it is the calibrated scalars that differ: their loss is flat.
def test_several_processes_come_to_the_weights_of_one(
    tmp_path: Path, dtype: str, tolerance: float
) -> None:
    alone, together = (trained(tmp_path, workers, dtype) for workers in (1, 2))
    assert alone.keys() == together.keys()
    torch.testing.assert_close(together, alone, rtol=tolerance, atol=tolerance)
    assert any(tensor.dtype == getattr(torch, dtype) for tensor in alone.values())


def test_a_batch_is_shared_out_whole() -> None:
    for size in (1, 2, 3, 7):
        rows = [list(range(5))[Workers(rank, size).share(5)] for rank in range(size)]
        assert sorted(row for part in rows for row in part) == list(range(5))


def test_alone_nothing_is_told() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    ALONE.sum_gradients([parameter])
    assert parameter.grad is None
    assert not ALONE.any(False)
    assert ALONE.any(True)
    assert ALONE.agreed(0.1) == 0.1


def test_a_half_set_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="RANK is not set"), process_group(torch.device("cpu")):
        pass


def test_several_processes_on_an_accelerator_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "localhost"}.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(ConfigError, match="on processors, not on cuda"),
        process_group(torch.device("cuda")),
    ):
        pass


def test_each_process_drops_other_values() -> None:
    """All have drawn alike who competes; what is dropped of each one's own share differs."""
    draws = []
    for rank in range(3):
        shared = torch.Generator().manual_seed(5)
        torch.rand(4, generator=shared)
        draws.append(torch.rand(4, generator=Workers(rank, 3).own_draws(shared)).tolist())
    alone = torch.Generator().manual_seed(5)
    torch.rand(4, generator=alone)
    assert draws[0] == torch.rand(4, generator=ALONE.own_draws(alone)).tolist()
    assert len({*map(tuple, draws)}) == 3


def command(events: Path, out: Path, *more: str) -> list[str]:
    words = [sys.executable, "-m", "clusterseq", "train", str(events), "--out", str(out)]
    return [*words, "--workers", "2", *TRAIN, *more]


def test_the_command_trains_and_speaks_with_one_voice(events_file: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        command(events_file, tmp_path / "model", "--set", "train.pretrain_epochs=1"),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stderr.count("pre-training epoch 1") == 1
    assert done.stdout.count("people the model has never seen") == 1
    assert (tmp_path / "model" / "model.safetensors").exists()
    assert not (tmp_path / "model.training").exists()


def test_a_killed_worker_ends_the_training_and_resume_goes_on(
    events_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    words = command(events_file, out, "--set", "train.pretrain_epochs=400")
    with subprocess.Popen(words, stderr=subprocess.PIPE, start_new_session=True) as process:
        deadline = time.monotonic() + 90
        state = out.with_name("model.training") / "state"
        while not state.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert state.exists(), "an epoch is kept"
        os.kill(_worker(process.pid), signal.SIGKILL)
        assert process.wait(timeout=60) == 2
    again = [*command(events_file, out, "--set", "train.pretrain_epochs=400"), "--resume"]
    with subprocess.Popen(
        again, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "pre-training epoch" in line:
                assert not line.startswith("pre-training epoch 1:"), "it went on"
                break
        else:
            pytest.fail("no epoch was told")
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        rest = process.stderr.read()
        assert process.wait(timeout=60) == 130
    assert "Traceback" not in rest
    assert "the same command with --resume goes on" in rest
    assert rest.endswith("clusterseq: stopped\n")
    assert state.exists()


def test_bad_input_is_an_error_like_any_other(tmp_path: Path) -> None:
    words = command(tmp_path / "nowhere.csv", tmp_path / "model", "--json")
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith('{"code"')]
    assert told[0]["message"].endswith("nowhere.csv: no such file; check the path")
    assert told[-1] == json.loads(done.stderr.splitlines()[-1])
    assert told[-1]["message"].startswith("a process of 2 has ended with an error")


def _children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


def _worker(pid: int) -> int:
    """The second worker of a running command: child of the launcher, its child."""
    (launcher,) = _children(pid)
    return _children(launcher)[-1]
