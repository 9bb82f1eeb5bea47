"""Sequences and datasets: order, filters, and a directory that is whole, safe and reproducible."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterseq.data.dataset import Dataset
from clusterseq.data.exchange import export_events
from clusterseq.data.sequences import Sequences
from clusterseq.data.split import split_users
from clusterseq.errors import DataError
from clusterseq.machine.directory import current_path, replacing
from clusterseq.reading.events import read_events

ROWS = st.lists(
    st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("abcdef"), st.integers(0, 5)),
    min_size=1,
    max_size=40,
    unique=True,
)


def dataset_of(rows: list[tuple[str, str, int]], **options: Any) -> Dataset:
    frame = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")
    return Dataset.from_events(read_events(frame)).filtered(**options)


def raw_sequences(data: Dataset) -> dict[object, list[object]]:
    rows = zip(data.users.ids, data.sequences, strict=True)
    return {user: list(data.items.decode(row)) for user, row in rows}


@given(ROWS)
def test_each_user_has_their_items_by_time_and_ties_in_input_order(
    rows: list[tuple[str, str, int]],
) -> None:
    expected: dict[object, list[object]] = {}
    for user, item, _ in sorted(rows, key=lambda row: row[2]):
        expected.setdefault(user, []).append(item)
    data = dataset_of(rows)
    assert raw_sequences(data) == expected
    for start, end in zip(data.sequences.offsets, data.sequences.offsets[1:], strict=False):
        assert (np.diff(data.sequences.times[start:end]) >= 0).all()


@given(ROWS, st.integers(0, 4), st.integers(0, 4), st.integers(0, 4))
def test_filters_leave_the_largest_set_that_meets_them(
    rows: list[tuple[str, str, int]], core: int, user_min: int, item_min: int
) -> None:
    left = rows
    while True:
        users = Counter(user for user, _, _ in left)
        items = Counter(item for _, item, _ in left)
        kept = [
            row
            for row in left
            if users[row[0]] >= max(core, user_min) and items[row[1]] >= max(core, item_min)
        ]
        if kept == left:
            break
        left = kept
    options = {"k_core": core, "min_user_events": user_min, "min_item_events": item_min}
    if not left:
        with pytest.raises(DataError, match=f"no event of {len(rows)} is left"):
            dataset_of(rows, **options)
        return
    data = dataset_of(rows, **options)
    assert raw_sequences(data) == raw_sequences(dataset_of(left))
    assert len(data.items) == len({item for _, item, _ in left})


@given(ROWS, st.data())
def test_selecting_users_and_events(rows: list[tuple[str, str, int]], data: st.DataObject) -> None:
    sequences = dataset_of(rows).sequences
    users = data.draw(st.lists(st.integers(0, len(sequences) - 1)))
    chosen = sequences.select(np.array(users, dtype=np.int64))
    assert [row.tolist() for row in chosen] == [sequences[user].tolist() for user in users]
    early = sequences.where(sequences.times < 3)
    assert (early.times < 3).all()
    assert len(early) == len(sequences)
    for user, row in enumerate(early):
        assert row.tolist() == sequences[user][: len(row)].tolist()
    owners = sequences.user_of_event
    assert np.bincount(owners, minlength=len(sequences)).tolist() == sequences.lengths.tolist()


def test_sequences_that_do_not_fit_together_are_refused() -> None:
    items, times = np.zeros(3, dtype=np.int32), np.zeros(3, dtype=np.int64)
    for offsets in ([0, 2], [1, 3], [0, 2, 1, 3], [0, 4]):
        with pytest.raises(DataError, match="don't fit together"):
            Sequences(items, times, np.array(offsets))
    sequences = Sequences(items, times, np.array([0, 3]))
    with pytest.raises(IndexError, match="user 1 is not in 0 … 0"):
        sequences[1]


SMALL = [("u", "a", 1), ("v", "b", 2), ("u", "b", 3)]


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    integers = pl.DataFrame({"user": [3, 1], "item": [2**40, -5]})
    for data in (dataset_of(SMALL), Dataset.from_events(read_events(integers))):
        data.save(tmp_path / "data")
        again = Dataset.load(tmp_path / "data")
        assert again.timed == (data.users.ids == ["u", "v"])
        assert raw_sequences(again) == raw_sequences(data)
        assert (again.users, again.items, again.timed) == (data.users, data.items, data.timed)
        assert again.sequences.times.tolist() == data.sequences.times.tolist()


def test_two_runs_write_the_same_bytes_and_nothing_else(tmp_path: Path) -> None:
    for name in ("one", "two", "two"):
        dataset_of(SMALL).save(tmp_path / name)
    files = {
        name: {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    }
    assert files["one"] == files["two"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_a_damaged_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data"
    with pytest.raises(DataError, match=r"no dataset\.json here"):
        Dataset.load(path)
    names = ["shard-00000.arrow", "items.arrow"]
    for name in names:
        dataset_of(SMALL).save(path)
        content = (path / name).read_bytes()
        (path / name).write_bytes(content[:-1])
        with pytest.raises(DataError, match=f"{name}: damaged .* save the dataset anew"):
            Dataset.load(path)
        (path / name).unlink()
        with pytest.raises(DataError, match=f"{name}: No such file"):
            Dataset.load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ("{}", "damaged"),
        ('{"format": 1}', "of format 1"),
        ('{"format": 2}', "damaged"),
    ],
)
def test_a_strange_manifest_is_refused(tmp_path: Path, text: str, message: str) -> None:
    dataset_of(SMALL).save(tmp_path / "data")
    (tmp_path / "data" / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=message):
        Dataset.load(tmp_path / "data")


def test_a_manifest_without_its_fields_is_refused(tmp_path: Path) -> None:
    dataset_of(SMALL).save(tmp_path / "data")
    manifest = tmp_path / "data" / "dataset.json"
    full = json.loads(manifest.read_text())
    for name in ("shards", "read", "sha256"):
        manifest.write_text(json.dumps({key: full[key] for key in full if key != name}))
        with pytest.raises(DataError, match="damaged"):
            Dataset.load(tmp_path / "data")


def test_a_save_never_replaces_what_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match=r"holds no dataset\.json, so it isn't replaced"):
        dataset_of(SMALL).save(tmp_path)
    with pytest.raises(DataError, match="isn't replaced"):
        dataset_of(SMALL).save(tmp_path / "thesis.txt")
    with pytest.raises(DataError, match="name a place that can be written"):
        dataset_of(SMALL).save(tmp_path / "thesis.txt" / "data")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_failed_save_leaves_the_former_one(tmp_path: Path) -> None:
    dataset_of(SMALL).save(tmp_path / "data")

    def half_a_save() -> None:
        with replacing(tmp_path / "data", marker="dataset.json") as draft:
            (draft / "half").write_text("")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        half_a_save()
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert len(Dataset.load(tmp_path / "data").users) == 2


def test_a_kill_between_the_two_renames_leaves_the_former_one(tmp_path: Path) -> None:
    dataset_of(SMALL).save(tmp_path / "data")
    (tmp_path / "data").rename(tmp_path / ".data.old")
    assert len(Dataset.load(tmp_path / "data").users) == 2
    dataset_of(SMALL[:1]).save(tmp_path / "data")
    assert len(Dataset.load(tmp_path / "data").users) == 1
    assert current_path(tmp_path / "data") == tmp_path / "data"
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("name", ["../secret.arrow", "/dev/zero", "", ".", 5, None])
def test_a_manifest_names_files_of_its_own_folder_only(tmp_path: Path, name: object) -> None:
    dataset_of(SMALL).save(tmp_path / "data")
    manifest = tmp_path / "data" / "dataset.json"
    told = json.loads(manifest.read_text())
    told["shards"] = [name]
    told["sha256"][str(name)] = told["sha256"]["shard-00000.arrow"]
    (tmp_path / "secret.arrow").write_bytes((tmp_path / "data/shard-00000.arrow").read_bytes())
    manifest.write_text(json.dumps(told))
    with pytest.raises(DataError, match="damaged"):
        Dataset.load(tmp_path / "data")


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": 5},
        {"shards": []},
        {"shards": "shard-00000.arrow"},
        {"read": []},
        {"read": {"sources": 5}},
    ],
    ids=str,
)
def test_a_manifest_of_other_types_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    dataset_of(SMALL).save(tmp_path / "data")
    manifest = tmp_path / "data" / "dataset.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    with pytest.raises(DataError, match="damaged"):
        Dataset.load(tmp_path / "data")


@pytest.mark.parametrize(
    "columns",
    [
        {"items": pl.lit([99], dtype=pl.List(pl.Int32))},
        {"items": pl.lit([-1], dtype=pl.List(pl.Int32))},
        {"items": pl.lit("x")},
        {"times": pl.lit([1, 2, 3, 4, 5])},
        {"id": pl.lit(None, dtype=pl.String)},
    ],
    ids=range(5),
)
def test_people_that_do_not_fit_are_refused(tmp_path: Path, columns: dict[str, pl.Expr]) -> None:
    dataset_of(SMALL).save(tmp_path / "data")
    shard = tmp_path / "data" / "shard-00000.arrow"
    people = pl.read_ipc(shard).with_columns(**columns)
    people.write_ipc(tmp_path / "spoilt", compression="uncompressed")
    (tmp_path / "spoilt").replace(shard)
    told = json.loads((tmp_path / "data" / "dataset.json").read_text())
    told["sha256"][shard.name] = hashlib.sha256(shard.read_bytes()).hexdigest()
    (tmp_path / "data" / "dataset.json").write_text(json.dumps(told))
    with pytest.raises(DataError, match=r"damaged|don't fit"):
        Dataset.load(tmp_path / "data")


def test_what_was_not_read_is_told(unchecked: None, tmp_path: Path) -> None:
    wrong: Any = "events.csv"
    calls: list[Callable[[], object]] = [
        lambda: Dataset.from_events(wrong),
        lambda: export_events(wrong, tmp_path / "events.inter"),
        lambda: export_events(wrong, tmp_path / "events.parquet"),
    ]
    wrong_kind: Any = dataset_of([("u", "a", 1)])
    with pytest.raises(DataError, match="what read_events gives, not Dataset"):
        Dataset.from_events(wrong_kind)
    for call in calls:
        with pytest.raises(DataError, match="what read_events gives, not str; call read_events fi"):
            call()
    with pytest.raises(DataError, match="split_users takes a Dataset, not str"):
        split_users(wrong)
