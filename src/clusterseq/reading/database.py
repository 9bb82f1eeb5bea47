"""Events out of PostgreSQL, a batch of rows at a time.

A source is written as one address: ``postgresql://user@host/shop#select user_id, item_id, at from
clicks``. What stands before ``#`` is what PostgreSQL's own tools take (a ``#`` in a password is
written ``%23``), what stands behind it is the query. No message ever shows a password.

Knows nothing about: what the columns hold, files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard
from urllib.parse import urlsplit

import polars as pl

from clusterseq.errors import DataError
from clusterseq.machine.extras import require_extra
from clusterseq.reading.table import reading

SCHEMES = ("postgresql", "postgres")


@dataclass(frozen=True)
class Query:
    """A query and where it is asked."""

    address: str
    """As PostgreSQL's tools take it, with the password if there is one."""
    text: str
    """SQL that returns rows."""

    @property
    def name(self) -> str:
        """What a message may show.

        >>> Query("postgresql://me:secret@db.example:5432/shop", "select 1").name
        'postgresql://db.example:5432/shop'
        """
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def is_database(source: object) -> TypeGuard[str]:
    """Whether a source is a query of a database."""
    return isinstance(source, str) and source.partition("://")[0] in SCHEMES


def query_of(source: str) -> Query:
    """Take an address and its query apart.

    >>> query_of("postgresql://localhost/shop#select * from clicks").text
    'select * from clicks'

    Raises:
        DataError: there is no query.
    """
    address, _, text = source.partition("#")
    query = Query(address, text.strip())
    if not query.text:
        raise DataError(
            f"{query.name}: says no query; append one behind a #, as in "
            f"'{query.name}#select user_id, item_id, time from events'"
        )
    return query


def rows_of(query: Query) -> Iterator[pl.DataFrame]:
    """The rows that a database answers, as they come; one empty frame if there are none.

    Raises:
        ConfigError: the driver is not installed.
        DataError: the database can't be reached, refuses the query, or its answer is no table.
    """
    with require_extra("postgresql", query.name):
        from adbc_driver_postgresql import dbapi
    try:
        with dbapi.connect(query.address) as connection, connection.cursor() as cursor:
            cursor.execute(query.text)
            reader = cursor.fetch_record_batch()
            empty = reader.schema.empty_table()
            yielded = False
            for batch in reader:
                yielded = True
                yield _frame(batch, query.name)
            if not yielded:
                yield _frame(empty, query.name)
    except dbapi.Error as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{query.name}: {reason[:300]}; check the address and the query, for example with psql"
        ) from error


def _frame(rows: object, name: str) -> pl.DataFrame:
    with reading(name, "a table"):
        frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    return frame
