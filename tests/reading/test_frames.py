"""Data frames as other libraries make them: read as they are meant, or refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clusterseq.errors import DataError
from clusterseq.reading.events import read_events

SECOND = 1_000_000
LATE = 1_700_000_000 * SECOND


def as_parquet(table: pa.Table, folder: Path) -> Path:
    pq.write_table(table, folder / "events.parquet")
    return folder / "events.parquet"


@pytest.mark.parametrize(
    "given",
    [lambda table, _: table, lambda table, _: table.to_pandas(), as_parquet],
    ids=["arrow", "pandas", "parquet"],
)
@pytest.mark.parametrize("zone", ["+05:30", "-09:30", "+02:00", "Asia/Kathmandu"])
def test_a_zone_is_no_matter(
    given: Callable[[pa.Table, Path], object], zone: str, tmp_path: Path
) -> None:
    times = pa.array([LATE], pa.timestamp("us", zone))
    table = pa.table({"user": ["u"], "item": ["i"], "time": times})
    assert read_events(given(table, tmp_path)).frame["time"].to_list() == [LATE]


def objects(*values: Any) -> pd.Series:
    return pd.Series(values, dtype=object)


@pytest.mark.parametrize(
    ("users", "ids"),
    [
        (objects(Decimal(12), Decimal("13.0")), [12, 13]),
        ([2**64, 1], [str(2**64), "1"]),
        ([2.0**53 - 1, 1.0], [2**53 - 1, 1]),
    ],
)
def test_numbers_of_pandas_are_ids(users: Any, ids: list[int | str]) -> None:
    frame = pd.DataFrame({"user": users, "item": [1, 2]})
    assert read_events(frame).frame["user"].to_list() == ids


def test_a_day_before_a_moment_takes_nothing_of_it() -> None:
    times = objects(date(2024, 1, 1), datetime(2024, 1, 1, 10, 0, 0, 5), None)
    frame = pd.DataFrame({"user": [1, 2, 3], "item": [1, 2, 3], "time": times})
    days = 19_723 * 86_400 * SECOND
    read = read_events(frame, skip_bad=True).frame["time"].to_list()
    assert read == [days, days + 36_000 * SECOND + 5]


def test_uuids_and_whole_decimals_are_ids() -> None:
    ids = [UUID(int=n) for n in (1, 2)]
    users = pa.array([one.bytes for one in ids], pa.uuid())
    items = pa.array([Decimal(10**18), Decimal(7)], pa.decimal128(38, 0))
    frame = read_events(pa.table({"user": users, "item": items})).frame
    assert frame["user"].to_list() == [str(one) for one in ids]
    assert frame["item"].to_list() == [10**18, 7]


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (
            pa.Table.from_arrays([pa.array([1])] * 3, names=["user", "item", "user"]),
            'DataFrame: two columns have one name .*"user".*; rename one of them',
        ),
        (
            pl.LazyFrame({"user": [1], "item": [2]}).select("nope"),
            'DataFrame: can\'t be read as a data frame .*"nope"',
        ),
        (pd.Series([1], name="user"), "can't be read from Series; give a path or a data frame"),
        (
            pd.DataFrame({"user": objects("a\ud800", 1), "item": [1, 2]}),
            r'the value "a\\ud800" holds half a character',
        ),
        (
            pd.DataFrame({"user": [2.0**53, 1.0], "item": [1, 2]}),
            r'row 1: user "9007199254740992.0" is not a string or a 64-bit integer',
        ),
        (
            pa.table({"user": pa.array([b"few"], pa.binary()), "item": [1]}),
            r"row 1: user .*few.* is not a string or a 64-bit integer",
        ),
    ],
)
def test_what_is_no_table_of_events_is_told_in_one_line(frame: object, told: str) -> None:
    with pytest.raises(DataError, match=told) as caught:
        read_events(frame)
    assert "\n" not in str(caught.value)
