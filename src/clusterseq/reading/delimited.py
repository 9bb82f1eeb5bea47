"""CSV, TSV and their kin: RecBole's ``.inter`` files and Amazon's ratings without a header.

Every value is read as text, so that an id keeps its leading zeros.

Knows nothing about: times, ids, other formats.
"""

from __future__ import annotations

import csv
import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from clusterseq.errors import DataError
from clusterseq.reading.columns import Columns, doubled
from clusterseq.reading.lines import (
    NOT_UTF8,
    OR_DROP,
    check_text,
    holds,
    not_utf8,
    place_for_a_copy,
    raw_lines,
)
from clusterseq.reading.table import Choose, Collect, Table, event_columns, in_memory, reading

AMAZON_RATINGS = ("user", "item", "rating", "timestamp")
SEPARATORS = ",\t;|"
RECBOLE = {".inter", ".item"}
"""Endings of files without quotes."""
TOO_LONG = "too many fields"
LONGEST_FIELD = 2**31 - 1
"""Python's own bound is a few pages of text."""


@dataclass(frozen=True)
class Dialect:
    """How the fields of a delimited file are told apart and named."""

    separator: str
    """The character between two fields."""
    quote: str | None
    """The character around a field that holds a separator; None if there is none."""
    names: tuple[str, ...]
    """The columns' names."""
    has_header: bool = True
    """False if the first line is an event already."""
    spaced: bool = False
    """Whether a space follows each separator, as in "user, item", which belongs to no value."""

    @property
    def csv_options(self) -> dict[str, Any]:
        """The same for Python's reader and writer of such files."""
        quoting = csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE
        quotes = {"quotechar": self.quote, "quoting": quoting}
        return {"delimiter": self.separator, "skipinitialspace": self.spaced, **quotes}


def read_delimited(
    path: Path,
    separator: str,
    choose: Choose,
    *,
    skip_bad: bool,
    collect: Collect = in_memory,
) -> Table:
    """Read the user, item and time of a delimited text file.

    Raises:
        DataError: the file is missing, empty, damaged or binary, a column isn't found, or a line
            isn't UTF-8, has too many fields or a wrong quote (the former two are left out and
            counted with ``skip_bad``).
    """
    check_text(path)
    dialect = _dialect(path, separator)
    columns = choose(dialect.names, str(path))
    _check_single(path, dialect, columns)
    dropped: Counter[str] = Counter()
    with reading(str(path), "delimited text"):
        rows: pl.DataFrame | None = None
        with suppress(pl.exceptions.ComputeError):
            rows = None if dialect.spaced else collect(_scan(path, dialect, columns))
        if rows is None or not _is_agreed(path, dialect, len(rows)):
            with place_for_a_copy() as copy:
                dropped = _copy_good_lines(path, dialect, copy, skip_bad=skip_bad)
                rows = collect(_scan(copy, dialect, columns))
    return Table(str(path), columns, rows, lambda row: _place(path, dialect, row), dropped)


def strict_rows(path: Path, separator: str) -> tuple[Sequence[str], Iterator[list[str]]]:
    """The names of all columns, and every line's values as a strict reader takes them.

    Raises:
        DataError: as of ``read_delimited``; also while the lines are read.
    """
    check_text(path)
    dialect = _dialect(path, separator)
    return dialect.names, _good_rows(path, dialect)


def _good_rows(path: Path, dialect: Dialect) -> Iterator[list[str]]:
    width = len(dialect.names)
    for line, fields in _records(path, dialect):
        if fault := _fault(path, line, fields, dialect, or_else=""):
            raise fault[1]
        if fields:
            yield fields + [""] * (width - len(fields))


def _scan(source: Path, dialect: Dialect, columns: Columns) -> pl.LazyFrame:
    frame = pl.scan_csv(
        source,
        infer_schema=False,
        separator=dialect.separator,
        quote_char=dialect.quote,
        has_header=dialect.has_header,
        new_columns=None if dialect.has_header else list(dialect.names),
        glob=False,
    )
    # Looking at all columns, if only for blank lines, keeps polars from passing over long ones.
    blank = pl.all_horizontal(pl.all().is_null()).alias("blank")
    return frame.select(*event_columns(columns), blank)


def _is_agreed(path: Path, dialect: Dialect, rows: int) -> bool:
    """Whether a strict reader finds so many rows, too, and none of them too long.

    polars takes a quote within a value for one that opens or closes it, and passes over all lines
    up to the next.
    """
    if dialect.quote is None or not holds(path, dialect.quote):
        return True
    found = 0
    for _, fields in _records(path, dialect):
        found += 1
        if len(fields) > len(dialect.names):
            return False
    return found == rows


def _check_single(path: Path, dialect: Dialect, columns: Columns) -> None:
    """Refuse a column that the header names twice, which polars calls by another name then."""
    if not any(f"{name}_duplicated_0" in dialect.names for name in columns.names):
        return
    unnamed = replace(dialect, has_header=False)
    header = Counter(next(fields for _, fields in _records(path, unnamed) if fields))
    for name in columns.names:
        if header[name] > 1:
            raise doubled(str(path), name, header[name])


def _dialect(path: Path, separator: str) -> Dialect:
    quote = None if {*path.suffixes} & RECBOLE else '"'
    names = _header(path, separator, quote)
    if len(names) == 1:
        separator = max(SEPARATORS, key=names[0].count)
        names = _header(path, separator, quote)
    if any("\ufffd" in name or "\0" in name for name in names):
        raise DataError(
            f"{path} line 1: the header isn't UTF-8 text; give a text file, or convert it, for "
            "example with iconv -f latin1 -t utf-8"
        )
    if _is_amazon_rating(names):
        return Dialect(separator, quote, AMAZON_RATINGS, has_header=False)
    if len(names) > 1 and all(name.startswith(" ") for name in names[1:]):
        unnamed = Dialect(separator, quote, (), has_header=False, spaced=True)
        names = next(fields for _, fields in _records(path, unnamed) if fields)
        return Dialect(separator, quote, tuple(names), spaced=True)
    return Dialect(separator, quote, tuple(names))


def _header(path: Path, separator: str, quote: str | None) -> list[str]:
    with reading(str(path), "delimited text"):
        frame = pl.scan_csv(
            path, infer_schema=False, separator=separator, quote_char=quote, glob=False
        )
        return frame.collect_schema().names()


def _is_amazon_rating(first_line: list[str]) -> bool:
    """Amazon's 2014 ratings: user, item, rating 1.0 … 5.0 and Unix time, with no line of names."""
    return (
        len(first_line) == len(AMAZON_RATINGS)
        and re.fullmatch(r"[0-5](\.\d)?", first_line[2]) is not None
        and re.fullmatch(r"\d{8,10}", first_line[3]) is not None
    )


def _records(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Each record below the header with the line that it starts on; a byte that isn't UTF-8 is read
    as a surrogate."""
    text = (
        line.removeprefix(b"" if number else BOM_UTF8).decode("utf-8", "surrogateescape")
        for number, line in enumerate(raw_lines(path))
    )
    reader = csv.reader(text, strict=True, **dialect.csv_options)
    start, header_due = 1, dialect.has_header
    former = csv.field_size_limit(LONGEST_FIELD)
    try:
        for fields in reader:
            if not header_due:
                yield start, fields
            header_due = header_due and not fields
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path} line {start}: wrong quoting ({error}); close the quotes there, double those "
            "within a value, or put quotes around a value that holds a line's end",
            code="row",
        ) from error
    finally:
        csv.field_size_limit(former)


def _copy_good_lines(path: Path, dialect: Dialect, copy: Path, *, skip_bad: bool) -> Counter[str]:
    """Copy what can be read and count the rest, or raise at the first line that can't."""
    dropped = Counter[str]()
    with copy.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text, lineterminator="\n", **dialect.csv_options)
        if dialect.has_header:
            writer.writerow(dialect.names)
        for line, fields in _records(path, dialect):
            fault = _fault(path, line, fields, dialect)
            if fault is None:
                writer.writerow(fields)
            elif skip_bad:
                dropped[fault[0]] += 1
            else:
                raise fault[1]
    return dropped


def _fault(
    path: Path, line: int, fields: list[str], dialect: Dialect, or_else: str = OR_DROP
) -> tuple[str, DataError] | None:
    """Why a record can't be read, in short and as an error; None if it can."""
    try:
        "".join(fields).encode()
    except UnicodeEncodeError:  # a surrogate, which stands for a byte that couldn't be decoded
        return NOT_UTF8, not_utf8(path, line, or_else)
    if len(fields) <= len(dialect.names):
        return None
    return TOO_LONG, DataError(
        f"{path} line {line}: {len(fields)} fields where there are {len(dialect.names)} columns; "
        f"quote the value that holds a {dialect.separator!r}{or_else}",
        code="row",
    )


def _place(path: Path, dialect: Dialect, row: int) -> str:
    """The line that a row starts on, and its number of fields if that explains what is wrong."""
    try:
        for number, (line, fields) in enumerate(_records(path, dialect)):
            if number == row:
                detail = f" ({len(fields)} of {len(dialect.names)} fields)"
                return f"line {line}" + (detail if len(fields) < len(dialect.names) else "")
    except DataError:
        pass  # this reader wants quotes around a carriage return, and polars doesn't
    return f"row {row + 1}"
