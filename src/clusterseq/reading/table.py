"""What every reader of a format hands on: the raw columns of one file, and where its rows stand.

Knows nothing about: formats, times, what becomes of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import polars as pl

from clusterseq.errors import DataError
from clusterseq.reading.columns import Columns

Choose: TypeAlias = Callable[[Sequence[str], str], Columns]
"""Finds the columns of an event among a file's columns, given the file's name for messages."""
Collect: TypeAlias = Callable[[pl.LazyFrame], pl.DataFrame]
"""Computes the rows of a file, in memory or where there is more room."""


def in_memory(rows: pl.LazyFrame) -> pl.DataFrame:
    """Compute rows and hold them."""
    return rows.collect(engine="streaming")


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of one file or data frame, not yet checked."""

    name: str
    """The file's name, for messages."""
    columns: Columns
    """Which columns were taken."""
    rows: pl.DataFrame
    """Columns ``user``, ``item``, ``time`` (unless there is none) and ``blank``, as read."""
    place: Callable[[int], str]
    """Where a row, counted from 0, stands in the file; slow, for messages only."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Lines that couldn't be read at all and were left out, by reason."""

    @property
    def rows_read(self) -> int:
        """All rows of the file but blank ones."""
        return len(self.rows) - int(self.rows["blank"].sum()) + sum(self.dropped.values())

    def pieces(self, size: int) -> Iterator[Table]:
        """The same table, so many rows at a time; what was left out counts for the first."""
        for start in range(0, max(1, len(self.rows)), size):
            yield replace(
                self.after(start),
                rows=self.rows.slice(start, size),
                dropped={} if start else self.dropped,
            )

    def after(self, before: int) -> Table:
        """The same table, whose first row stands after so many others of the same source."""
        return replace(self, place=lambda row: self.place(before + row))


def row_number(row: int) -> str:
    """The place of a row where there are no lines.

    >>> row_number(0)
    'row 1'
    """
    return f"row {row + 1}"


def event_columns(columns: Columns) -> list[pl.Expr]:
    """Select a table's user, item and time by their roles."""
    return [pl.col(name).alias(role) for role, name in columns.roles().items()]


@contextmanager
def reading(name: str, kind: str) -> Iterator[None]:
    """Turn what goes wrong while a file is read into one clear line.

    Raises:
        DataError: the file is missing, empty, damaged or of another kind.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{name}: no such file; check the path") from error
    except PermissionError as error:
        raise DataError(f"{name}: not allowed to read it; change its permissions") from error
    except pl.exceptions.NoDataError as error:
        raise DataError(f"{name}: the file is empty; give one with events in it") from error
    except pl.exceptions.DuplicateError as error:
        raise DataError(
            f"{name}: two columns have one name ({_first_line(error)}); rename one of them",
            code="columns",
        ) from error
    except (OSError, EOFError) as error:
        raise DataError(
            f"{name}: damaged or cut short ({_first_line(error)}); copy or download it again"
        ) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DataError(
            f"{name}: can't be read as {kind} ({_first_line(error)}); "
            f"check that it is {kind} and whole"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]
