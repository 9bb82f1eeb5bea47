"""Files of events and titles, spoilt in any way: read, or refused by one clear line."""

from __future__ import annotations

import gzip
import io
import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from clusterseq.errors import DataError
from clusterseq.reading.events import read_events
from clusterseq.reading.titles import read_titles, titles_of
from clusterseq.reading.vocab import Vocabulary
from tests.soak.fuzzing import Tally, fuzz, mutated

CSV = (
    b"user,item,time\r\n"
    b"ann,7,1365811200\r\n"
    b'"b, ob",9,1365811201\n'
    b'"say ""hi""",7,1365811202.5\n'
    b"ann,010,1365811203\n"
)
DATES = (
    b"user;product;date\nann;x;2013-04-13\nbob;y;2013/4/14 09:30\ncy;x;2013-04-13T02:00:00+02:00\n"
)
INTER = b'user_id:token\titem_id:token\ttimestamp:float\n1\t2\t5.0\n3\t"4\t6.5\n'
JSON_LINES = (
    b'{"user": "ann", "item": 7, "time": 1365811200}\n'
    b'{"user": "b\\u00e9", "item": 9, "time": "2013-04-13"}\n\n'
    b'{"item": 7, "user": "ann", "more": [1, {"a": null}]}\n'
)


def parquet() -> bytes:
    target = io.BytesIO()
    frame = pl.DataFrame({"user": ["a", "b"] * 20, "item": range(40), "time": range(40)})
    frame.write_parquet(target)
    return target.getvalue()


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


FILES = {
    "e.csv": (CSV, 20),
    "d.csv": (DATES, 10),
    "e.tsv": (CSV.replace(b",", b"\t"), 5),
    "e.inter": (INTER, 10),
    "e.jsonl": (JSON_LINES, 20),
    "e.parquet": (parquet(), 10),
    "e.csv.gz": (gzip.compress(CSV, mtime=0), 5),
    "e.jsonl.gz": (gzip.compress(JSON_LINES, mtime=0), 5),
    "e.csv.zst": (zstd(CSV), 5),
}
"""A good file of each format, and the thousands of cases that a soak makes of it."""


@pytest.mark.parametrize("name", FILES)
def test_events(
    tmp_path: Path,
    cases: Callable[[int], int],
    record_property: Callable[[str, object], None],
    name: str,
) -> None:
    path, (good, thousands) = tmp_path / name, FILES[name]

    def case(tally: Tally, draws: random.Random) -> None:
        path.write_bytes(mutated(good, draws))
        skip_bad = draws.random() < 0.5

        def read() -> None:
            events = read_events(path, skip_bad=skip_bad)
            report = events.report
            assert len(events) == report.events > 0
            lost = report.duplicates + sum(report.dropped.values())
            assert report.rows_read == report.events + lost
            assert not events.frame.select(pl.any_horizontal(pl.all().is_null())).to_series().any()

        tally.attempt(lambda: one_line(read))

    fuzz(case, cases(thousands), record_property)


def one_line(read: Callable[[], object]) -> None:
    """Read, and see that what is refused is refused in one line of some length."""
    try:
        read()
    except DataError as error:
        if "\n" in str(error) or len(str(error)) > 1_000:
            pytest.fail(f"not one line: {error}")
        raise


TITLES = {
    "t.csv": b'item,title\n7,"Seven, or so"\n9,Nine\n',
    "t.jsonl": b'{"item": 7, "title": "Seven"}\n{"item": 9, "title": null}\n',
}


@pytest.mark.parametrize("name", TITLES)
def test_titles(
    tmp_path: Path,
    cases: Callable[[int], int],
    record_property: Callable[[str, object], None],
    name: str,
) -> None:
    path, items = tmp_path / name, Vocabulary.from_ids([7, 9])

    def case(tally: Tally, draws: random.Random) -> None:
        path.write_bytes(mutated(TITLES[name], draws))
        tally.attempt(lambda: one_line(lambda: titles_of(read_titles(path), items)))

    fuzz(case, cases(10), record_property)
