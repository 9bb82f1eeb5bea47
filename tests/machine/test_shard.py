"""An item table in shares trains to the weights of a whole one, and each process holds half."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from clusterseq import cli
from clusterseq.errors import CheckpointError, ConfigError
from clusterseq.learning.pretrain import require_shardable
from clusterseq.learning.resume import StateSaver
from clusterseq.learning.stage import Place
from clusterseq.machine.workers import ALONE, Workers
from tests.tiny import N_ITEMS, tiny

TWO = Workers(0, 2)
STATE = ["state-1-of-2.safetensors", "state-2-of-2.safetensors"]
FITS = """
import os
import shutil
import signal
import sys
from pathlib import Path

import torch
import torch.distributed as distributed
from safetensors.torch import save_file

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
from clusterseq.config import Runtime
from clusterseq.learning.train import fit
from clusterseq.machine.progress import Silent
from tests.tiny import KNOWN, N_ITEMS, VALIDATION, tiny

folder = Path(sys.argv[1])
calm = {"fast_softmax": False, "backbone_rate": 0.0, "clip": 0.01}
config = tiny({"dropout": 0.0}, rivals=12, meta_epochs=2, leave_out=True, **calm)
distributed.init_process_group("gloo")
first = distributed.get_rank() == 0


class Impatient(Silent):
    def step(self, stage, done, total):
        if stage == "pretrain" and done == 7 and not first:
            os.kill(os.getpid(), signal.SIGINT)


def fitted(shard_items, **more):
    runtime = Runtime(threads=1, shard_items=shard_items)
    # An odd number of rows, the last of which nobody touches.
    return fit(KNOWN, VALIDATION, config, n_items=N_ITEMS + 1, runtime=runtime, **more)


whole = fitted(False)
try:
    fitted(True, resume_at=folder, watcher=Impatient())
except KeyboardInterrupt:
    distributed.barrier()
    if first:
        shutil.copytree(folder / "state", folder / "amid")
shares = fitted(True, resume_at=folder, resume=True)
if first:
    save_file(whole.tensors(), folder / "whole.safetensors")
    save_file(shares.tensors(), folder / "shares.safetensors")
distributed.barrier()
distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes have left that trained whole, in shares until a stop, and to the end."""
    folder = tmp_path_factory.mktemp("shares")
    script = folder / "fits.py"
    script.write_text(FITS)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", str(script), str(folder)]
    paths = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    subprocess.run(command, check=True, env={**os.environ, **paths}, timeout=180)
    return folder


def test_the_weights_are_those_of_a_whole_table_stop_or_no_stop(folder: Path) -> None:
    whole, shares = (load_file(folder / f"{name}.safetensors") for name in ("whole", "shares"))
    assert shares.keys() == whole.keys()
    torch.testing.assert_close(shares, whole, rtol=1e-10, atol=1e-10)


def test_each_process_holds_half_of_table_and_moments(folder: Path) -> None:
    parts = [load_file(folder / "amid" / name) for name in STATE]
    table = ["model.items.embedding", "best.items.embedding"]
    for name in [*table, "moments.0.exp_avg", "moments.0.exp_avg_sq"]:
        assert [len(part[name]) for part in parts] == [11, 10]
    both = torch.cat([part["model.items.embedding"] for part in parts])
    assert len(set(map(tuple, both.tolist()))) == 21, "no row is held twice"
    now, best = (parts[0][name] for name in table)
    assert (now - best).abs().max() > 1e-5, "they learn"


def test_what_is_left_is_whole(folder: Path) -> None:
    assert (folder / "state" / "state.safetensors").exists(), "the last state is of meta-training"
    assert not list(folder.glob(".state*"))


@pytest.mark.parametrize(
    ("state", "divided", "size", "told"),
    [
        ("amid", [], 2, "each of 2 processes keeps a part; go on with --workers 2 --shard-items"),
        ("amid", ["pretrain"], 3, "go on with --workers 2 --shard-items"),
        ("state", ["meta"], 2, "the item table is kept whole; go on without --shard-items"),
    ],
)
def test_a_state_goes_on_as_it_was_kept(
    folder: Path, tmp_path: Path, state: str, divided: list[str], size: int, told: str
) -> None:
    (tmp_path / "state").symlink_to(folder / state)
    run = json.loads((folder / state / "manifest.json").read_text())["run"]
    model, place = torch.nn.Linear(1, 1), Place("pretrain")
    with pytest.raises(CheckpointError, match=told):
        StateSaver(tmp_path, model, place, run, Workers(0, size), divided).restore()


@pytest.mark.parametrize(
    ("train", "workers", "told"),
    [
        ({"rivals": 12}, ALONE, "add --workers 2"),
        ({"rivals": 0}, TWO, "train.rivals is 0, so every step needs all 20 rows"),
        ({"rivals": N_ITEMS}, TWO, "draw fewer"),
        ({"rivals": 12, "backbone_rate": 0.1}, TWO, "set train.backbone_rate to 0"),
    ],
)
def test_what_needs_all_rows_is_refused(train: dict[str, Any], workers: Workers, told: str) -> None:
    config = tiny(**{"backbone_rate": 0.0, **train}).train
    with pytest.raises(ConfigError, match=told):
        require_shardable(config, N_ITEMS, workers)


def test_one_process_has_nobody_to_share_with(
    events_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(events_file), "--out", str(tmp_path / "model"), "--shard-items"]
    assert cli.main(words) != 0
    assert "nobody to share the item table with; add --workers 2" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()
