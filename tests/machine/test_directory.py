"""A directory is replaced whole or not at all, and what killed saves have left is cleared away."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from clusterseq.errors import DataError
from clusterseq.machine.directory import ABANDONED_S, replacing, scratch
from clusterseq.machine.files import write_whole

MARKER = "manifest.json"


def save(target: Path, text: str) -> None:
    with replacing(target, marker=MARKER) as draft:
        (draft / MARKER).write_text(text)


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "model"
    save(target, "first")
    with pytest.raises(UnicodeEncodeError):
        save(target, "\ud800")  # half a character can't be written
    assert (target / MARKER).read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_drafts_of_killed_saves_are_cleared_away_after_a_day(tmp_path: Path) -> None:
    names = ("old", "new", "another's")
    old, new, other = (
        tmp_path / f".{target}.new-{name}"
        for target, name in zip(("mo[d]el", "mo[d]el", "moel"), names, strict=True)
    )
    for draft in (old, new, other):
        draft.mkdir()
        (draft / "weights").write_text("half")
    for draft in (old, other):
        os.utime(draft, (time.time() - ABANDONED_S - 1,) * 2)
    save(tmp_path / "mo[d]el", "whole")
    assert not old.exists()
    assert new.exists(), "somebody may be at it"
    assert other.exists()


def test_so_is_what_a_killed_computation_needed_on_the_way(tmp_path: Path) -> None:
    left = tmp_path / ".recs.csv.scratch-killed"
    left.mkdir()
    os.utime(left, (time.time() - ABANDONED_S - 1,) * 2)
    with scratch(tmp_path / "recs.csv") as folder:
        assert folder.parent == tmp_path
        assert not left.exists()
    assert not list(tmp_path.iterdir())


def test_what_a_link_leads_to_is_replaced(tmp_path: Path) -> None:
    save(tmp_path / "release", "first")
    link = tmp_path / "current"
    link.symlink_to("release")
    for text in ("second", "third"):
        save(link, text)
        assert link.is_symlink()
        assert (tmp_path / "release" / MARKER).read_text() == text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "release"]


def test_what_came_there_meanwhile_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "model"

    def save_while_somebody_writes() -> None:
        with replacing(target, marker=MARKER) as draft:
            (draft / MARKER).write_text("whole")
            target.mkdir()
            (target / "letter.txt").write_text("dear")

    with pytest.raises(DataError, match="holds no manifest"):
        save_while_somebody_writes()
    assert (target / "letter.txt").read_text() == "dear"
    with pytest.raises(DataError, match="holds no manifest"):
        save(tmp_path / "nowhere" / ".." / "model", "whole")
    assert (target / "letter.txt").read_text() == "dear"


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="holds no manifest"):
        save(tmp_path / "letters", "whole")
    assert (tmp_path / "letters" / "letter.txt").read_text() == "dear"


def test_a_file_is_written_through_a_link_and_into_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "figures.json").write_bytes(b"former")
    (tmp_path / "link.json").symlink_to("figures.json")
    write_whole(tmp_path / "link.json", b"whole")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "figures.json").read_bytes() == b"whole"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(tmp_path / "pipe", b"told")
        assert os.read(reader, 9) == b"told"
    finally:
        os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


def test_links_that_lead_to_each_other_are_told(tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to("model")
    with pytest.raises(DataError, match="leads nowhere"):
        save(tmp_path / "model", "whole")


def test_a_file_keeps_who_may_read_it_and_a_new_one_follows_the_umask(tmp_path: Path) -> None:
    path, former = tmp_path / "secrets", os.umask(0o077)
    try:
        write_whole(path, b"one")
        assert path.stat().st_mode & 0o777 == 0o600
        path.chmod(0o640)
        write_whole(path, b"two")
    finally:
        os.umask(former)
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["secrets"]
