"""Events from every format and shape of input, and what the report says of them."""

from __future__ import annotations

import csv
import glob
import gzip
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusterseq.errors import DataError
from clusterseq.reading.events import read_events

SECOND = 10**6
ROWS = [("007", "x", 60), ("7", "y", 61), ("007", "z", 60)]
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1, max_size=5)
TIMES = st.integers(0, 10**7 - 1) | st.integers(10**8, 10**9)
"""Seconds; eight digits may be a date."""
in_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def rows_of(source: Any, **options: Any) -> list[tuple[Any, ...]]:
    return read_events(source, **options).frame.rows()


def as_text(rows: Iterable[Iterable[Any]], separator: str) -> bytes:
    return "".join(separator.join(map(str, row)) + "\n" for row in rows).encode()


def as_json(rows: Iterable[Iterable[Any]], names: Iterable[str]) -> bytes:
    return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows).encode()


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


CSV = as_text([("user_id", "item_id", "timestamp"), *ROWS], ",")
TSV = CSV.replace(b",", b"\t")
INTER = TSV.replace(
    b"user_id\titem_id\ttimestamp", b"user_id:token\titem_id:token\ttimestamp:float"
)
JSON = as_json(ROWS, ("user", "item", "time"))
AMAZON_2014 = as_json(ROWS, ("reviewerID", "asin", "unixReviewTime"))
AMAZON_2023 = as_json(
    [("old", user, item, time * 1000 + 10**12) for user, item, time in ROWS],
    ("asin", "user_id", "parent_asin", "timestamp"),
)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("e.csv", CSV),
        ("e.CSV", CSV),
        ("e.csv", CSV.replace(b"\n", b"\r\n")),
        ("e.csv", b"\xef\xbb\xbf" + CSV),
        ("e.csv", CSV.replace(b",", b";")),
        ("e.csv", b"\n" + CSV.replace(b"\n", b"\n\n")),
        ("e.csv", CSV[:-1]),
        ("e.csv.gz", gzip.compress(CSV, mtime=0)),
        ("e.csv", gzip.compress(CSV, mtime=0)),
        ("e.csv.zst", zstd(CSV)),
        ("e.tsv", TSV),
        ("e.tsv.gz", gzip.compress(TSV, mtime=0)),
        ("e.txt", TSV),
        ("e.inter", INTER),
        ("e.inter.gz", gzip.compress(INTER, mtime=0)),
        ("e.jsonl", JSON),
        ("e.ndjson", JSON.replace(b"\n", b"\n \n")),
        ("e.jsonl", b"\xef\xbb\xbf" + JSON),
        ("e.json.gz", gzip.compress(AMAZON_2014, mtime=0)),
        ("e.jsonl.zst", zstd(JSON)),
        ("e[1].csv", CSV),
        ("e[1].jsonl", JSON),
    ],
)
def test_every_format_gives_the_same_events(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    expected = [(user, item, time * SECOND) for user, item, time in ROWS]
    assert rows_of(tmp_path / name) == expected
    assert rows_of(str(tmp_path / name)) == expected


def test_amazon_2023_prefers_the_parent_and_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "Beauty.jsonl"
    path.write_bytes(AMAZON_2023)
    events = read_events(path)
    assert events.frame.rows() == [(u, i, t * SECOND + 10**15) for u, i, t in ROWS]
    assert events.report.time_units == ("milliseconds",)


def test_amazon_2014_ratings_have_no_header(tmp_path: Path) -> None:
    path = tmp_path / "ratings_Beauty.csv"
    path.write_text("A39HT,0205616461,5.0,1369699200\nA3JM6,0558925278,3.0,1355443200\n")
    assert rows_of(path) == [
        ("A39HT", "0205616461", 1369699200 * SECOND),
        ("A3JM6", "0558925278", 1355443200 * SECOND),
    ]
    path.write_text("A39HT,0205616461,5.0,1369699200\nA3JM6,,3.0,1355443200\n")
    with pytest.raises(DataError, match="line 2: the item is missing"):
        read_events(path)


def test_parquet_keeps_integers_and_strings(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user": [7, 8], "item": ["01", "1"], "time": [5, 6]})
    frame.with_columns(pl.col("user").cast(pl.UInt16)).write_parquet(tmp_path / "e.parquet")
    assert rows_of(tmp_path / "e.parquet") == [(7, "01", 5 * SECOND), (8, "1", 6 * SECOND)]


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        ([7, 8], [7, 8]),
        (["07", "8"], ["07", "8"]),
        ([7, "08"], ["7", "08"]),
        (["08", 7], ["08", "7"]),
        ([7.0, 8], [7, 8]),
        ([2**60 + 1, 8], [2**60 + 1, 8]),
        (['a\n"b', "é"], ['a\n"b', "é"]),
    ],
)
def test_json_ids_keep_their_kind(tmp_path: Path, users: list[Any], expected: list[Any]) -> None:
    path = tmp_path / "e.jsonl"
    # The second kind comes late, past the head that the reader looks at.
    rows = [(users[0], 5), *[(users[0], item) for item in range(1200)], (users[1], 6)]
    path.write_bytes(as_json(rows, ("user", "item")))
    frame = read_events(path).frame
    assert frame["user"].unique(maintain_order=True).to_list() == expected
    assert frame["item"].dtype == pl.Int64


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"user": [7, 8], "item": ["a", "b"]}, index=[5, 5]),
        pd.DataFrame({"user": pd.array([7, 8], "Int64"), "item": pd.Categorical(["a", "b"])}),
        pd.DataFrame({"user": [7.0, 8.0], "item": ["a", "b"], 3: [object(), object()]}),
        pl.DataFrame({"user": [7, 8], "item": ["a", "b"]}).lazy(),
        pl.DataFrame({"user": [7, 8], "item": pl.Series(["a", "b"], dtype=pl.Categorical)}),
    ],
)
def test_data_frames(frame: Any) -> None:
    assert rows_of(frame) == [(7, "a", 0), (8, "b", 1)]


def test_a_pandas_mix_of_kinds_becomes_text() -> None:
    assert rows_of(pd.DataFrame({"user": [7, "x"], "item": [1, 2]})) == [("7", 1, 0), ("x", 2, 1)]


def test_pandas_times() -> None:
    times = pd.to_datetime(["2013-04-13T12:00:00+02:00", "2013-04-13T11:00:00Z"], utc=True)
    frame = pd.DataFrame({"user": [1, 1], "item": [1, 2], "when": times})
    assert [row[2] for row in rows_of(frame, time_column="when")] == [
        1365847200 * SECOND,
        1365850800 * SECOND,
    ]


def test_a_folder_and_a_glob_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.csv").write_text("user,item\n3,c\n")
    pl.DataFrame({"user": [1], "item": ["a"]}).write_parquet(tmp_path / "a.parquet")
    (tmp_path / "a2.jsonl").write_text('{"user": 2, "item": "b"}\n')
    for ignored in ("_SUCCESS", "README.md", ".hidden.csv", "ml.item"):
        (tmp_path / ignored).write_text("not events")
    expected = [("1", "a", 0), ("2", "b", 1), ("3", "c", 2)]
    assert rows_of(tmp_path) == expected
    assert rows_of(tmp_path / "b") == [("3", "c", 0)]
    assert rows_of(f"{glob.escape(str(tmp_path))}/a*") == [(1, "a", 0), (2, "b", 1)]
    twice_named = rows_of(f"{glob.escape(str(tmp_path / 'b'))}/**")  # the folder and its file
    assert twice_named == [("3", "c", 0)]


def test_files_with_and_without_times_do_not_mix(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item,time\n1,x,5\n")
    (tmp_path / "b.csv").write_text("user,item\n1,x\n")
    with pytest.raises(DataError, match=r"b\.csv: no time column, but .*a\.csv has one"):
        read_events(tmp_path)


@in_folder
@given(st.lists(st.tuples(TEXT, TEXT, TIMES), min_size=1, unique=True))
def test_csv_ids_come_back_exactly(tmp_path: Path, rows: list[tuple[str, str, int]]) -> None:
    path = tmp_path / "e.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([("user", "item", "time"), *rows])
    assert rows_of(path) == [(user, item, time * SECOND) for user, item, time in rows]


@in_folder
@given(st.lists(st.tuples(TEXT, TEXT, TIMES), min_size=1, unique=True))
def test_json_ids_come_back_exactly(tmp_path: Path, rows: list[tuple[str, str, int]]) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(as_json(rows, ("user", "item", "time")))
    assert rows_of(path) == [(user, item, time * SECOND) for user, item, time in rows]


def test_the_report_counts_and_measures() -> None:
    rows = {
        "user": ["u", "u", "u", "u", "v", None, "w"],
        "item": ["a", "b", "a", "a", "a", "a", "c"],
        "time": ["2013-01-01", "2013-01-01", "2013-01-01", "2013-01-02", "2012-12-31", "", "n/a"],
    }
    report = read_events(pl.DataFrame(rows), skip_bad=True).report
    assert report.to_dict() == {
        "sources": ["DataFrame"],
        "columns": {"user": "user", "item": "item", "time": "time"},
        "rows_read": 7,
        "dropped": {"user missing": 1, "time unusable": 1},
        "duplicates": 1,
        "events": 4,
        "users": 2,
        "items": 2,
        "timed": True,
        "time_units": ["dates"],
        "first": "2012-12-31T00:00:00Z",
        "last": "2013-01-02T00:00:00Z",
        "tied_share": 0.5,
        "length_min": 1,
        "length_median": 2.0,
        "length_mean": 2.0,
        "length_max": 3,
    }
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()
    text = "\n".join(report.lines())
    for figure in ("7 rows", "2 bad rows: 1 user missing, 1 time unusable", "1 exact", "50.0%"):
        assert figure in text


def test_of_duplicates_the_first_stays() -> None:
    rows = {"user": ["u"] * 4, "item": ["a", "b", "a", "a"], "time": [5, 5, 5, 6]}
    events = read_events(pl.DataFrame(rows))
    assert events.frame["item"].to_list() == ["a", "b", "a"]
    assert events.report.duplicates == 1
    assert len(events) == 3


def test_absent_time_is_the_order_and_said_so() -> None:
    events = read_events(pl.DataFrame({"user": ["u", "u", "u"], "item": ["a", "b", "a"]}))
    assert events.frame["time"].to_list() == [0, 1, 2]
    assert not events.timed
    assert events.report.duplicates == 0
    assert any(
        re.search("time .*none found.*order of the rows", line) for line in events.report.lines()
    )


@pytest.mark.parametrize(("newest", "ahead"), [("2020-02-29", False), ("2199-12-31", True)])
def test_an_event_that_is_still_to_come_is_told(newest: str, ahead: bool) -> None:
    frame = pl.DataFrame({"user": ["a", "a"], "item": ["i", "j"], "time": ["2020-01-01", newest]})
    text = "\n".join(read_events(frame).report.lines())
    assert ("the latest lies in the future" in text) == ahead


def test_a_data_frame_is_spoken_of_in_python() -> None:
    rows = {"user": [1, 2], "item": ["a", "b"], "time": [5.0, None]}
    with pytest.raises(DataError, match="with skip_bad= or name another column with time_column="):
        read_events(pd.DataFrame(rows))
    with pytest.raises(DataError, match=r"no user column .* name it with user_column="):
        read_events(pd.DataFrame(rows).set_index("user"))


@pytest.mark.parametrize("people", [2, 3])
def test_a_column_that_stands_twice_in_a_data_frame_is_told(people: int) -> None:
    frame = pd.DataFrame({"user": range(people), "item": range(people)})
    with pytest.raises(DataError, match='2 columns are called "item"; keep one'):
        read_events(pd.concat([frame, frame[["item"]]], axis=1))
