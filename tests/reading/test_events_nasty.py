"""Files that people have and nobody wants: read as they are meant, or refused in one line."""

from __future__ import annotations

import gzip
import resource
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from clusterseq.cli import main
from clusterseq.errors import DataError
from clusterseq.reading.events import read_events
from clusterseq.reading.titles import read_titles

HEADER = "user,item,time\n"
SECOND = 1_000_000
LONG = "a" * 4_000_000
WIDE = [f"c{number}" for number in range(10_000)]
NUMBERS = ["1e5", "0x10", "1_000", "+5", " 7", "-0", "007", "7", "7.0", "NaN", "null", "inf", "٣"]


def written(tmp_path: Path, name: str, data: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize(
    ("name", "data", "rows"),
    [
        ("e.csv", "\ufeff" + HEADER + "u,i,1\n", [("u", "i", SECOND)]),
        ("e.jsonl", '\ufeff{"user": "u", "item": "i"}\n', [("u", "i", 0)]),
        (
            "e.csv",
            HEADER.replace("\n", "\r\n") + "u,i,1\r\nv,i,2\r\n",
            [("u", "i", SECOND), ("v", "i", 2 * SECOND)],
        ),
        (
            "e.csv",
            HEADER + "u,i,1\n" * 2_000 + "u\0v,i,1\n",
            [("u", "i", SECOND), ("u\0v", "i", SECOND)],
        ),
        ("e.csv", HEADER + 'say "hi",i,1\n', [('say "hi"', "i", SECOND)]),
        ("e.jsonl", '{"user": "a,b\\n", "item": "say \\"hi\\""}\n', [("a,b\n", 'say "hi"', 0)]),
        ("e.jsonl", '{"user": "\\ud83d\\ude00", "item": "\\u0000"}\n', [("😀", "\0", 0)]),
        ("e.csv", HEADER + f"u,{LONG},1\n", [("u", LONG, SECOND)]),
        ("e.jsonl", f'{{"user": "u", "item": "{LONG}"}}\n', [("u", LONG, 0)]),
        ("e.csv", HEADER + f"{'u' * 100_000},i,1\n", [("u" * 100_000, "i", SECOND)]),
        ("e.csv", HEADER + "u,i,-5\nu,j,3\n", [("u", "i", -5 * SECOND), ("u", "j", 3 * SECOND)]),
        (
            "e.csv",
            HEADER + "u,i,9999-12-31\nu,j,0001-01-01\n",
            [("u", "i", 253_402_214_400 * SECOND), ("u", "j", -62_135_596_800 * SECOND)],
        ),
        (  # one unit for a column, that of most of its numbers
            "e.csv",
            HEADER + "u,i,1365811200\nu,j,1365811200000\nu,k,1365811201\n",
            [
                ("u", "i", 1_365_811_200 * SECOND),
                ("u", "j", 1_365_811_200_000 * SECOND),
                ("u", "k", 1_365_811_201 * SECOND),
            ],
        ),
        (
            "e.csv",
            "user,item\n" + "".join(f"u,{number}\n" for number in NUMBERS),
            [("u", number, place) for place, number in enumerate(NUMBERS)],
        ),
        ("e.csv", "user, item, time\nu, i, 1\n", [("u", "i", 1_000_000)]),
        (
            "e.csv",
            '"user", "item", "note"\n"u", "i, j", "a"\n"u", k, "b"\n',
            [("u", "i, j", 0), ("u", "k", 1)],
        ),
        ("e.csv", '\ufeff"user", "item"\n"u", "i"\n', [("u", "i", 0)]),
        ("e.csv", "user,item,user_duplicated_0\nu,i,v\n", [("u", "i", 0)]),
        ("e.csv", "user;item\nu; i\n", [("u", " i", 0)]),
        (
            "e.csv",
            ",".join(["user", "item", *WIDE]) + "\n" + ",".join(["u", "i", *WIDE]) + "\n",
            [("u", "i", 0)],
        ),
    ],
)
def test_what_is_meant_is_read(
    tmp_path: Path, name: str, data: str, rows: list[tuple[str, str, int]]
) -> None:
    assert read_events(written(tmp_path, name, data)).frame.rows() == rows


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_quotes_within_values_swallow_no_lines(tmp_path: Path, ending: str) -> None:
    """Their number is even, as if one opened what the other closes, tens of thousands later."""
    lines = [f"u{number},i{number},{number}\n" for number in range(60_000)]
    lines[7], lines[-7] = 'u,Monitor 24",7\n', 'v,Monitor 24",7\n'
    text = (HEADER + "".join(lines)).encode()
    packed = {".gz": gzip.compress, ".zst": lambda data: pa.compress(data, "zstd", asbytes=True)}
    path = written(tmp_path, f"e.csv{ending}", packed.get(ending, bytes)(text))
    events = read_events(path).frame
    assert len(events) == len(lines)
    assert events.filter(pl.col("item") == 'Monitor 24"')["user"].to_list() == ["u", "v"]


def test_a_key_may_begin_late(tmp_path: Path) -> None:
    lines = ['{"user": "u", "item": 1}'] * 1_200 + ['{"user": "u", "item": 2, "at": 5, "when": 6}']
    path = written(tmp_path, "e.jsonl", "\n".join(lines))
    with pytest.raises(DataError, match=r"line 1: the time is missing"):
        read_events(path)
    for name, time in ((None, 5), ("when", 6)):
        events = read_events(path, time_column=name, skip_bad=True)
        assert events.frame.rows() == [("u", 2, time * SECOND)]
        assert events.report.dropped == {"time missing": 1_200}


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_events(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("e.csv", "user,item\ru,i\rv,i\r", "its lines end in carriage returns alone"),
        ("e.csv", HEADER.replace("\n", "\r") + "u,i,1\r", "its lines end in carriage returns"),
        ("e.csv", HEADER + f"u,{LONG},1\nu,i,1,2\n", " line 3: 4 fields where there are 3"),
        ("e.csv", HEADER + LONG + "\n", "line 2 (1 of 3 fields): the item is missing"),
        ("e.csv", ",".join(WIDE) + "\n", 'no user column among "c0", "c1"'),
        ("e.csv", f"{LONG},item\nu,i\n", 'no user column among "aaaa'),
        ("e.csv", HEADER + f'u,i,"{LONG}"\n', 'line 2: time "aaaa'),
        ("e.csv", HEADER + f"u,i,{'9' * 5_000}\n", 'line 2: time "9999'),
        ("e.csv", HEADER + "u,i,1365811200\nu,j,2013-04-13\nu,k,1365811201\n", "line 3: time"),
        ("e.jsonl", '{"user": "u", "item": 1}\n{"user": "a\\ud800b", "item": 1}\n', "line 2: "),
        (
            "e.jsonl",
            '{"user": "u", "item": 1}\n{"user": "\\ud800", "item": "\\udc00"}\n',
            "line 2: ",
        ),
        ("e.jsonl", '{"user\\ud800": "u", "item": 1}\n', "line 1: "),
        ("e.jsonl", b'{"user\xed\xa0\x80": "u", "item": 1}\n', "line 1: not UTF-8"),
        ("e.jsonl", "[" * 100_000 + "\n", "line 1: "),
        ("e.jsonl", '{"user": ' + "1" * 5_000 + ', "item": 1}\n', "line 1: "),
    ],
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, name: str, data: str | bytes, told: str
) -> None:
    assert told in refusal(written(tmp_path, name, data))


def test_halves_of_characters_are_left_out_and_counted(tmp_path: Path) -> None:
    path = written(
        tmp_path, "e.jsonl", '{"user": "\\ud800", "item": 1}\n{"user": "u", "item": 1}\n'
    )
    events = read_events(path, skip_bad=True)
    assert events.frame["user"].to_list() == ["u"]
    assert events.report.dropped == {"not a JSON object": 1}


BOMBS = {
    "e.csv.gz": (HEADER + "u,i,1\n" * 12_000_000).encode(),
    "e.jsonl.gz": b"\n" * 70_000_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_unpacks_out_of_all_proportion_is_refused(tmp_path: Path, name: str) -> None:
    """In two parts, the last of which is small: gzip itself would tell its size alone."""
    parts = (BOMBS[name], b"\n")
    packed = b"".join(gzip.compress(part, compresslevel=1, mtime=0) for part in parts)
    path = written(tmp_path, name, packed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "bytes that unpack to more than 67,108,864" in refusal(path)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown < len(BOMBS[name]) / 2
    with pytest.raises(DataError, match="unpack to more than"):
        read_titles(path)


def test_the_command_says_it_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "e.jsonl", '{"user": "\\ud800", "item": 1}\n')
    assert main(["train", str(path), "--out", str(tmp_path / "model")]) == 2
    assert (
        capsys.readouterr().err.splitlines()[-2].startswith(f"clusterseq: error: {path} line 1: ")
    )


def test_times_that_are_no_number_are_refused(tmp_path: Path) -> None:
    rows = pl.DataFrame({"user": ["u", "v"], "item": ["i", "j"], "time": [1.0, float("nan")]})
    rows.write_parquet(tmp_path / "e.parquet")
    assert 'row 2: time "nan" is not a time' in refusal(tmp_path / "e.parquet")
    for value in ("nan", "inf", "-inf", "1e999"):
        assert f'time "{value}"' in refusal(
            written(tmp_path, "e.csv", f"{HEADER}u,i,{value}\nu,j,1\n")
        )
