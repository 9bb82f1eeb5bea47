"""Where nothing more can be written: the command says what to do, and what was there is kept.

The bound on file sizes is the system's own and needs no privileges; a full disk fails alike.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch

from clusterseq.learning.checkpoint import load_checkpoint
from clusterseq.machine.tensors import write_tensors

ROOM = 20_000
"""Bytes of a file: enough for a log, not for a model."""


def bounded(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clusterseq", *words]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM)),
    )


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_training_keeps_the_former_model(
    model_directory: Path, events_file: Path, small_options: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "model"
    shutil.copytree(model_directory, out)
    done = bounded("train", str(events_file), "--out", str(out), *small_options)
    assert done.returncode == 2, done.stderr
    told = done.stderr.splitlines()[-2]
    assert "free some room or name another place" in told
    assert str(out) in told
    assert files_below(out) == files_below(model_directory)
    assert not list(tmp_path.glob(".*"))


def test_a_search_says_where_nothing_more_can_be_kept(events_file: Path, tmp_path: Path) -> None:
    done = bounded("tune", str(events_file), "--out", str(tmp_path / "search"))
    assert done.returncode == 2, done.stderr
    told, more = done.stderr.splitlines()[-2:]
    assert f"{tmp_path / 'search' / 'search.db'}: " in told
    assert "free some room" in told
    assert more == "clusterseq help output tells more"


def test_a_push_says_that_there_is_no_room(model_directory: Path, tmp_path: Path) -> None:
    done = bounded("push", str(model_directory), (tmp_path / "there").as_uri())
    assert done.returncode == 2, done.stderr
    told, more = done.stderr.splitlines()[-2:]
    assert told.endswith("nothing more can be written; free some room there")
    assert more == "clusterseq help output tells more"


def test_an_update_keeps_the_former_model(
    model_directory: Path, events_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    shutil.copytree(model_directory, out)
    later = tmp_path / "later.csv"
    pl.read_csv(events_file).filter(pl.col("user") > "u1").write_csv(later)
    done = bounded("update", str(out), str(later), "--out", str(out), "--epochs", "0")
    assert done.returncode == 2, done.stderr
    assert "free some room" in done.stderr.splitlines()[-2]
    assert load_checkpoint(out).content == load_checkpoint(model_directory).content


def test_preparing_does_not_blame_the_input(events_file: Path, tmp_path: Path) -> None:
    done = bounded("prepare", str(events_file), "--out", str(tmp_path / "data"))
    assert done.returncode == 2, done.stderr
    told = done.stderr.splitlines()[-2]
    assert "no room for what is needed on the way" in told or "free some room" in told
    assert not list(tmp_path.iterdir())


def test_recommending_leaves_nothing_half_written(
    model_directory: Path, events_file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "recs.csv"
    words = ["--input", str(events_file), "--output", str(output), "--k", "50"]
    done = bounded("recommend", str(model_directory), *words)
    assert done.returncode == 2, done.stderr
    assert "free some room or name a place" in done.stderr.splitlines()[-2]
    assert not list(tmp_path.iterdir())


def test_other_errors_of_the_library_are_told_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file") as caught:
        write_tensors(tmp_path / "absent" / "file", {"a": torch.zeros(3)})
    assert caught.value.errno == 2


def test_several_processes_say_that_nothing_can_be_counted(model_directory: Path) -> None:
    """Each would be ended by the system at its first number, and started again without end."""
    done = bounded("serve", str(model_directory), "--processes", "2", "--store", "redis://away")
    assert done.returncode == 2, done.stderr
    told, more = done.stderr.splitlines()[-2:]
    assert "no room for what is counted" in told
    assert "TMPDIR" in told
    assert more == "clusterseq help output tells more"
