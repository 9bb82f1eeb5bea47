"""Bad input: one clear line that names file, line, value and remedy, or a count with skip_bad."""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusterseq.errors import DataError
from clusterseq.reading.events import read_events

HEADER = "user,item,time\n"
GOOD = "".join(f"u{n},i{n},{n}\n" for n in range(5))
NOISE = random.Random(0).randbytes(20_000)
MANY = "".join(f"u{n},i{n},{n}\n" for n in range(9999))
LATE = '{"user": 1, "item": 2}\n' * 1_500 + '{"user": LATE, "item": 2}\n'
GZIP = gzip.compress((HEADER + MANY).encode(), mtime=0)


def zstd(text: str) -> bytes:
    return bytes(pa.compress(text.encode("utf-8", "surrogateescape"), codec="zstd", asbytes=True))


ZSTD = zstd(HEADER + MANY)


def message_of(source: Any, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        read_events(source, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        (
            "e.csv",
            HEADER + GOOD + "u,i,n/a\n",
            [' line 7: time "n/a" is not a time', "--time-"],
        ),
        ("e.csv", HEADER + "\n\nu,i,n/a\n", [' line 4: time "n/a"']),
        ("e.csv", "\n" + HEADER + GOOD + "u,i,n/a\n", [' line 8: time "n/a"']),
        ("e.csv", HEADER + '"a\nb",i,1\nu,i,n/a\n', [' line 4: time "n/a"']),
        ("e.csv", HEADER + GOOD + ",i,1\n", [" line 7: the user is missing", "--skip-bad"]),
        ("e.csv", HEADER + GOOD + 'u,"",1\n', [" line 7: the item is missing", "--item-column"]),
        ("e.csv", HEADER + GOOD + "u,i,\n", [" line 7: the time is missing"]),
        ("e.csv", HEADER + GOOD + "u,i\n", [" line 7 (2 of 3 fields): the time is missing"]),
        ("e.csv", HEADER + GOOD + "u,i,1,2\n", [" line 7: 4 fields where there are 3 columns"]),
        ("e.csv", "x,user,item\n1,u,i\n1,u,i,9\n", [" line 3: 4 fields where there are 3"]),
        ("e.csv", HEADER + GOOD + 'u,"i,1\nu,i,2\n', [" line 7: wrong quoting"]),
        ("e.csv", HEADER + 'u,"TV 40" black",0\n' * 2 + MANY, [" line 2: wrong quoting", "double"]),
        ("e.csv", HEADER + f'u,"TV 40"",0\n{MANY}v,"TV 40"",0\n', [" line 2: wrong quoting"]),
        ("e.csv", HEADER + GOOD + 'u,""Great" thing",0\n', [" line 7: wrong quoting"]),
        ("e.csv", HEADER + GOOD + 'u,"a",0\nv,a\rb,0\n', [" line 8: wrong quoting", "line's end"]),
        ("e.csv", "user,item,user,time\nu,i,v,1\n", ['2 columns are called "user"', "keep one"]),
        (
            "e.csv.zst",
            b"\x50\x2a\x4d\x18\x04\x00\x00\x00size" + ZSTD,
            ["Zstandard", "unpack it first"],
        ),
        ("e.csv.zst", zstd(HEADER + GOOD + "u,caf\udce9,1\n"), [" line 7: not UTF-8"]),
        ("e.jsonl.zst", zstd('{"user": "caf\udce9", "item": 2}\n'), [" line 1: not UTF-8"]),
        (
            "e.csv",
            (HEADER + GOOD + "u,café,1\n").encode("latin-1"),
            [" line 7: not UTF-8", "iconv"],
        ),
        ("e.csv", "üser,item\n1,2\n".encode("latin-1"), [" line 1: the header isn't UTF-8"]),
        ("e.csv", (HEADER + GOOD).encode("utf-16"), ["UTF-16", "give CSV"]),
        ("e.csv", b"", ["the file is empty"]),
        ("e.csv", b"\n\n\n", ["the file is empty"]),
        ("e.csv", HEADER, ["no events in it (0 rows read"]),
        ("e.csv", NOISE, ["a binary file", "give CSV"]),
        ("e.csv", b"PAR1" + NOISE, ["but Parquet"]),
        ("e.csv", "a,b\n1,2\n", ['no user column among "a", "b"', "--user-column"]),
        ("e.csv.gz", GZIP[:-9], ["damaged or cut short", "download it again"]),
        ("e.csv.gz", GZIP[: len(GZIP) // 2], ["damaged or cut short"]),
        ("e.csv.gz", GZIP[:9], ["damaged or cut short"]),
        ("e.csv.gz", GZIP[:5000] + b"xx" + GZIP[5002:], ["damaged or cut short"]),
        (
            "e.csv.gz",
            gzip.compress((HEADER + GOOD + "u,i,n/a\n").encode(), mtime=0),
            [" line 7: time"],
        ),
        ("e.csv.zst", ZSTD[: len(ZSTD) // 2], ["damaged or cut short"]),
        ("e.csv.zst", zstd(HEADER + GOOD + "u,i,n/a\n"), [" line 7: time"]),
        ("e.csv.zst", zstd(HEADER + GOOD + "u,i,1,2\n"), [" line 7: 4 fields"]),
        ("e.inter", "user_id:token\titem_id:token\n1\t2\n1\t\n", [" line 3: the item is missing"]),
        ("e.parquet", NOISE, ["can't be read as Parquet"]),
        ("e.parquet", b"", ["Parquet"]),
        ("e.xlsx", NOISE, ["unknown kind of file", "CSV"]),
        ("e.jsonl", b"", ["the file is empty"]),
        ("e.jsonl", b"\n \n", ["the file is empty"]),
        ("e.jsonl", NOISE, ["a binary file"]),
        ("e.json", '[{"user": 1, "item": 2}]', [" line 1: a JSON array", "jq"]),
        ("e.jsonl", '{"user": 1, "item": 2}\n\n{"user"\n', [' line 3: "{"user"" is not a JSON']),
        ("e.jsonl", "{'user': 1, 'item': 2}\n", [" line 1: ", "not a JSON object"]),
        ("e.jsonl", '{"user": 1, "item": 2}\n5\n', [" line 2: ", "not a JSON object"]),
        ("e.jsonl", '{"user": 1, "item": NaN}\n', [" line 1: ", "not a JSON object"]),
        ("e.jsonl", '{"item": 2}\n{"user": [1]}\n', [' line 2: user "[1]" is not a string']),
        ("e.jsonl", '\n{"user": 1, "item": 2}\n\n{"user": 1}\n', [" line 4: the item is missing"]),
        ("e.jsonl", '{"user": 1, "item": 2}\n{"user": 1.5, "item": 3}\n', [' line 2: user "1.5"']),
        ("e.jsonl", b'{"user": "caf\xe9", "item": 2}\n', [" line 1: not UTF-8"]),
        *(
            (
                "e.jsonl",
                LATE.replace("LATE", value),
                [" line 1501: user ", "is not a string", "--skip-bad"],
            )
            for value in ('{"a": 1}', "[1, 2]", "true")
        ),
        ("e.jsonl.gz", GZIP[:-9], ["damaged or cut short"]),
    ],
)
def test_one_clear_line(tmp_path: Path, name: str, data: str | bytes, expected: list[str]) -> None:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    message = message_of(path)
    assert message.startswith(str(path))
    for part in expected:
        assert part in message


def test_what_is_not_there(tmp_path: Path) -> None:
    for name in ("none.csv", "none.parquet", "none.jsonl", "none.inter", "none"):
        assert message_of(tmp_path / name) == f"{tmp_path / name}: no such file; check the path"
    assert "no file matches" in message_of(f"{tmp_path}/*.csv")
    assert "no file of events in this folder" in message_of(tmp_path)
    assert "can't be read from int; give a path" in message_of(5)
    assert "no source of events is given" in message_of([])
    (tmp_path / "e.csv").write_text(HEADER + GOOD)
    assert 'no column "who" among "user"' in message_of(tmp_path / "e.csv", user_column="who")


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"user": [1, None], "item": [1, 2]}, "DataFrame row 2: the user is missing"),
        ({"user": [1.0, 2.5], "item": [1, 2]}, 'row 2: user "2.5" is not a string or a 64-bit int'),
        ({"user": [True], "item": [1]}, 'row 1: user "True" is not a string or'),
        ({"user": [2**63], "item": [1]}, f'row 1: user "{2**63}" is not a string or'),
        ({"user": [None], "item": [1]}, "row 1: the user is missing"),
        ({"user": [], "item": []}, "no events in it"),
        ({"user": ["u"], "item": ["i"], "time": [True]}, 'row 1: time "True" is not a time'),
    ],
)
def test_bad_values_in_a_data_frame(frame: dict[str, list[Any]], expected: str) -> None:
    assert expected in message_of(pl.DataFrame(frame))


@pytest.mark.parametrize(
    ("name", "data", "dropped"),
    [
        (
            "e.csv",
            HEADER + "\n,i,1\nu,,1\nu,i,\nu,i,x\nu,i,1,2\n" + GOOD,
            {"user missing": 1, "item missing": 1, "time missing": 1, "time unusable": 1}
            | {"too many fields": 1},
        ),
        ("e.csv", (HEADER + "u,café,1\n" + GOOD).encode("latin-1"), {"not UTF-8": 1}),
        ("e.csv.zst", zstd(HEADER + "caf\udce8,i,1\ncaf\udce9,i,1\n" + GOOD), {"not UTF-8": 2}),
        (
            "e.tsv",
            "user\titem\ttime\nu\ti\t1\t2\nu\ti\t1\n",
            {"too many fields": 1},
        ),
        ("e.inter", 'user:token\titem:token\nu"\t"i\tx\n"u\ti\n', {"too many fields": 1}),
        (
            "e.jsonl",
            b'{"user": 1\n[1]\n{"user": "\xe9", "item": 1}\n{"user": 1, "item": 2}\n{"item": 1}\n',
            {"not a JSON object": 2, "not UTF-8": 1, "user missing": 1},
        ),
        (
            "e.jsonl",
            '{"user": 1, "item": 1}\n{"user": "a", "item": 1}\n{\n',
            {"not a JSON object": 1},
        ),
        (
            "e.jsonl",
            '{"user": [1], "item": 1}\n{"user": true, "item": 1}\n{"user": "a", "item": {}}\n'
            '{"user": 5, "item": 1}\n',
            {"user unusable": 2, "item unusable": 1},
        ),
    ],
)
def test_skip_bad_drops_and_counts(
    tmp_path: Path, name: str, data: str | bytes, dropped: dict[str, int]
) -> None:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    message_of(path)
    report = read_events(path, skip_bad=True).report
    assert report.dropped == dropped
    assert report.rows_read == report.events + report.duplicates + sum(dropped.values())


def test_skip_bad_that_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text(HEADER + "u,i,x\nu,i,y\n")
    assert "2 rows read, none usable" in message_of(tmp_path / "e.csv", skip_bad=True)


IDS = st.sampled_from(["a", "b c", 'say "hi"', "two\nlines", "x,y", "é"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    before=st.lists(st.none() | st.tuples(IDS, IDS), max_size=6),
    after=st.lists(st.tuples(IDS, IDS), max_size=3),
    fault=st.sampled_from(['u,i,"n,a"', "u,,1", "u,i", "u,i,1,2", "u,\udce9,1"]),
)
def test_the_line_number_is_right(
    tmp_path: Path,
    before: list[tuple[str, str] | None],
    after: list[tuple[str, str]],
    fault: str,
) -> None:
    def line(pair: tuple[str, str] | None) -> str:
        quoted = [value.replace('"', '""') for value in pair or ()]
        return f'"{quoted[0]}","{quoted[1]}",5\n' if quoted else "\n"

    start = HEADER + "".join(map(line, before))
    text = start + fault + "\n" + "".join(map(line, after))
    path = tmp_path / "e.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    found = message_of(path).removeprefix(f"{path} line ").partition(":")[0].partition(" (")[0]
    assert int(found) == start.count("\n") + 1
    if any(before) or after:
        assert sum(read_events(path, skip_bad=True).report.dropped.values()) == 1
