"""Titles are found in every kind of file, whatever the columns are called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from clusterseq.commands.shared.events import items_of, warn_of_titles
from clusterseq.errors import DataError
from clusterseq.reading.events import read_events
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


@pytest.mark.parametrize(
    ("name", "line", "told"),
    [
        ("items.csv", "3,Monsters, Inc.", r"items\.csv line 4: 3 fields where there are 2 columns"),
        ("items.csv", '3,"TV 40" black"', r"items\.csv line 4: wrong quoting"),
        ("items.tsv", '3\t"Open', r"items\.tsv line 4: wrong quoting"),
        ("items.csv", "3,Caf\udce9", r"items\.csv line 4: not UTF-8 text"),
    ],
)
def test_a_line_that_shifts_titles_is_told(tmp_path: Path, name: str, line: str, told: str) -> None:
    lines = ["item,title", "1,One", "2,Two", line, "4,Four"]
    text = "\n".join(line.replace(",", "\t" if name.endswith(".tsv") else ",", 1) for line in lines)
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=told) as caught:
        read_titles(tmp_path / name)
    assert "--skip-bad" not in str(caught.value)


def test_quotes_and_missing_fields_are_read_as_they_are_meant(tmp_path: Path) -> None:
    text = 'item,title\n1,Monitor 24"\n\n2\n3,"Say ""hi"", again"\n4,Monitor 27"\n'
    (tmp_path / "items.csv").write_text(text)
    titles = ['Monitor 24"', None, 'Say "hi", again', 'Monitor 27"']
    assert read_titles(tmp_path / "items.csv")["title"].to_list() == titles


def test_titles_of_no_item_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = pl.DataFrame({"item": ["B01"], "title": ["One"]})
    items = items_of(read_events(pl.DataFrame({"user": ["u"], "item": ["b01"]})))
    warn_of_titles(tmp_path / "items.csv", rows, items)
    told = " ".join(capsys.readouterr().err.split())
    assert 'none of its ids is an item\'s, so none gets a title; compare "B01" and "b01"' in told
    warn_of_titles(tmp_path / "items.csv", rows.with_columns(item=pl.lit("b01")), items)
    assert capsys.readouterr().err == ""


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file; check the path"):
        read_titles(tmp_path / "nowhere.csv")


def test_the_first_title_that_is_one_counts() -> None:
    rows = pl.DataFrame({"item": [7, 7, 9, 7], "title": [None, "Seven", None, "Again"]})
    assert titles_of(rows, Vocabulary.from_ids([7, 9])) == ["Seven", None]
