"""A training that can't fit is refused before it starts, under a bound that is really set."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from clusterseq.config import ModelConfig
from clusterseq.errors import TrainingError
from clusterseq.machine import room


def test_what_fits_is_let_through_and_what_does_not_is_refused() -> None:
    there = room.there_is()
    assert there is not None
    config = ModelConfig(members=1, dim=64)
    room.require(config, 1_000, 10_000)
    too_many = there // (room.NUMBER * room.STATES * config.width) + 1
    with pytest.raises(TrainingError, match="GiB at least while they are trained, and there are"):
        room.require(config, too_many, 0)


def test_a_table_in_shares_fits_where_a_whole_one_does_not() -> None:
    there = room.there_is()
    assert there is not None
    config = ModelConfig(members=1, dim=64, clustering=False)
    items = there // (room.NUMBER * room.STATES * config.width) + 1
    with pytest.raises(TrainingError, match="GiB at least"):
        room.require(config, items, 0)
    room.require(config, items, 0, shares=2)
    with pytest.raises(TrainingError, match="GiB at least"):  # the rows are whole again at last
        room.require(config, room.STATES * items, 0, shares=1_000)


def test_a_container_may_have_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = room.there_is()
    bound, unbounded = tmp_path / "memory.max", tmp_path / "other"
    bound.write_text("1000000\n")
    unbounded.write_text("max\n")
    monkeypatch.setattr(room, "CGROUPS", (tmp_path / "absent", unbounded))
    assert room.there_is() == whole or whole is None or room.there_is() > whole  # type: ignore[operator]
    monkeypatch.setattr(room, "CGROUPS", (unbounded, bound))
    assert room.there_is() == 1_000_000


def test_a_process_may_have_less() -> None:
    whole, former = room.there_is(), resource.getrlimit(resource.RLIMIT_AS)
    assert whole is not None
    try:
        resource.setrlimit(resource.RLIMIT_AS, (whole - 1, former[1]))
        assert room.there_is() == whole - 1
    finally:
        resource.setrlimit(resource.RLIMIT_AS, former)


@pytest.mark.parametrize("option", ["model.dim", "train.teacher_dim"])
def test_the_command_says_so_at_once(events_file: Path, tmp_path: Path, option: str) -> None:
    command = [sys.executable, "-m", "clusterseq", "train", str(events_file), "--preset", "small"]
    command += ["--out", str(tmp_path / "model"), "--set", f"{option}=1000000000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "leave out rare items" in done.stderr.splitlines()[-2]
    assert not list(tmp_path.iterdir())
