"""What was read, what was dropped and why, and what the events look like.

Knows nothing about: files, formats, how the events were cleaned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from clusterseq.times import iso


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
        named = ", ".join(f"{role} = {name}" for role, name in self.columns.items())
        files = self.sources[0] if len(self.sources) == 1 else f"{len(self.sources)} files"
        return [
            f"read      {self.rows_read:,} rows from {files} ({named})",
            f"dropped   {sum(self.dropped.values()):,} bad rows" + (f": {reasons}" * bool(reasons)),
            f"          {self.duplicates:,} exact duplicates (same user, item and time)",
            f"kept      {self.events:,} events of {self.users:,} users and {self.items:,} items",
            f"time      {self._time()}",
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


def user_lengths(frame: pl.DataFrame) -> pl.Series:
    """Number of events of each user, in no particular order."""
    return frame.lazy().group_by("user").len().collect(engine="streaming")["len"]


def tied_share(frame: pl.DataFrame) -> float:
    """Share of events with the same time as another event of the same user.

    >>> tied_share(pl.DataFrame({"user": ["u", "u", "u", "v"], "time": [5, 5, 6, 5]}))
    0.5
    """
    groups = frame.lazy().group_by("user", "time").len()
    tied = groups.select(pl.col("len").filter(pl.col("len") > 1).sum())
    return float(tied.collect(engine="streaming").item() / max(1, len(frame)))
