"""Times as whole microseconds since 1970-01-01 UTC, from whatever a column holds.

Knows nothing about: files, users, items.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from clusterseq.reading.identifiers import identifiers, plain_values

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LIMIT = 2**62 - 1
"""Within it the difference of two times is a 64-bit integer, too."""

UNITS = (
    ("seconds", 1e11, 1_000_000),
    ("milliseconds", 1e14, 1_000),
    ("microseconds", 1e17, 1),
    ("nanoseconds", float("inf"), 0.001),
)
"""Unit, the magnitude that it stays below (the year 5138 in each), and its microseconds."""

DAY = 86_400_000_000
STORED = {"ms": 1_000, "us": 1, "ns": 0.001}
"""Microseconds of what typed columns of moments count."""

CALENDARS = (
    (19000101, 21001231, "%Y%m%d"),
    (190001010000, 210012312359, "%Y%m%d%H%M"),
    (19000101000000, 21001231235959, "%Y%m%d%H%M%S"),
)
"""First and last number, and form, where days, minutes or seconds are written as one number."""
NEARLY_ALL = 0.9
"""Share of the numbers that have to be such for all to be read so; the others are no times. 0 and
the year 9999, which stand for no date at all in many tables, are not among the numbers."""
ISO = (
    r"^(\d{4})[-/](\d\d?)[-/](\d\d?)"  # year, month, day
    r"(?:[Tt ] *(\d\d?:\d\d)(:\d\d(?:\.\d+)?)?)?"  # hours and minutes, seconds
    r" *(?:[Zz]|UTC|GMT)?(?:([+-]\d\d)(?::?(\d\d))?)?$"  # zone: hours, minutes
)


def microseconds(column: pl.Series) -> tuple[pl.Series, str]:
    """Read a column as times; what is no time becomes null. Also says how the column was read.

    Numbers, also those written as text, are one unit for the whole column, chosen by the median
    magnitude, unless nearly all are dates such as 20240131 or 20240131235959; what stands for no
    date beside these (0, 99991231) is no time. Dates without a zone are UTC.

    >>> times, unit = microseconds(pl.Series(["2013-04-13", "2013-04-13T02:00:00+02:00", "n/a"]))
    >>> times.to_list(), unit
    ([1365811200000000, 1365811200000000, None], 'dates')
    >>> times, unit = microseconds(pl.Series([1365811200000, 1365811200001]))
    >>> times.to_list(), unit
    ([1365811200000000, 1365811200001000], 'milliseconds')
    """
    column = plain_values(column)
    if column.dtype == pl.String:
        return _from_text(column.str.strip_chars())
    if column.dtype.is_integer():
        whole = column.cast(pl.Int64, strict=False)
        return _numbers(whole, whole.cast(pl.Float64))
    if column.dtype.is_float():
        return _numbers(None, column.cast(pl.Float64))
    if column.dtype.is_decimal():
        return _numbers(identifiers(column), column.cast(pl.Float64))
    if isinstance(kind := column.dtype, pl.Date | pl.Datetime):
        # The stored integers, since polars' calendar panics where it ends, or starts anew.
        factor = STORED[kind.time_unit] if isinstance(kind, pl.Datetime) else DAY
        return _exact(column.to_physical().cast(pl.Int64), factor), "dates"
    return pl.Series([None] * len(column), dtype=pl.Int64), "unknown"


def iso(microseconds: int) -> str:
    """A time for people to read, or the bare number where the calendar ends.

    >>> iso(1_365_811_200_000_000)
    '2013-04-13T00:00:00Z'
    >>> iso(1_365_811_200_500_000)
    '2013-04-13T00:00:00.500000Z'
    """
    try:
        moment = EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return f"{microseconds} µs since 1970"
    return moment.replace(tzinfo=None).isoformat() + "Z"


def _from_text(text: pl.Series) -> tuple[pl.Series, str]:
    whole = text.cast(pl.Int64, strict=False)
    if whole.null_count() == text.null_count():
        return _numbers(whole, whole.cast(pl.Float64))
    real = text.cast(pl.Float64, strict=False)
    if 2 * real.count() >= text.count():
        return _numbers(whole, real)
    return _from_iso(text), "dates"


def _numbers(whole: pl.Series | None, real: pl.Series) -> tuple[pl.Series, str]:
    """Days or amounts of a unit since 1970; whole numbers beside them, where they are known."""
    days = _calendar(real)
    return _scaled(whole, real) if days is None else (days, "dates")


def _calendar(real: pl.Series) -> pl.Series | None:
    """Dates written as one number, if nearly all are; as seconds days would be weeks of 1970."""
    for first, last, form in CALENDARS:
        inside = real.is_between(first, last)
        if not inside.any():  # as nearly always, so it is told first
            continue
        digits = len(str(last))
        never = (real == 0) | real.is_between(9999 * 10 ** (digits - 4), 10**digits - 1)
        threshold = max(1.0, NEARLY_ALL * (real.count() - int(never.sum())))
        if inside.sum() < threshold:
            continue
        text = real.set(~(inside & (real == real.round())), None).cast(pl.Int64).cast(pl.String)
        if form == "%Y%m%d":  # polars wants a time of day
            text, form = text + "0000", "%Y%m%d%H%M"
        moments = text.str.to_datetime(form, time_unit="us", strict=False)
        if moments.count() >= threshold:
            return moments.dt.epoch("us")
    return None


def _from_iso(text: pl.Series) -> pl.Series:
    """Rewrite every accepted form to one, since a date parser takes only one form at a time."""
    part = pl.col("part").struct.field
    parts = text.str.extract_groups(ISO).alias("part").to_frame()
    full = parts.select(
        pl.concat_str(
            part("1"),
            pl.lit("-"),
            part("2"),
            pl.lit("-"),
            part("3"),
            pl.lit(" "),
            part("4").fill_null("00:00"),
            part("5").fill_null(":00"),
            part("6").fill_null("+00"),
            pl.lit(":"),
            part("7").fill_null("00"),
        )
    ).to_series()
    moments = full.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%:z", time_unit="us", strict=False)
    return moments.dt.epoch("us")


def _scaled(whole: pl.Series | None, real: pl.Series) -> tuple[pl.Series, str]:
    """Numbers to microseconds, exactly where they are whole."""
    real = real.set(~real.is_finite(), None)
    magnitude = real.abs().quantile(0.5, interpolation="lower") or 0.0
    unit, factor = next((name, factor) for name, bound, factor in UNITS if magnitude < bound)
    bound = LIMIT / factor * (1 - 1e-15)  # the largest float that is still within it
    rounded = (real.set(real.abs() > bound, None) * factor).round().cast(pl.Int64, strict=False)
    if whole is None:
        return rounded, unit
    exact = _exact(whole, factor)
    return exact.zip_with(exact.is_not_null(), rounded), unit


def _exact(whole: pl.Series, factor: int | float) -> pl.Series:
    """Whole numbers of a unit to microseconds, by integers alone; null beyond the limit."""
    if factor < 1:
        return whole // round(1 / factor)
    limit = LIMIT // int(factor)
    return whole.set(~whole.is_between(-limit, limit), None) * int(factor)
