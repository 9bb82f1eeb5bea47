"""Histories in one SQLite file, or in memory: nothing to install and nothing to run beside.

An acknowledged event survives a killed process and a power cut; several people's at the same time
share one wait for the disk. An erased user leaves no byte in the file: SQLite overwrites what is
deleted (``secure_delete``), but not the copies that it left in unused parts of pages whenever it
moved rows from a full page to another. So an erase also rewrites the file (``VACUUM``), which takes
a second per some 100 MB and lets writers wait, readers not. Such copies of people who have expired
go with the next erase, or within a day: every hour it would be too dear.

Knows nothing about: HTTP, models.
"""

from __future__ import annotations

import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

from clusterseq.service.store.codec import pack_item, pack_text, unpack_item, unpack_text
from clusterseq.service.store.group_commit import GroupCommit
from clusterseq.service.store.protocol import Event, Retention, StoreError
from clusterseq.service.store.sqlite_file import connect, number, transaction

REWRITTEN_EVERY = 86_400.0
"""Seconds between two times that a purge rewrites the file."""
PURGED_AT_ONCE = 500
"""Users forgotten in one transaction, so that others need not wait long to write."""

GATHER_SECONDS = 0.05
"""How long an erasure waits for others, so that the file is rewritten once for all of them."""

_Row: TypeAlias = tuple[bytes, str, float]
"""Of an event, the id, the item and the time as they are kept."""
_Append: TypeAlias = tuple[bytes, list[_Row]]
"""A user's name as it is kept, and events."""

_INSERT_PERSON = """
INSERT INTO people (user, seen) VALUES (?, ?) ON CONFLICT (user) DO UPDATE SET seen = excluded.seen
"""
_INSERT_EVENT = """
INSERT INTO events (person, id, item, time) VALUES (?, ?, ?, ?)
ON CONFLICT (person, id) DO NOTHING
"""
_LET_GO = """
UPDATE events SET item = NULL WHERE arrival IN (
    SELECT arrival FROM events WHERE person = ? AND item IS NOT NULL
    ORDER BY time DESC, arrival DESC LIMIT -1 OFFSET ?)
"""
_FORGET_IDS = """
DELETE FROM events WHERE arrival IN (
    SELECT arrival FROM events WHERE person = ? AND item IS NULL
    ORDER BY arrival DESC LIMIT -1 OFFSET ?)
"""
_HISTORY = """
SELECT id, item, time FROM events
WHERE person = (SELECT person FROM people WHERE user = ? AND seen > ?) AND item IS NOT NULL
ORDER BY time, arrival
"""


class SQLiteStore:
    """A history store in a file; ``path`` None keeps it in memory, for this process alone.

    Two connections, so that a reader need not wait for a writer's disk; each serves one thread at a
    time. Not to be shared with a forked process: open it after the fork.
    """

    def __init__(
        self, path: Path | None, retention: Retention, clock: Callable[[], float] = time.time
    ) -> None:
        """Open or make the file; ``clock`` tells the seconds since 1970.

        Raises:
            ConfigError: the file can't be made or read, or is something else.
        """
        self._path = None if path is None else path.absolute()
        self._retention = retention
        self._clock = clock
        self._writer = _Guarded(connect(path))
        self._reader = self._writer if path is None else _Guarded(connect(path))
        self._appends = GroupCommit(self._append)
        self._rewritten = -math.inf
        self._file = None if self._path is None else _identity(self._path)
        with suppress(StoreError), self._writer.use() as connection:
            _finish_erasures(connection)  # or the next erasure or purge does, which tells why not

    def append(self, user: str, events: Sequence[Event]) -> int:
        """Keep the events whose id is new for this user; return how many were new."""
        if not events:
            return 0
        rows = [(pack_text(event.id), pack_item(event.item), event.time) for event in events]
        return self._appends.do((pack_text(user), rows))

    def _append(self, appends: Sequence[_Append]) -> list[int]:
        """Keep what several appends bring, all of it or nothing."""
        with self._writer.use() as connection, transaction(connection):
            self._require_file()
            return [self._insert(connection, *append) for append in appends]

    def _insert(self, connection: sqlite3.Connection, user: bytes, rows: Sequence[_Row]) -> int:
        person = self._welcome(connection, user)
        new = connection.executemany(_INSERT_EVENT, [(person, *row) for row in rows]).rowcount
        connection.execute(_LET_GO, (person, self._retention.length))
        connection.execute(_FORGET_IDS, (person, self._retention.remembered))
        return new

    def history(self, user: str) -> list[Event]:
        """Events of a user, oldest first by time, then arrival; none if unknown or expired."""
        with self._reader.use() as connection:
            rows = connection.execute(_HISTORY, (pack_text(user), self._cutoff())).fetchall()
        return [Event(unpack_text(id_), unpack_item(item), at) for id_, item, at in rows]

    def erase(self, user: str) -> int:
        """Erase all that is kept of a user, also from the file; return how many events that was."""
        name = pack_text(user)
        with self._writer.use() as connection, transaction(connection):
            self._require_file()
            erased = len(connection.execute(_HISTORY, (name, self._cutoff())).fetchall())
            _forget(connection, "SELECT person FROM people WHERE user = ?", name)
        time.sleep(GATHER_SECONDS)
        with self._writer.use() as connection:
            _finish_erasures(connection)
        return erased

    def purge(self) -> int:
        """Forget the users that have expired; return how many."""
        purged, expired = 0, f"SELECT person FROM people WHERE seen <= ? LIMIT {PURGED_AT_ONCE}"
        while True:
            with self._writer.use() as connection, transaction(connection):
                forgotten = _forget(connection, expired, self._cutoff())
            purged += forgotten
            if forgotten < PURGED_AT_ONCE:
                break
        with self._writer.use() as connection:
            # Also where the clock was set back: the next time might be years away.
            if abs(self._clock() - self._rewritten) >= REWRITTEN_EVERY:
                _finish_erasures(connection)
                self._rewritten = self._clock()
            if purged:
                _empty_log(connection)
        return purged

    def ping(self) -> None:
        """Do nothing if the store can be read; else raise StoreError."""
        with self._reader.use() as connection:
            connection.execute("SELECT count(*) FROM (SELECT 1 FROM people LIMIT 1)").fetchall()
            self._require_file()

    def close(self) -> None:
        """Close the file; the store is not to be used afterwards."""
        for guarded in (self._reader, self._writer):
            guarded.close()

    def _require_file(self) -> None:
        """SQLite goes on with a file that was removed, and all that it writes is lost."""
        if self._path is not None and _identity(self._path) != self._file:
            raise StoreError("the file of the history store was moved or removed")

    def _cutoff(self) -> float:
        """A user last seen at this time or before has expired."""
        return self._clock() - self._retention.seconds

    def _welcome(self, connection: sqlite3.Connection, user: bytes) -> int:
        """The number of a user, as of now; what had expired is forgotten first."""
        _forget(
            connection,
            "SELECT person FROM people WHERE user = ? AND seen <= ?",
            user,
            self._cutoff(),
        )
        connection.execute(_INSERT_PERSON, (user, self._clock()))
        cursor = connection.execute("SELECT person FROM people WHERE user = ?", (user,))
        ((person,),) = cursor.fetchall()
        return int(person)


class _Guarded:
    """A connection that one thread at a time can use."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    @contextmanager
    def use(self) -> Iterator[sqlite3.Connection]:
        """The connection; SQLite's errors become StoreError, without the path or a statement."""
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise StoreError(f"the history store failed ({error})") from error

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def _forget(connection: sqlite3.Connection, people: str, *values: Any) -> int:
    """Delete the people that a query selects, with their events; return how many they were.

    The file still has copies of what is gone, which is noted in it.
    """
    numbers = connection.execute(people, values).fetchall()
    connection.executemany("DELETE FROM events WHERE person = ?", numbers)
    connection.executemany("DELETE FROM people WHERE person = ?", numbers)
    if numbers:
        connection.execute("UPDATE unfinished SET erasures = erasures + 1")
    return len(numbers)


def _finish_erasures(connection: sqlite3.Connection) -> None:
    """Rewrite the file if somebody is gone from it, be it before a kill or by another process."""
    pending = number(connection, "SELECT erasures FROM unfinished")
    if pending:
        connection.execute("VACUUM")
        _empty_log(connection)
        # Another process may have erased somebody since; then the file is to be rewritten again.
        connection.execute("UPDATE unfinished SET erasures = 0 WHERE erasures = ?", (pending,))


def _empty_log(connection: sqlite3.Connection) -> None:
    """Move all of the write-ahead log into the file, which leaves the log without a byte."""
    ((busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    if busy:
        raise sqlite3.OperationalError("another process keeps erased bytes; erase again")


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells the file at a path from another one that takes its place."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
