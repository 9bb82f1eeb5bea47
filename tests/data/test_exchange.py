"""Events go to RecBole and RecTools and come back as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from clusterseq import cli
from clusterseq.data.dataset import Dataset
from clusterseq.data.exchange import export_events, inter_frame, rectools_frame
from clusterseq.errors import ConfigError, DataError
from clusterseq.reading.events import Events, read_events
from clusterseq.reading.titles import read_titles

# Text ids that look like numbers, whole seconds and microseconds, ties, a time before 1970.
ROWS = pl.DataFrame(
    {
        "user": ["007", "ann", "007", "bob", "ann", "bob"],
        "item": ["12", "Ünïcødé 🛒", '"quoted"', "12", "a,b", "two words"],
        "time": [1_700_000_000_000_000, 1, -1_500_000, 1_700_000_000_000_000, 60_000_000, 10**15],
    }
).with_columns(pl.from_epoch("time", time_unit="us"))
ENDINGS = (".inter", ".csv", ".jsonl", ".parquet")


@pytest.fixture
def events() -> Events:
    return read_events(ROWS)


@pytest.mark.parametrize("ending", ENDINGS)
def test_events_come_back_as_they_were(events: Events, ending: str, tmp_path: Path) -> None:
    path = tmp_path / "shop" / f"shop{ending}"
    assert export_events(events, path) == len(events)
    assert read_events(path).frame.equals(events.frame)
    assert [one.name for one in path.parent.iterdir()] == [path.name], "no draft is left"


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_data_set_comes_back_as_it_was(events: Events, ending: str, tmp_path: Path) -> None:
    whole = Dataset.from_events(events)
    export_events(whole, tmp_path / f"shop{ending}")
    back = Dataset.from_events(read_events(tmp_path / f"shop{ending}"))
    assert (back.users.ids, back.items.ids) == (whole.users.ids, whole.items.ids)
    assert [row.tolist() for row in back.sequences] == [row.tolist() for row in whole.sequences]
    assert back.sequences.times.tolist() == whole.sequences.times.tolist()


def test_recboles_header_and_numbers_are_as_it_documents_them(
    events: Events, tmp_path: Path
) -> None:
    export_events(events, tmp_path / "shop.inter")
    lines = (tmp_path / "shop.inter").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "user_id:token\titem_id:token\ttimestamp:float"
    assert lines[1] == "007\t12\t1700000000"
    assert lines[2] == "ann\tÜnïcødé 🛒\t0.000001"
    assert float(lines[3].split("\t")[2]) == -1.5
    assert lines[3].split("\t")[1] == '"quoted"'


def test_without_times_the_order_is_kept(tmp_path: Path) -> None:
    rows = {"user": ["b", "a", "b"], "item": [3, 1, 2]}
    untimed = read_events(pl.DataFrame(rows))
    for data in (untimed, Dataset.from_events(untimed)):
        assert inter_frame(data).rows() == [("b", "3"), ("a", "1"), ("b", "2")]
        with pytest.raises(DataError, match="no times, and RecTools needs them"):
            rectools_frame(data)


def test_rectools_columns_and_types(events: Events) -> None:
    frame = rectools_frame(events)
    assert dict(frame.schema) == {
        "user_id": pl.String,
        "item_id": pl.String,
        "weight": pl.Float64,
        "datetime": pl.Datetime("us"),
    }
    assert frame["weight"].to_list() == [1.0] * len(events)


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_a_time_that_is_no_date_is_named(ending: str, tmp_path: Path) -> None:
    times = [1_700_000_000, 1_700_000_001, 4_000_000_000_000]
    events = read_events(pl.DataFrame({"user": [1, 1, 1], "item": [1, 2, 3], "time": times}))
    with pytest.raises(DataError, match=r"the time 4000000000000000000 µs since 1970 is outside"):
        export_events(events, tmp_path / f"shop{ending}")
    assert export_events(events, tmp_path / "shop.inter") == 3


@pytest.mark.parametrize("as_frame", ["pandas", "arrow", "arrow batches"])
def test_a_table_of_rectools_is_read_from_every_library(events: Events, as_frame: str) -> None:
    frame: Any = rectools_frame(events)
    if as_frame == "pandas":
        frame = frame.to_pandas()
    else:
        frame = frame.to_arrow()
        if as_frame == "arrow batches":
            frame = pa.RecordBatchReader.from_batches(frame.schema, frame.to_batches())
    assert read_events(frame).frame.equals(events.frame)


@pytest.mark.parametrize("item", ["tab\there", "line\nbreak", "carriage\rreturn"])
def test_what_an_atomic_file_can_not_hold_is_refused(item: str, tmp_path: Path) -> None:
    events = read_events(pl.DataFrame({"user": ["a"], "item": [item]}))
    with pytest.raises(DataError, match=r"holds a tab or a line break"):
        export_events(events, tmp_path / "shop.inter")
    assert not (tmp_path / "shop.inter").exists()


def test_an_unknown_ending_is_refused(events: Events, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"write RecBole's \.inter or, for RecTools, \.parquet"):
        export_events(events, tmp_path / "shop.xlsx")


def test_the_command_writes_and_every_command_reads(
    events_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "shop.inter"
    assert cli.main(["export", str(events_file), "--out", str(out)]) == 0
    assert cli.main(["prepare", str(out), "--out", str(tmp_path / "data")]) == 0
    again = tmp_path / "again.inter"
    assert cli.main(["export", str(tmp_path / "data"), "--out", str(again)]) == 0
    assert sorted(again.read_text().splitlines()) == sorted(out.read_text().splitlines())
    assert cli.main(["export", str(out), "--out", str(tmp_path / "shop.doc")]) == 2
    assert "unknown ending" in capsys.readouterr().err


def test_recboles_titles_are_read(tmp_path: Path) -> None:
    path = tmp_path / "films.item"
    path.write_text('item_id:token\tmovie_title:token_seq\n1\tThe "Thing"\n2\tAlien\n')
    assert read_titles(path).rows() == [("1", 'The "Thing"'), ("2", "Alien")]
