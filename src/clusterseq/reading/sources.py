"""Everything that events can be read from: files, globs, folders, data frames, addresses, queries,
and what readers of installed packages read.

Knows nothing about: what the columns hold, times, ids.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from clusterseq.errors import DataError
from clusterseq.extensions import Extension, extension, extensions
from clusterseq.reading.addresses import fetching, is_address
from clusterseq.reading.columns import DATA_FRAME, Columns, doubled, quoted
from clusterseq.reading.database import is_database, query_of, rows_of
from clusterseq.reading.delimited import read_delimited
from clusterseq.reading.jsonlines import read_json_lines
from clusterseq.reading.table import (
    Choose,
    Collect,
    Table,
    event_columns,
    in_memory,
    reading,
    row_number,
)

Source: TypeAlias = str | os.PathLike[str] | pl.DataFrame | pl.LazyFrame | Any
"""A path, a glob, a folder, an address, a database query, a data frame of polars, pandas or Arrow,
or a list of these."""

DELIMITED = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": ",", ".inter": "\t"}
JSON_LINES = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
COMPRESSED = (".gz", ".zst")
# Moments are read as stored, which is in UTC, so that zones polars has no name for (+05:30) do no
# harm; it looks here whenever it meets one.
os.environ.setdefault("POLARS_IGNORE_TIMEZONE_PARSE_ERROR", "1")
KINDS = "CSV, TSV, JSON lines (these also .gz or .zst), Parquet or RecBole's .inter"


def tables_of(
    source: Source, choose: Choose, *, skip_bad: bool, collect: Collect = in_memory
) -> Iterator[Table]:
    """Read a source's tables one after the other, files in the order of their names.

    Raises:
        DataError: nothing is there, or a file can't be read.
    """
    if isinstance(source, list | tuple):
        for entry in source:
            yield from tables_of(entry, choose, skip_bad=skip_bad, collect=collect)
    elif is_database(source):
        query = query_of(source)
        offset = 0
        for rows in rows_of(query):
            yield _from_polars(rows.lazy(), query.name, choose, collect).after(offset)
            offset += len(rows)
    elif isinstance(source, str) and (reader := _reader_at(source)):
        yield _read_by(reader, source, choose, collect)
    elif _is_address(source):
        with reading(str(source), "Parquet"), fetching(str(source)):
            frame = pl.scan_parquet(str(source))
            yield _from_polars(frame, str(source), choose, collect)
    elif isinstance(source, str | os.PathLike):
        for path in files_of(source):
            yield _read_file(path, choose, skip_bad=skip_bad, collect=collect)
    elif _is_frame(source):
        with reading(DATA_FRAME, "a data frame"):
            yield _from_frame(source, DATA_FRAME, choose, collect)
    else:
        raise DataError(
            f"events can't be read from {type(source).__name__}; give a path or a data frame"
        )


def pieces_of(source: Source) -> list[Source]:
    """What a source consists of, each to be read by itself: the files of a folder or a glob.

    Raises:
        DataError: nothing is there.
    """
    if isinstance(source, list | tuple):
        return [piece for entry in source for piece in pieces_of(entry)]
    if isinstance(source, str | os.PathLike) and not (is_database(source) or _is_address(source)):
        return [*files_of(source)]
    return [source]


def _is_address(source: object) -> bool:
    """Whether it lies in an object storage or on the web, or where a package's reader finds it."""
    if not isinstance(source, str):
        return False
    return is_address(source) or _reader_at(source) is not None


def _reader_at(source: str) -> Extension | None:
    """The reader of an address whose scheme isn't ours."""
    scheme, colon, _ = source.partition("://")
    return None if not colon or is_address(source) else extension("readers", scheme.lower())


def files_of(source: str | os.PathLike[str]) -> list[Path]:
    """The files that a path, a glob or a folder (and those below it) names, sorted.

    In a folder, hidden files and those of unknown formats are passed over.

    Raises:
        DataError: there is none, or the name is empty, as a variable's that isn't set.
    """
    if not os.fspath(source):
        raise DataError("a path is empty; name a file, or . for the folder here")
    path = Path(source)
    if path.is_dir():
        files = [file for file in of_events(path.rglob("*")) if not _hidden(file, path)]
        files = [file for file in files if file.is_file()]
        if not files:
            raise DataError(f"{path}: no file of events in this folder; it may hold {KINDS}")
        return sorted(files)
    if path.exists() or not glob.has_magic(str(source)):
        return [path]
    matches = [Path(name) for name in glob.glob(str(source), recursive=True)]
    if not matches:
        raise DataError(f"{source}: no file matches; check the pattern")
    # A pattern such as ** names folders and the files in them.
    return sorted({file for match in matches for file in files_of(match)})


def of_events(paths: Iterable[Path]) -> list[Path]:
    """Those whose endings are among those that events are read from."""
    known = {*DELIMITED, *JSON_LINES, *PARQUET, *(f".{r.name}" for r in extensions("readers"))}
    return [path for path in paths if suffix_of(path) in known]


def suffix_of(path: Path) -> str:
    """The ending that tells the format, in lower case."""
    plain = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    return plain.suffix.lower()


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)


def _read_file(path: Path, choose: Choose, *, skip_bad: bool, collect: Collect) -> Table:
    suffix = suffix_of(path)
    if suffix in DELIMITED:
        separator = DELIMITED[suffix]
        return read_delimited(path, separator, choose, skip_bad=skip_bad, collect=collect)
    if suffix in JSON_LINES:
        return read_json_lines(path, choose, skip_bad=skip_bad, collect=collect)
    if suffix in PARQUET:
        with reading(str(path), "Parquet"):
            return _from_polars(pl.scan_parquet(path, glob=False), str(path), choose, collect)
    if not path.exists():
        raise DataError(f"{path}: no such file; check the path")
    if suffix and (reader := extension("readers", suffix[1:])):
        return _read_by(reader, str(path), choose, collect)
    raise DataError(f"{path}: unknown kind of file; give {KINDS}")


def _read_by(reader: Extension, source: str, choose: Choose, collect: Collect) -> Table:
    """What a package's reader gives for a path or an address: a data frame of any kind."""
    read, name = reader.load(), _without_password(source)
    with reading(name, reader.name):
        frame = read(source)
        if not _is_frame(frame):
            raise reader.refused(f"gives {type(frame).__name__}, which is no data frame")
        return _from_frame(frame, name, choose, collect)


def _without_password(source: str) -> str:
    """What a message may show of an address.

    >>> _without_password("queue://ann:secret@host/clicks@2")
    'queue://host/clicks@2'
    """
    scheme, colon, rest = source.partition("://")
    host, slash, path = rest.partition("/")
    return scheme + colon + host.rpartition("@")[2] + slash + path


def _is_frame(data: object) -> bool:
    """Whether it is a data frame, as everything is that hands out Arrow's streams."""
    if _is_pandas(data):
        return hasattr(data, "columns")
    return isinstance(data, pl.LazyFrame) or hasattr(data, "__arrow_c_stream__")


def _is_pandas(data: object) -> bool:
    return type(data).__module__.partition(".")[0] == "pandas"


def _from_frame(frame: Any, name: str, choose: Choose, collect: Collect) -> Table:
    if _is_pandas(frame):
        return _from_pandas(frame, name, choose)
    if isinstance(frame, pl.DataFrame | pl.LazyFrame):
        return _from_polars(frame.lazy(), name, choose, collect)
    return _from_polars(pl.LazyFrame(frame), name, choose, collect)


def _from_polars(frame: pl.LazyFrame, name: str, choose: Choose, collect: Collect) -> Table:
    columns = choose(frame.collect_schema().names(), name)
    rows = collect(frame.select(*event_columns(columns), blank=pl.lit(False)))
    return Table(name, columns, rows, row_number)


def _from_pandas(frame: Any, name: str, choose: Choose) -> Table:
    labels: dict[str, Any] = {str(label): label for label in frame.columns}
    columns: Columns = choose(list(labels), name)
    names = [str(label) for label in frame.columns]
    for column in columns.names:
        if names.count(column) > 1:
            raise doubled(name, column, names.count(column))
    try:
        series = {column: _from_pandas_column(frame[labels[column]]) for column in columns.names}
    except UnicodeEncodeError as error:
        raise DataError(
            f"{name}: the value {quoted(error.object)} holds half a character, which no text can; "
            "mend or drop it"
        ) from error
    return _from_polars(pl.LazyFrame(series), name, lambda *_: columns, in_memory)


def _from_pandas_column(column: Any) -> pl.Series:
    convert: Callable[[Any], pl.Series] = pl.from_pandas
    if column.dtype == object and date in set(map(type, column)):
        return _as_texts(column)  # where days come before moments, Arrow would make days of these
    try:
        return convert(column.reset_index(drop=True))
    except ImportError as error:
        raise DataError(
            f"a pandas data frame needs pyarrow ({error}); install pyarrow or give a polars one",
            code="extra",
        ) from error
    except (TypeError, ValueError, OverflowError):  # a mix of kinds, or integers beyond 64 bits
        return _as_texts(column)


def _as_texts(column: Any) -> pl.Series:
    missing = column.isna()
    texts = [None if null else str(value) for value, null in zip(column, missing, strict=True)]
    return pl.Series(texts, dtype=pl.String)
