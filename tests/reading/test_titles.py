"""Titles are found in every kind of file, whatever the columns are called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from clusterseq.errors import DataError
from clusterseq.reading.titles import read_titles, titles_of
from clusterseq.reading.vocab import Vocabulary

ROWS = {"genre": ["x", "y", "z"], "movieId": ["007", "8", "007"], "Title": ["Bond", None, "Again"]}
WRITERS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    "items.csv": lambda frame, path: frame.write_csv(path),
    "items.tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    "items.txt": lambda frame, path: frame.write_csv(path),
    "spreadsheet.csv": lambda frame, path: frame.write_csv(path, separator=";"),
    "items.jsonl": lambda frame, path: frame.write_ndjson(path),
    "items.parquet": lambda frame, path: frame.write_parquet(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_gives_the_same(tmp_path: Path, name: str) -> None:
    WRITERS[name](pl.DataFrame(ROWS), tmp_path / name)
    rows = read_titles(tmp_path / name)
    assert rows.columns == ["item", "title"]
    assert titles_of(rows, Vocabulary.from_ids(["007", "8", "9"])) == ["Bond", None, None]


def test_titles_may_begin_late(tmp_path: Path) -> None:
    lines = ['{"item": "x"}'] * 500 + ['{"item": "y", "title": "Why"}']
    (tmp_path / "items.jsonl").write_text("\n".join(lines))
    assert titles_of(read_titles(tmp_path / "items.jsonl"), Vocabulary.from_ids(["y"])) == ["Why"]


def test_ids_meet_across_kinds() -> None:
    rows = pl.DataFrame({"item": ["12", "012"], "title": ["twelve", "other"]})
    assert titles_of(rows, Vocabulary.from_ids([12, 13])) == ["twelve", None]
    assert titles_of(
        pl.DataFrame({"item": [12], "title": ["twelve"]}), Vocabulary.from_ids(["12"])
    ) == ["twelve"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("items.xlsx", "", "unknown kind of file"),
        ("items.csv", "", "titles can't be read"),
        ("items.csv", "item,genre\n1,x\n", 'no title column among "item", "genre"'),
        ("items.csv", "film,title\n1,x\n", 'no item column among "film", "title"'),
        ("items.parquet", "PAR1", "titles can't be read"),
        ("items.jsonl", "{", "titles can't be read"),
    ],
)
def test_what_holds_no_titles_is_told(tmp_path: Path, name: str, content: str, told: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as caught:
        read_titles(tmp_path / name)
    assert name in str(caught.value)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file; check the path"):
        read_titles(tmp_path / "nowhere.csv")


def test_the_first_title_that_is_one_counts() -> None:
    rows = pl.DataFrame({"item": [7, 7, 9, 7], "title": [None, "Seven", None, "Again"]})
    assert titles_of(rows, Vocabulary.from_ids([7, 9])) == ["Seven", None]
