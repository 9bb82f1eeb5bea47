"""What was read, what was dropped and why, and what the events look like.

Knows nothing about: files, formats, how the events were cleaned.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from clusterseq.errors import DataError
from clusterseq.reading.times import iso


@dataclass(frozen=True)
class Reading:
    """What was read of one table, whatever became of its rows."""

    name: str
    """The file's name."""
    columns: Mapping[str, str]
    """The column taken for each of user, item and time."""
    rows_read: int
    """Good and bad ones."""
    dropped: Mapping[str, int]
    """Bad rows by reason."""
    unit: str | None
    """How times were read."""

    @property
    def timed(self) -> bool:
        """Whether there are times."""
        return "time" in self.columns


@dataclass(frozen=True)
class Figures:
    """What some people's events look like, such that the figures of more people can be added."""

    duplicates: int
    """Rows left out because an earlier one is the same."""
    lengths: Mapping[int, int]
    """How many people have so many events."""
    tied: int
    """Events with the same time as another event of the same user."""
    first: int
    """The earliest time."""
    last: int
    """The latest time."""

    @classmethod
    def of(cls, frame: pl.DataFrame, *, duplicates: int) -> Figures:
        """The figures of rows ``user`` and ``time``, at least one.

        >>> rows = pl.DataFrame({"user": ["u", "u", "u", "v"], "time": [5, 5, 6, 5]})
        >>> figures = Figures.of(rows, duplicates=0)
        >>> figures.lengths, figures.tied, figures.last
        ({1: 1, 3: 1}, 2, 6)
        """
        rows = frame.lazy()
        lengths = rows.group_by("user").len().group_by("len").agg(people=pl.len()).sort("len")
        ties = rows.group_by("user", "time").len().filter(pl.col("len") > 1).select("len")
        bounds = rows.select(first=pl.col("time").min(), last=pl.col("time").max())
        counted, tied, ends = pl.collect_all([lengths, ties, bounds], engine="streaming")
        return cls(
            duplicates,
            dict(zip(counted["len"], counted["people"], strict=True)),
            int(tied["len"].sum()),
            *ends.row(0),
        )

    @classmethod
    def summed(cls, parts: Iterable[Figures]) -> Figures:
        """The figures of all people of some parts, nobody of whom is in two."""
        figures = list(parts)
        lengths: Counter[int] = sum((Counter(part.lengths) for part in figures), Counter())
        return cls(
            sum(part.duplicates for part in figures),
            dict(sorted(lengths.items())),
            sum(part.tied for part in figures),
            min(part.first for part in figures),
            max(part.last for part in figures),
        )

    @property
    def users(self) -> int:
        """How many people there are."""
        return sum(self.lengths.values())

    @property
    def events(self) -> int:
        """How many events they have."""
        return sum(length * people for length, people in self.lengths.items())

    def median(self) -> float:
        """Of the events of a person."""
        sizes = np.array(list(self.lengths))
        cumulative = np.cumsum(list(self.lengths.values()))  # so many people have at most that size
        middle = [(self.users - 1) // 2, self.users // 2]
        return float(sizes[np.searchsorted(cumulative, middle, side="right")].mean())


@dataclass(frozen=True)
class EventReport:
    """The figures of one call of ``read_events``."""

    sources: tuple[str, ...]
    """The files, in the order read, or "DataFrame"."""
    columns: Mapping[str, str]
    """The column taken for each of user, item and time."""
    rows_read: int
    """Rows of all sources, bad ones included, blank lines not."""
    dropped: Mapping[str, int]
    """Bad rows left out, by reason."""
    duplicates: int
    """Rows left out because an earlier one has the same user, item and time."""
    events: int
    """Rows kept."""
    users: int
    """Distinct users."""
    items: int
    """Distinct items."""
    timed: bool
    """False if there is no time, so that the order of the rows was taken."""
    time_units: tuple[str, ...]
    """How times were read: "seconds", "milliseconds", "dates" …; one per kind found."""
    first: int | None
    """The earliest time in microseconds since the epoch."""
    last: int | None
    """The latest time in microseconds since the epoch."""
    tied_share: float
    """Share of events with the same time as another event of the same user."""
    length_min: int
    """Fewest events of a user."""
    length_median: float
    """Median of events per user."""
    length_mean: float
    """Mean of events per user."""
    length_max: int
    """Most events of a user."""

    @classmethod
    def of(cls, readings: Sequence[Reading], figures: Figures, *, items: int) -> EventReport:
        """The report of some tables that became some people's events of so many items."""
        timed = readings[0].timed
        dropped: Counter[str] = sum((Counter(reading.dropped) for reading in readings), Counter())
        return cls(
            sources=tuple(dict.fromkeys(reading.name for reading in readings)),
            columns=readings[0].columns,
            rows_read=sum(reading.rows_read for reading in readings),
            dropped=dict(dropped),
            duplicates=figures.duplicates,
            events=figures.events,
            users=figures.users,
            items=items,
            timed=timed,
            time_units=tuple(dict.fromkeys(reading.unit for reading in readings if reading.unit)),
            first=figures.first if timed else None,
            last=figures.last if timed else None,
            tied_share=figures.tied / figures.events if timed else 0.0,
            length_min=min(figures.lengths),
            length_median=figures.median(),
            length_mean=figures.events / figures.users,
            length_max=max(figures.lengths),
        )

    @classmethod
    def from_dict(cls, values: Any) -> EventReport:
        """The report whose fields a dictionary holds, as ``dataclasses.asdict`` gives them.

        Raises:
            DataError: a field is missing or unknown.
        """
        try:
            tuples = {name: tuple(values.get(name) or ()) for name in ("sources", "time_units")}
            return cls(**{**values, **tuples})
        except (AttributeError, TypeError) as error:
            raise DataError(
                f"the report of what was read is damaged ({error}); save the dataset anew"
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON can hold them, times as ISO dates."""
        return asdict(self) | {
            "sources": list(self.sources),
            "time_units": list(self.time_units),
            "first": None if self.first is None else iso(self.first),
            "last": None if self.last is None else iso(self.last),
        }

    def lines(self) -> list[str]:
        """The figures as a few lines for people."""
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.dropped.items())
        columns = ", ".join(f"{role} = {name}" for role, name in self.columns.items())
        files = self.sources[0] if len(self.sources) == 1 else f"{len(self.sources)} files"
        return [
            f"read      {self.rows_read:,} rows from {files} ({columns})",
            f"dropped   {sum(self.dropped.values()):,} bad rows" + (f": {reasons}" * bool(reasons)),
            f"          {self.duplicates:,} exact duplicates (same user, item and time)",
            f"kept      {self.events:,} events of {self.users:,} users and {self.items:,} items",
            f"time      {self._time()}",
            *["          the latest lies in the future: was its clock right?"] * self._ahead,
            f"lengths   {self.length_min} to {self.length_max} events per user, "
            f"median {self.length_median:g}, mean {self.length_mean:.1f}",
        ]

    def _time(self) -> str:
        if self.first is None or self.last is None:
            return "none found: the order of the rows is taken as the order of the events"
        units = " and ".join(self.time_units)
        return (
            f"{iso(self.first)} to {iso(self.last)}, read as {units}; "
            f"{self.tied_share:.1%} of events tied with another of their user"
        )

    @property
    def _ahead(self) -> bool:
        """Whether the latest event is still to come, from which others' ages are counted."""
        return self.last is not None and self.last > time.time_ns() // 1000
