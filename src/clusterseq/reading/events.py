"""An event log as it comes, read into one clean table: who touched which item when.

Knows nothing about: integer indices, filters, splits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

from clusterseq.errors import DataError
from clusterseq.reading.columns import find_columns, option, quoted
from clusterseq.reading.event_report import EventReport, Figures, Reading
from clusterseq.reading.identifiers import identifiers, plain_values, stacked
from clusterseq.reading.sources import Source, tables_of
from clusterseq.reading.table import Table
from clusterseq.reading.times import iso, microseconds

KEY = ("user", "item", "time")


@dataclass(frozen=True, eq=False)
class Events:
    """Checked events without exact duplicates, in the order of the input."""

    frame: pl.DataFrame
    """``user`` and ``item`` (String or Int64, as they came) and ``time`` (Int64)."""
    timed: bool
    """True if ``time`` is microseconds since the epoch, False if it is the place in the input."""
    report: EventReport
    """What was read, what was dropped and why."""

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True, eq=False)
class Part:
    """The good rows of one table, and what the report needs of the others."""

    reading: Reading
    """What was read."""
    rows: pl.DataFrame
    """``user``, ``item`` and, unless there is none, ``time``, all of them usable."""


def read_events(
    source: Source,
    *,
    user_column: str | None = None,
    item_column: str | None = None,
    time_column: str | None = None,
    skip_bad: bool = False,
) -> Events:
    """Read events from a file, a glob, a folder, or a data frame of polars, pandas or Arrow.

    Columns are found by the aliases of ``clusterseq.reading.columns`` unless they are named.
    Without a time column the order of the rows is the order of the events. Rows that repeat an
    earlier user, item and time are dropped and counted. With ``skip_bad``, rows that can't be used
    are dropped and counted by reason, too; otherwise the first one is an error.

    Raises:
        DataError: a file or column is missing or can't be read, a row is bad, or none is left.

    >>> rows = {"userId": ["007", "007", "8"], "asin": ["x", "x", "y"], "ts": [60, 60, 61]}
    >>> events = read_events(pl.DataFrame(rows))
    >>> events.frame.rows()
    [('007', 'x', 60000000), ('8', 'y', 61000000)]
    >>> events.report.duplicates
    1
    """
    choose = partial(find_columns, user=user_column, item=item_column, time=time_column)
    tables = tables_of(source, choose, skip_bad=skip_bad)
    parts = [checked(table, skip_bad=skip_bad) for table in tables]
    rows = _concatenated(parts)
    unique = rows.lazy().unique(subset=KEY, keep="first", maintain_order=True)
    frame = unique.collect(engine="streaming")
    figures = Figures.of(frame, duplicates=len(rows) - len(frame))
    readings = [part.reading for part in parts]
    report = EventReport.of(readings, figures, items=frame["item"].n_unique())
    return Events(frame, report.timed, report)


def checked(table: Table, *, skip_bad: bool) -> Part:
    """Read ids and times, and leave out bad rows or raise at the first.

    Raises:
        DataError: a row is bad.
    """
    raw, unit = table.rows, None
    columns = {"user": identifiers(raw["user"]), "item": identifiers(raw["item"])}
    if "time" in raw.columns:
        columns["time"], unit = microseconds(raw["time"])
        if columns["time"].null_count() == len(raw):
            unit = None  # where nothing is a time, nothing tells how times are written
    valid = ~raw["blank"]
    dropped = Counter(table.dropped)
    rows = pl.DataFrame({role: column.alias(role) for role, column in columns.items()})
    bad = valid & rows.select(pl.any_horizontal(pl.all().is_null())).to_series()
    if bad.any() and not skip_bad:
        raise _bad_row(table, rows, bad.arg_true()[0])
    for role in rows.columns if bad.any() else ():
        null = valid & rows[role].is_null()
        missing = null & _is_missing(raw[role])
        dropped[f"{role} missing"] += int(missing.sum())
        dropped[f"{role} unusable"] += int((null & ~missing).sum())
        valid &= ~null
    usable = rows if valid.all() else rows.filter(valid)
    roles = table.columns.roles()
    return Part(Reading(table.name, roles, table.rows_read, dropped, unit), usable)


def _is_missing(column: pl.Series) -> pl.Series:
    return column.is_null() | (column == "") if column.dtype == pl.String else column.is_null()


def _bad_row(table: Table, rows: pl.DataFrame, row: int) -> DataError:
    role = next(role for role in rows.columns if rows[role][row] is None)
    value = _value(plain_values(table.rows[role]), row)
    kind = "a time" if role == "time" else "a string or a 64-bit integer"
    reason = f"{role} {quoted(value)} is not {kind}"
    if value is None or (isinstance(value, str) and not value):
        reason = f"the {role} is missing"
    return DataError(
        f"{table.name} {table.place(row)}: {reason}; "
        f"drop such rows with {option('skip-bad', table.name)} or name another column with "
        f"{option(f'{role}-column', table.name)}",
        code="row",
    )


def _value(column: pl.Series, row: int) -> object:
    """A value for a message; a moment beyond every calendar as the number that is stored."""
    if not isinstance(column.dtype, pl.Date | pl.Datetime):
        return column[row]
    time = microseconds(column.slice(row, 1))[0][0]
    return column.to_physical()[row] if time is None else iso(time)


def _concatenated(parts: Sequence[Part]) -> pl.DataFrame:
    """All parts as one table, with the place in the input for a time if there is none."""
    readings = [part.reading for part in parts]
    check_alike(readings)
    rows = pl.DataFrame(
        {role: stacked([part.rows[role] for part in parts]) for role in ("user", "item")}
    )
    check_some(readings, len(rows))
    if not readings[0].timed:
        return rows.with_columns(time=pl.int_range(pl.len(), dtype=pl.Int64))
    return rows.with_columns(time=pl.concat([part.rows["time"] for part in parts]))


def check_alike(readings: Sequence[Reading]) -> None:
    """Refuse tables of which some have times and some haven't.

    Raises:
        DataError: some have times and others haven't, or there is no table.
    """
    if not readings:
        raise DataError("no source of events is given; give a path or a data frame")
    timed = {reading.timed: reading.name for reading in readings}
    if len(timed) > 1:
        raise DataError(
            f"{timed[False]}: no time column, but {timed[True]} has one; "
            "read them apart or name it with --time-column",
            code="columns",
        )


def check_some(readings: Sequence[Reading], rows: int) -> None:
    """Refuse tables that have no usable row.

    Raises:
        DataError: no row is usable.
    """
    if not rows:
        reason = f"{sum(reading.rows_read for reading in readings)} rows read, none usable"
        raise DataError(f"{readings[0].name}: no events in it ({reason}); give a file with events")
