"""A history store: dictionaries of this process, ``dict:NAME``."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from clusterseq import Event, Retention

STORES: dict[str, dict[str, tuple[float, dict[str, Event | None]]]] = {}
"""By name and user: when last seen, and events by id as they arrived; None for one let go."""
LOCK = threading.RLock()


class DictStore:
    def __init__(self, url: str, retention: Retention) -> None:
        self.people, self.retention = STORES.setdefault(url, {}), retention

    def append(self, user: str, events: Sequence[Event]) -> int:
        with LOCK:
            rows = self._of(user)
            new = {event.id: event for event in reversed(events) if event.id not in rows}
            rows |= {event.id: event for event in events if event is new.get(event.id)}
            for event in self._kept(rows)[: -self.retention.length]:
                rows[event.id] = None
            for old in [id_ for id_ in rows if rows[id_] is None][: -self.retention.remembered]:
                del rows[old]
            if events:
                self.people[user] = time.time(), rows
            return len(new)

    def history(self, user: str) -> list[Event]:
        with LOCK:
            return self._kept(self._of(user))

    def erase(self, user: str) -> int:
        with LOCK:
            erased = len(self.history(user))
            self.people.pop(user, None)
            return erased

    def purge(self) -> int:
        with LOCK:
            expired = [user for user in self.people if not self._of(user)]
            return sum(self.people.pop(user) is not None for user in expired)

    def ping(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _of(self, user: str) -> dict[str, Event | None]:
        seen, rows = self.people.get(user, (0.0, {}))
        return {} if time.time() - seen > self.retention.seconds else rows

    def _kept(self, rows: dict[str, Event | None]) -> list[Event]:
        return sorted((e for e in rows.values() if e is not None), key=lambda event: event.time)
