"""A training that can't fit is refused before it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from clusterseq.config import ModelConfig
from clusterseq.errors import TrainingError
from clusterseq.learning.footprint import NUMBER, STATES, require_room
from clusterseq.machine.room import memory_limit


def test_what_fits_is_let_through_and_what_does_not_is_refused() -> None:
    there = memory_limit()
    assert there is not None
    config = ModelConfig(members=1, dim=64)
    require_room(config, 1_000, 10_000)
    too_many = there // (NUMBER * STATES * config.width) + 1
    with pytest.raises(TrainingError, match="GiB at least while they are trained, and there are"):
        require_room(config, too_many, 0)


def test_a_table_in_shares_fits_where_a_whole_one_does_not() -> None:
    there = memory_limit()
    assert there is not None
    config = ModelConfig(members=1, dim=64, clustering=False)
    items = there // (NUMBER * STATES * config.width) + 1
    with pytest.raises(TrainingError, match="GiB at least"):
        require_room(config, items, 0)
    require_room(config, items, 0, shares=2)
    with pytest.raises(TrainingError, match="GiB at least"):  # the rows are whole again at last
        require_room(config, STATES * items, 0, shares=1_000)


@pytest.mark.parametrize("option", ["model.dim", "train.teacher_dim"])
def test_the_command_says_so_at_once(events_file: Path, tmp_path: Path, option: str) -> None:
    command = [sys.executable, "-m", "clusterseq", "train", str(events_file), "--preset", "small"]
    command += ["--out", str(tmp_path / "model"), "--set", f"{option}=1000000000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "leave out rare items" in done.stderr.splitlines()[-2]
    assert not list(tmp_path.iterdir())
