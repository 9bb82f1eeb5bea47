"""JSON lines: one object per line, such as Amazon's reviews of 2014 and 2023.

Integer ids stay integers; a column that mixes integers and strings becomes strings.

Knows nothing about: times, other formats.
"""

from __future__ import annotations

import glob
import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice, product
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import polars as pl

from clusterseq.errors import DataError
from clusterseq.reading.columns import Columns, quoted
from clusterseq.reading.lines import NOT_UTF8, check_text, not_utf8, place_for_a_copy, raw_lines
from clusterseq.reading.table import (
    Choose,
    Collect,
    Table,
    event_columns,
    in_memory,
    reading,
    row_number,
)

HEAD = 1000
NOT_JSON = "not a JSON object"
ID_KINDS = {str, int, float}
"""What an id may be; a truth value is none of these."""
UNUSABLE = {role: f"{role} unusable" for role in ("user", "item")}
"""Why lines whose ids are something else are left out."""
DOUBTFUL = r"\x00|^[\[{]|^(true|false)$"
Object: TypeAlias = dict[str, Any]
Dtype: TypeAlias = Any  # polars' own dtype classes confuse runtime type checkers


def read_json_lines(
    path: Path, choose: Choose, *, skip_bad: bool, collect: Collect = in_memory
) -> Table:
    """Read the user, item and time of a file of JSON lines.

    Raises:
        DataError: the file is missing, empty, damaged or binary, a column isn't found, or a line
            is no JSON object (such lines are left out and counted with ``skip_bad``).
    """
    check_text(path)
    head = dict(islice(_objects(path), HEAD))
    if not head:
        with place_for_a_copy() as copy:
            _copy_good_lines(path, copy, skip_bad=False)
        raise DataError(f"{path}: the file is empty; give one with events in it")
    columns = _columns(path, head, choose)
    candidates = [_dtypes(head, role, name) for role, name in columns.roles().items()]
    dropped: Counter[str] = Counter()
    with reading(str(path), "JSON lines"):
        rows: pl.DataFrame | None = None
        with suppress(pl.exceptions.ComputeError):
            rows = _scan(glob.escape(str(path)), columns, candidates, collect)
        if rows is None or _are_doubtful(rows):
            with place_for_a_copy() as copy:
                dropped = _copy_good_lines(path, copy, skip_bad=skip_bad, columns=columns)
                rows = _scan(glob.escape(str(copy)), columns, candidates, collect)
    return Table(str(path), columns, rows, lambda row: _place(path, row), dropped)


def _columns(path: Path, head: dict[int, Object], choose: Choose) -> Columns:
    """Choose among the keys of the head or, where that lacks one, among those of all objects."""
    names = dict.fromkeys(name for row in head.values() for name in row)
    if len(head) == HEAD:
        with suppress(DataError):
            columns = choose(list(names), str(path))
            if columns.time is not None:
                return columns
        names = dict.fromkeys(name for _, row in _objects(path) for name in row)
    return choose(list(names), str(path))


def _are_doubtful(rows: pl.DataFrame) -> bool:
    """Whether an id may be something else than the text that polars has made of it.

    Of half a character it makes a zero, and of lists, objects and truth values their JSON.
    """
    texts = [name for name in ("user", "item") if rows[name].dtype == pl.String]
    return any(rows[name].str.contains(DOUBTFUL).any() for name in texts)


def _scan(
    source: str, columns: Columns, candidates: list[list[Dtype]], collect: Collect
) -> pl.DataFrame:
    """Read with the first dtypes that fit all rows; text fits always."""
    *choices, last = product(*candidates)
    for dtypes in choices:
        with suppress(pl.exceptions.ComputeError):
            return collect(_scan_as(dtypes, source, columns))
    return collect(_scan_as(last, source, columns))


def _scan_as(dtypes: tuple[Dtype, ...], source: str, columns: Columns) -> pl.LazyFrame:
    schema = dict(zip(columns.names, dtypes, strict=True))
    frame = pl.scan_ndjson(source, schema=schema)
    return frame.select(*event_columns(columns), blank=pl.lit(False))


def _dtypes(head: dict[int, Object], role: str, name: str) -> list[Dtype]:
    """What to try for a column, by the values at the head of the file."""
    if role == "time":
        return [pl.String]
    kinds = {type(row[name]) for row in head.values() if name in row} & ID_KINDS
    if not kinds or str in kinds:
        return [pl.String]
    return [pl.Float64 if float in kinds else pl.Int64, pl.String]


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that aren't blank, numbered from 1: the rows as polars counts them."""
    return ((number, line) for number, line in enumerate(raw_lines(path), 1) if not line.isspace())


def _objects(path: Path) -> Iterator[tuple[int, Object]]:
    """The lines that are objects, with their numbers."""
    return ((line, parsed) for line, raw in _lines(path) if (parsed := _parsed(raw)) is not None)


def _parsed(line: bytes) -> Object | None:
    try:
        # Of bytes the library would take surrogates, and other encodings.
        text = line.removeprefix(BOM_UTF8).decode()
        parsed = json.loads(text, parse_constant=_refuse)
        if b"\\ud" in line.lower():  # half a character, which no text can hold
            json.dumps(parsed, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _copy_good_lines(
    path: Path, copy: Path, *, skip_bad: bool, columns: Columns | None = None
) -> Counter[str]:
    """Copy the lines that are JSON objects with ids, or raise at the first that isn't."""
    dropped = Counter[str]()
    with copy.open("wb") as good:
        for number, line in _lines(path):
            reason = _fault(line, columns)
            if reason is None:
                good.write(line.removeprefix(BOM_UTF8))
            elif skip_bad:
                dropped[reason] += 1
            else:
                raise _error(path, number, line, reason, columns)
    return dropped


def _error(path: Path, number: int, line: bytes, reason: str, columns: Columns | None) -> DataError:
    if columns and reason in UNUSABLE.values():
        role = next(role for role, text in UNUSABLE.items() if text == reason)
        value = (_parsed(line) or {})[columns.roles()[role]]
        return DataError(
            f"{path} line {number}: {role} {quoted(json.dumps(value))} is not a string or an "
            "integer; drop such lines with --skip-bad or name another column with "
            f"--{role}-column",
            code="row",
        )
    if reason == NOT_UTF8:
        return not_utf8(path, number)
    if line.lstrip().startswith(b"["):
        return DataError(
            f"{path} line {number}: a JSON array, not one object per line; convert it, for "
            "example with jq -c '.[]'"
        )
    return DataError(
        f"{path} line {number}: {quoted(line.decode().strip())} is not a JSON object; "
        "mend it or drop such lines with --skip-bad",
        code="row",
    )


def _fault(line: bytes, columns: Columns | None) -> str | None:
    try:
        line.decode()
    except UnicodeDecodeError:
        return NOT_UTF8
    if (parsed := _parsed(line)) is None:
        return NOT_JSON
    roles = {} if columns is None else columns.roles()
    reasons = (
        reason
        for role, reason in UNUSABLE.items()
        if role in roles and type(parsed.get(roles[role], "")) not in ID_KINDS | {type(None)}
    )
    return next(reasons, None)


def _place(path: Path, row: int) -> str:
    for index, (number, _) in enumerate(_lines(path)):
        if index == row:
            return f"line {number}"
    return row_number(row)
