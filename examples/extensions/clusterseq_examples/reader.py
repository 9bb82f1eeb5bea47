"""A reader: the table ``events`` of an SQLite database, ``shop.sqlite3`` or ``sqlite3://shop.db``."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import polars as pl

from clusterseq import DataError


def read(source: str) -> pl.DataFrame:
    path = Path(source.removeprefix("sqlite3://"))
    address = f"file:{path.as_posix()}?mode=ro"
    try:
        connection = sqlite3.connect(address, uri=True)
        try:
            return pl.read_database("SELECT * FROM events", connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise DataError(f"{source}: {error}; give a database with a table of events") from error
