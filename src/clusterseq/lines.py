"""The physical lines of a text file, compressed or not: for heads and for what goes wrong.

The fast path never comes here for more than a head; a fault is looked for line by line only once
it is known that there is one.

Knows nothing about: what a line holds.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from clusterseq.errors import DataError
from clusterseq.table import reading

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
KINDS = {b"PAR1": "Parquet", b"PK\x03\x04": "a zip or Excel file", b"SQLi": "an SQLite file"}
NOT_UTF8 = "not UTF-8"


def raw_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file with their ends, decompressed if its first bytes say so.

    Raises:
        DataError: the file is missing, damaged or cut short.
    """
    with reading(str(path), "text"), path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic.startswith(GZIP):
            try:
                yield from gzip.GzipFile(fileobj=file)
            except zlib.error as error:
                raise OSError(str(error)) from error
        elif magic == ZSTD:
            yield from _through_polars(path)
        else:
            yield from file


def check_text(path: Path) -> None:
    """Refuse a binary file, whatever its name.

    Raises:
        DataError: the file is empty, missing, or its head holds what no text holds.
    """
    with reading(str(path), "text"), path.open("rb") as file:
        head = file.read(4096)
    if not head:
        raise DataError(f"{path}: the file is empty; give one with events in it")
    if head.startswith((GZIP, ZSTD)):
        return
    kind = KINDS.get(head[:4])
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        kind = "UTF-16 text"
    if kind or b"\0" in head:
        raise DataError(
            f"{path}: not UTF-8 text but {kind or 'a binary file'}; give CSV, TSV, JSON lines "
            "or Parquet under a name that ends so"
        )


def not_utf8(path: Path, line: int) -> DataError:
    """The error for a line that isn't UTF-8."""
    return DataError(
        f"{path} line {line}: not UTF-8 text; convert the file, for example with "
        "iconv -f latin1 -t utf-8, or drop such lines with --skip-bad"
    )


def _through_polars(path: Path) -> Iterator[bytes]:
    """Zstandard, which Python reads itself only from 3.14 on."""
    column = pl.read_csv(
        path,
        has_header=False,
        infer_schema=False,
        separator="\x01",
        quote_char=None,
        encoding="utf8-lossy",
        truncate_ragged_lines=True,
        glob=False,
    ).to_series()
    for line in column:
        yield (line or "").encode() + b"\n"
