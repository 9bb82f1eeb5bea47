"""The SQLite file of a history store: created for its owner alone, durable, and told from others.

Knows nothing about: what is read from it and written to it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clusterseq.errors import ConfigError

MEMORY = ":memory:"
BUSY_SECONDS = 10.0
"""How long to wait for another process to finish writing."""
APPLICATION = int.from_bytes(b"clsq", "big")
"""Marks the file as a history store, as SQLite's ``application_id``."""
LAYOUT = 1
"""Version of the tables below, as SQLite's ``user_version``."""

_SCHEMA = (
    """
    CREATE TABLE people (
        person INTEGER PRIMARY KEY,
        user BLOB NOT NULL UNIQUE,
        seen REAL NOT NULL
    )
    """,
    "CREATE INDEX people_by_seen ON people (seen)",
    """
    CREATE TABLE events (
        arrival INTEGER PRIMARY KEY,
        person INTEGER NOT NULL,
        id BLOB NOT NULL,
        item TEXT,  -- JSON, or null once the event was let go and its id alone is remembered
        time REAL NOT NULL,
        UNIQUE (person, id)
    )
    """,
    "CREATE INDEX events_kept ON events (person, time) WHERE item IS NOT NULL",
    "CREATE INDEX events_let_go ON events (person, arrival) WHERE item IS NULL",
    # Erasures after which the file was not rewritten yet.
    "CREATE TABLE unfinished (erasures INTEGER NOT NULL)",
    "INSERT INTO unfinished VALUES (0)",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {LAYOUT}",
)


def connect(path: Path | None) -> sqlite3.Connection:
    """Open a store's file, or make one; None opens one in memory.

    Raises:
        ConfigError: the file can't be made or read, or is something else.
    """
    if path is None:
        return _prepared(MEMORY)
    try:
        _create(path)
        return _prepared(str(path.absolute()))
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; name a file in a folder that exists and can be written",
            code="store",
        ) from error
    except sqlite3.Error as error:
        raise ConfigError(
            f"{path}: can't be used as a history store ({error}); name another file, or a new one",
            code="store",
        ) from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all of it or nothing, with no other writer in between."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def number(connection: sqlite3.Connection, query: str) -> int:
    """The one number that a query or a pragma gives."""
    ((value,),) = connection.execute(query).fetchall()
    return int(value)


def _create(path: Path) -> None:
    """Make the file, which SQLite would make readable for others; its log takes the same mode."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _prepared(name: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        name, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        _set_journal(connection)
        # Sync at every commit: what was acknowledged outlives a power cut.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        with transaction(connection):
            _identify(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_journal(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on, for which SQLite doesn't wait while another process does so."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _identify(connection: sqlite3.Connection) -> None:
    """Make an empty file a store, and refuse one of another kind or layout."""
    if not number(connection, "SELECT count(*) FROM sqlite_master"):
        for statement in _SCHEMA:
            connection.execute(statement)
    elif number(connection, "PRAGMA application_id") != APPLICATION:
        raise sqlite3.DatabaseError("it holds something else")
    elif number(connection, "PRAGMA user_version") != LAYOUT:
        raise sqlite3.DatabaseError("it is of another version of clusterseq")
