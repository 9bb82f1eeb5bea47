"""A line of a gigabyte and a million columns: read or refused, in memory of some times the file."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clusterseq.errors import DataError
from clusterseq.reading.events import read_events

TIMES, ANYHOW = 10, 2**28
"""Memory that a file may take: so many times its size, beside what a reader always takes."""
PIECE = "a" * 2**20


@contextmanager
def bounded(path: Path) -> Iterator[None]:
    """See to it that what is done with a file takes memory in proportion; then delete it."""
    most = TIMES * path.stat().st_size + ANYHOW
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    path.unlink()
    assert grown < most


@pytest.mark.parametrize("end", ["", ",i\n"])
def test_a_line_of_a_gigabyte(tmp_path: Path, soaking: bool, end: str) -> None:
    path = tmp_path / "e.csv"
    with path.open("w") as file:
        file.write("user,item\n")
        for _ in range(1_000 if soaking else 16):
            file.write(PIECE)
        file.write(end)
    with bounded(path):
        if end:
            assert len(read_events(path)) == 1
        else:
            with pytest.raises(DataError, match="the item is missing"):
                read_events(path)


@pytest.mark.parametrize("named", [True, False])
def test_a_million_columns(tmp_path: Path, soaking: bool, named: bool) -> None:
    path, columns = tmp_path / "e.csv", 1_000_000 if soaking else 20_000
    names = [*(["user", "item"] if named else []), *(f"c{number}" for number in range(columns))]
    path.write_text(f"{','.join(names)}\n{','.join(names)}\n")
    with bounded(path):
        if named:
            assert read_events(path).frame.rows() == [("user", "item", 0)]
        else:
            with pytest.raises(DataError, match=f"and {columns - 8} more; name it with"):
                read_events(path)
