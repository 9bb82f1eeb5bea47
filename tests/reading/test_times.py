"""Times in every unit and form, and what is no time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from clusterseq.errors import DataError
from clusterseq.reading.events import read_events
from clusterseq.reading.times import CALENDARS, EPOCH, NEARLY_ALL, iso, microseconds

NOON = 1_365_854_400  # 2013-04-13T12:00:00Z in seconds


@pytest.mark.parametrize(
    ("scale", "unit"),
    [(1, "seconds"), (10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")],
)
@pytest.mark.parametrize("kind", [int, str, lambda value: f" {value}.0 ", lambda v: float(v)])
def test_units_are_told_by_magnitude(scale: int, unit: str, kind: Any) -> None:
    times, found = microseconds(pl.Series([kind(NOON * scale), kind((NOON + 1) * scale)]))
    assert found == unit
    assert times.to_list() == [NOON * 10**6, (NOON + 1) * 10**6]


@pytest.mark.parametrize(
    "text",
    [
        "2013-04-13T12:00:00Z",
        "2013-04-13 12:00:00",
        "2013-04-13 12:00",
        "2013/4/13 12:00:00.000",
        "2013-04-13T14:00:00+02:00",
        "2013-04-13T14:00:00.000000000+0200",
        "2013-04-13 04:30:00 -07:30",
        "2013-04-13 14:00 +02",
        " 2013-04-13 12:00:00 UTC ",
    ],
)
def test_dates_in_many_forms(text: str) -> None:
    assert microseconds(pl.Series([text]))[0].to_list() == [NOON * 10**6]


@pytest.mark.parametrize(
    "text",
    ["n/a", "", "2013-13-01", "2013-02-30", "13.04.2013", "2013-04-13T25:00:00", "nan", "inf"],
)
def test_what_is_no_time_is_null(text: str) -> None:
    for neighbour in ("2013-04-13", str(NOON)):
        times = microseconds(pl.Series([neighbour] * 3 + [text]))[0]
        assert times.is_null().to_list() == [False] * 3 + [True]


@given(st.datetimes(timezones=st.timezones()))
def test_any_iso_datetime_with_a_zone(moment: datetime) -> None:
    expected = (moment - EPOCH) // timedelta(microseconds=1)
    if moment.utcoffset() is not None and moment.utcoffset().seconds % 60:  # type: ignore[union-attr]
        return  # zones before 1900 with seconds, which ISO 8601 has no form for
    assert microseconds(pl.Series([moment.isoformat()]))[0].to_list() == [expected]


@given(st.lists(st.integers(-(10**11) + 1, 10**11 - 1), min_size=1))
def test_seconds_are_exact_also_before_1970(seconds: list[int]) -> None:
    first, last, _ = CALENDARS[0]
    days = sum(first <= second <= last for second in seconds)
    none = sum(second == 0 or 99990000 <= second < 10**8 for second in seconds)
    assume(not days or days < NEARLY_ALL * (len(seconds) - none))  # they would be read as days
    expected = [second * 10**6 for second in seconds]
    assert microseconds(pl.Series(seconds))[0].to_list() == expected
    assert microseconds(pl.Series(list(map(str, seconds))))[0].to_list() == expected


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.floats() | st.none(), min_size=1))
def test_no_number_overflows(values: list[Any]) -> None:
    texts = [None if value is None else str(value) for value in values]
    times = microseconds(pl.Series(texts, dtype=pl.String))[0]
    assert times.dtype == pl.Int64
    floats = pl.Series(
        [None if value is None else float(value) for value in values], dtype=pl.Float64
    )
    for value, time in zip(floats, microseconds(floats)[0], strict=True):
        # Less than a microsecond, as of 999 nanoseconds, is none, on either side of 1970.
        assert time is None or (time >= 0) == (value >= 0) or abs(value) < 1_000


def test_one_odd_time_does_not_change_the_unit() -> None:
    times, unit = microseconds(pl.Series([NOON, NOON, NOON * 1000, 2**62]))
    assert unit == "seconds"
    assert times.to_list() == [NOON * 10**6, NOON * 10**6, NOON * 10**9, None]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pl.Series([date(2013, 4, 13)]), NOON - 12 * 3600),
        (pl.Series([datetime(2013, 4, 13, 12)]).cast(pl.Datetime("ns")), NOON),
        (
            pl.Series([datetime(2013, 4, 13, 12, tzinfo=UTC)]).dt.convert_time_zone("Asia/Tokyo"),
            NOON,
        ),
        (pl.Series([NOON], dtype=pl.UInt32), NOON),
        (pl.Series([NOON - 1]).cast(pl.Decimal(38, 0)) + 1, NOON),
        (pl.Series(["2013-04-13T12:00Z"], dtype=pl.Categorical), NOON),
        (pl.Series(["2013-04-13T12:00Z"], dtype=pl.Enum(["2013-04-13T12:00Z"])), NOON),
        (pl.Series([NOON + 0.5]), NOON + 0.5),
    ],
)
def test_typed_columns(column: pl.Series, expected: float) -> None:
    assert microseconds(column)[0].to_list() == [int(expected * 10**6)]


def test_a_boolean_is_no_time_and_the_calendar_has_an_end() -> None:
    assert microseconds(pl.Series([True]))[0].to_list() == [None]
    assert iso(2**62) == f"{2**62} µs since 1970"


@pytest.mark.parametrize("kind", [pl.Int64, pl.Float64, pl.String])
def test_days_written_as_one_number_are_days(kind: Any) -> None:
    times, unit = microseconds(pl.Series([20240131, None, *[20231201] * 20, 20240230]).cast(kind))
    assert unit == "dates"
    told = [None if one is None else iso(one) for one in times]
    assert told[:3] == ["2024-01-31T00:00:00Z", None, "2023-12-01T00:00:00Z"]
    assert told[-1] is None, "there is no such day"
    assert microseconds(pl.Series([20240131, 20240132]).cast(kind))[1] == "seconds"


@pytest.mark.parametrize("kind", [pl.Int64, pl.Float64, pl.String])
@pytest.mark.parametrize(
    ("number", "expected"),
    [(20130228150053, "2013-02-28T15:00:53Z"), (201302281500, "2013-02-28T15:00:00Z")],
)
def test_moments_written_as_one_number_are_moments(kind: Any, number: int, expected: str) -> None:
    times, unit = microseconds(pl.Series([number] * 3).cast(pl.Int64).cast(kind))
    assert (unit, [iso(one) for one in times]) == ("dates", [expected] * 3)
    assert microseconds(pl.Series([1_362_063_653_000] * 3).cast(kind))[1] == "milliseconds"


def test_a_value_that_is_none_does_not_make_days_seconds() -> None:
    times, unit = microseconds(pl.Series(["20240131"] * 20 + ["n/a"]))
    assert (unit, times[-1], iso(times[0])) == ("dates", None, "2024-01-31T00:00:00Z")


def test_decimals_are_exact() -> None:
    column = pl.Series([Decimal(1_700_000_000_123_456_789), None], dtype=pl.Decimal(38, 0))
    assert microseconds(column)[0].to_list() == [1_700_000_000_123_456, None]


@pytest.mark.parametrize(
    ("stored", "kind"),
    [
        (2**31 - 1, pl.Date()),
        (-(2**31) + 5, pl.Date()),
        (2**62, pl.Datetime("ms")),
        (-(2**63) + 5, pl.Datetime("us", "UTC")),  # as PostgreSQL's "infinity" comes
    ],
)
def test_what_no_calendar_reaches_is_no_time(stored: int, kind: Any) -> None:
    width = pl.Int32 if kind == pl.Date else pl.Int64
    column = pl.Series([stored, 1], dtype=width).cast(kind)
    assert microseconds(column)[0].is_null().to_list() == [True, False]
    rows = pl.DataFrame({"user": [1, 1], "item": [1, 2], "time": column})
    with pytest.raises(DataError, match=rf'row 1: time "{stored}" is not a time'):
        read_events(rows)
    assert read_events(rows, skip_bad=True).report.dropped == {"time unusable": 1}


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_the_difference_of_two_times_is_within_64_bits(numbers: list[int]) -> None:
    for column in (pl.Series(numbers), pl.Series(numbers).cast(pl.Datetime("us"))):
        times = microseconds(column)[0].drop_nulls()
        assert times.is_empty() or times.max() - times.min() < 2**63  # type: ignore[operator]


@pytest.mark.parametrize("kind", [pl.Int64, pl.Float64, pl.String])
@pytest.mark.parametrize(
    ("day", "never"), [(20240131, 99991231), (202401312359, 999912312359), (20240131235959, 0)]
)
def test_what_stands_for_no_date_makes_days_no_seconds(kind: Any, day: int, never: int) -> None:
    times, unit = microseconds(pl.Series([never, day, 0]).cast(kind))
    assert (unit, times.is_null().to_list()) == ("dates", [True, False, True])
    assert iso(times[1]).startswith("2024-01-31T")
