"""What a history store promises, whatever keeps the events.

Knows nothing about: SQLite, Redis, HTTP.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from clusterseq.errors import ClusterSeqError, ConfigError, DataError
from clusterseq.reading.vocab import RawId

LONGEST = 1e10
"""Seconds, some 300 years; an expiry beyond it would overflow in a store."""
REMEMBERED, REMEMBERED_AT_LEAST = 4, 1_000
"""Ids of events let go that are remembered: as a multiple of the events kept, and no fewer than a
request brings by default."""


class StoreError(ClusterSeqError):
    """The store can't be reached, read or written; the message may be shown to clients."""

    code = "store"


@dataclass(frozen=True, slots=True)
class Event:
    """Somebody touched an item."""

    id: str
    """Tells this event of the user from every other one, so that it can be sent twice."""
    item: RawId
    """What was touched."""
    time: float
    """When, in seconds since 1970."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.time):
            raise DataError(f"the time {self.time} of an event has no place; give a finite number")


@dataclass(frozen=True)
class Retention:
    """How much of a user is kept, and how long."""

    length: int = 200
    """Newest events that are kept of a user."""
    seconds: float = 90 * 86_400.0
    """A user without a new event for so long is forgotten."""

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ConfigError(f"length = {self.length} events can't be kept; give 1 or more")
        if not 0.001 <= self.seconds <= LONGEST:
            raise ConfigError(
                f"seconds = {self.seconds} can't be kept; give between 0.001 and {LONGEST:.0e}"
            )

    @property
    def remembered(self) -> int:
        """How many ids of events let go are known still, lest a late repetition count as new."""
        return max(REMEMBERED * self.length, REMEMBERED_AT_LEAST)


@runtime_checkable
class HistoryStore(Protocol):
    """Events of users, from several threads at once; several processes may share one store.

    Every method but ``close`` raises StoreError if the store can't do it.
    """

    def append(self, user: str, events: Sequence[Event]) -> int:
        """Keep the events whose id is new for this user; return how many were new.

        Once this has returned, the events are safe. Only the newest by time, then arrival, stay, as
        many as ``Retention.length``. The ids of those let go are known for a while longer
        (``Retention.remembered``), so that a repetition of a long request changes nothing. The
        user's expiry begins anew even if nothing is new.
        """
        ...

    def history(self, user: str) -> list[Event]:
        """Events of a user, oldest first by time, then arrival; none if unknown or expired."""
        ...

    def erase(self, user: str) -> int:
        """Erase all that is kept of a user; return how many events ``history`` had."""
        ...

    def purge(self) -> int:
        """Forget the users that have expired; return how many (0 if that happens by itself)."""
        ...

    def ping(self) -> None:
        """Do nothing if the store can be read; else raise StoreError."""
        ...

    def close(self) -> None:
        """Let go of files and connections; the store is not to be used afterwards."""
        ...
