"""Prepared in portions and shards is the same as read at once, whatever the input is like."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterseq.cli import main
from clusterseq.data import prepare as module
from clusterseq.data.dataset import Dataset
from clusterseq.data.prepare import prepare_dataset
from clusterseq.data.shards import read_arrow, shard_of
from clusterseq.errors import ConfigError, DataError
from clusterseq.reading.events import read_events

P = TypeVar("P")
R = TypeVar("R")


def assert_same(one: Dataset, other: Dataset) -> None:
    assert (one.users, one.items) == (other.users, other.items)
    for name in ("items", "times", "offsets"):
        np.testing.assert_array_equal(
            getattr(one.sequences, name), getattr(other.sequences, name), strict=True
        )


@pytest.fixture
def few_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 7)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


IDS = st.one_of(st.sampled_from(["u", "v", "007", "7"]), st.integers(-3, 9))
ROWS = st.lists(st.tuples(IDS, IDS, st.integers(0, 3)), min_size=1, max_size=40)


@given(st.lists(ROWS, min_size=1, max_size=3), st.booleans(), st.integers(1, 5))
def test_prepared_is_what_is_read_at_once(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[list[tuple[str | int, str | int, int]]],
    timed: bool,
    shards: int,
) -> None:
    folder = tmp_path_factory.mktemp("prepared")
    (source := folder / "events").mkdir()
    for number, rows in enumerate(files):
        lines = [
            json.dumps({"user": user, "item": item} | ({"time": time} if timed else {}))
            for user, item, time in rows
        ]
        (source / f"{number}.jsonl").write_text("\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ROWS_AT_ONCE", 7)
        summary = prepare_dataset(source, folder / "data", shards=shards)
    events = read_events(source)
    prepared = Dataset.load(folder / "data")
    assert_same(prepared, Dataset.from_events(events))
    assert summary.report == prepared.report == events.report
    assert sorted(path.name for path in folder.iterdir()) == ["data", "events"]


@pytest.mark.usefixtures("few_rows_at_once")
@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_every_format_comes_to_the_same_bytes(
    tmp_path: Path, events_frame: pl.DataFrame, kind: str
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    prepare_dataset(events_frame, whole, shards=3)
    parts.mkdir()
    writers = {
        "csv": pl.DataFrame.write_csv,
        "parquet": pl.DataFrame.write_parquet,
        "jsonl": pl.DataFrame.write_ndjson,
    }
    for number, part in enumerate(events_frame.iter_slices(200)):
        writers[kind](part, parts / f"{number:02}.{kind}")  # type: ignore[operator]
    prepare_dataset(parts, tmp_path / "again", shards=3)
    one, other = files_of(whole), files_of(tmp_path / "again")
    assert {name: one[name] for name in one if name != "dataset.json"} == {
        name: other[name] for name in other if name != "dataset.json"
    }
    assert len(one) == 5


def test_everybody_lies_in_the_shard_of_their_id(
    tmp_path: Path, events_frame: pl.DataFrame
) -> None:
    prepare_dataset(events_frame, tmp_path / "data", shards=4)
    for number in range(4):
        people = read_arrow(tmp_path / "data" / f"shard-{number:05}.arrow")
        assert len(people) > 40
        assert set(shard_of(people["id"], 4)) == {number}
        assert people["id"].is_sorted()


def test_rare_items_are_left_out_and_counted(tmp_path: Path, events_frame: pl.DataFrame) -> None:
    summary = prepare_dataset(events_frame, tmp_path / "data", shards=2, min_item_events=40)
    prepared = Dataset.load(tmp_path / "data")
    counts = events_frame["item"].value_counts()
    rare = counts.filter(pl.col("count") < 40)
    assert 0 < len(rare) < len(counts)
    assert prepared.items.ids == sorted(set(counts["item"]) - set(rare["item"]))
    assert (summary.rare_items, summary.rare_events) == (len(rare), rare["count"].sum())
    assert len(prepared.sequences.items) == len(events_frame) - summary.rare_events
    assert (prepared.sequences.lengths > 0).all()
    with pytest.raises(DataError, match="none of 60 items has 100000 events"):
        prepare_dataset(events_frame, tmp_path / "none", min_item_events=100_000)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.usefixtures("few_rows_at_once")
def test_a_bad_row_is_named_by_its_line_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    lines = [f"u{row % 5},i{row % 3},{row}" for row in range(30)]
    lines[20] = "u1,,20"
    path.write_text("\n".join(["user,item,time", *lines]))
    with pytest.raises(DataError, match=r"events\.csv line 22: the item is missing"):
        prepare_dataset(path, tmp_path / "data")
    assert [one.name for one in tmp_path.iterdir()] == ["events.csv"]
    summary = prepare_dataset(path, tmp_path / "data", skip_bad=True)
    assert summary.report.dropped == {"item missing": 1}
    assert summary.report.events == 29


@pytest.mark.usefixtures("few_rows_at_once")
def test_times_of_two_units_in_one_file_are_refused(tmp_path: Path) -> None:
    rows = pl.DataFrame(
        {"user": ["u"] * 14, "item": ["i"] * 14, "time": [10**9] * 7 + [10**12] * 7}
    )
    rows.write_parquet(tmp_path / "events.parquet")
    with pytest.raises(DataError, match="look like seconds in one part and like milliseconds"):
        prepare_dataset(tmp_path / "events.parquet", tmp_path / "data")


@pytest.mark.usefixtures("few_rows_at_once")
def test_a_part_without_any_time_says_nothing_of_units(tmp_path: Path) -> None:
    lines = [f"u,i{row},{row}" for row in range(7)] + [f"u,i{row},n/a" for row in range(7)]
    (tmp_path / "events.csv").write_text("\n".join(["user,item,time", *lines]))
    summary = prepare_dataset(tmp_path / "events.csv", tmp_path / "data", skip_bad=True)
    assert summary.report.dropped["time unusable"] == 7
    assert summary.report.time_units == ("seconds",)


def test_a_task_that_runs_twice_leaves_the_same_bytes(
    tmp_path: Path, events_frame: pl.DataFrame
) -> None:
    """As where a machine is gone in the middle of one."""

    def twice(function: Callable[[P], R], pieces: Sequence[P]) -> Iterator[R]:
        for piece in pieces:
            function(piece)
            yield function(piece)

    events_frame.write_csv(tmp_path / "events.csv")
    prepare_dataset(tmp_path / "events.csv", tmp_path / "once", shards=3)
    prepare_dataset(tmp_path / "events.csv", tmp_path / "twice", shards=3, mapper=twice)
    assert files_of(tmp_path / "once") == files_of(tmp_path / "twice")


def test_what_cannot_be_is_refused(tmp_path: Path, events_frame: pl.DataFrame) -> None:
    with pytest.raises(ConfigError, match="0 shards can't be made"):
        prepare_dataset(events_frame, tmp_path / "data", shards=0)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("")
    with pytest.raises(DataError, match=r"holds no dataset\.json"):
        prepare_dataset(events_frame, tmp_path / "other")
    timed, untimed = events_frame, events_frame.drop("time")
    with pytest.raises(DataError, match="no time column"):
        prepare_dataset([timed, untimed], tmp_path / "data")
    empty = events_frame.clear()
    with pytest.raises(DataError, match="no events in it"):
        prepare_dataset(empty, tmp_path / "data")


def test_a_prepared_data_set_stands_where_events_do(
    tmp_path: Path,
    events_file: Path,
    small_options: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = str(tmp_path / "data")
    assert main(["prepare", str(events_file), "--out", data, "--shards", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == 60
    for name, source in (("one", data), ("two", str(events_file))):
        assert main(["train", source, "--out", str(tmp_path / name), *small_options]) == 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]
    assert main(["evaluate", str(tmp_path / "two"), data]) == 0
    assert main(["inspect", data, "--json"]) == 0
    capsys.readouterr()
    assert main(["inspect", data, data]) == 2
    assert main(["evaluate", str(tmp_path / "two"), data, str(events_file)]) == 2
    assert "a data set stands alone" in capsys.readouterr().err
