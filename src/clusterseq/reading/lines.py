"""The physical lines of a text file, compressed or not: for heads and for what goes wrong.

The fast path never comes here for more than a head; a fault is looked for line by line only once
it is known that there is one.

Knows nothing about: what a line holds.
"""

from __future__ import annotations

import gzip
import re
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl

from clusterseq.errors import DataError
from clusterseq.machine.files import FULL
from clusterseq.reading.table import reading

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
ZSTD_APART = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
"""What parallel programs such as pzstd begin their files with."""
KINDS = {b"PAR1": "Parquet", b"PK\x03\x04": "a zip or Excel file", b"SQLi": "an SQLite file"}
NOT_UTF8 = "not UTF-8"
OR_DROP = ", or drop such lines with --skip-bad"
MOST_TIMES, HARMLESS = 100, 2**26
"""How many times its size a file may unpack to, beyond bytes that do no harm: logs of events unpack
to 3 … 20 times theirs, and gzip can say a thousand bytes in one."""
NOT_CHARACTER = "\ufffd".encode()
"""What polars puts where bytes aren't UTF-8."""
AS_LINES: dict[str, Any] = {
    "has_header": False,
    "infer_schema": False,
    "separator": "\x01",
    "quote_char": None,
    "truncate_ragged_lines": True,
    "glob": False,
}
"""How polars reads whole lines."""
PIECE, GZIP_AT_MOST = 2**20, 1_032
"""Bytes unpacked at once, and how many times its size gzip can say."""


def raw_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file with their ends, decompressed if its first bytes say so.

    Raises:
        DataError: the file is missing, damaged or cut short.
    """
    with _unpacked(path) as file:
        yield from _through_polars(path) if file is None else file


def holds(path: Path, character: str) -> bool:
    """Whether a text file holds an ASCII character anywhere, unpacked if its first bytes say so.

    Raises:
        DataError: the file is missing, damaged or cut short.
    """
    with _unpacked(path) as file:
        if file is None:
            found = pl.first().str.contains(character, literal=True).any()
            rows = pl.scan_csv(path, encoding="utf8-lossy", **AS_LINES)
            return bool(rows.select(found).collect(engine="streaming").item())
        return any(character.encode() in piece for piece in _pieces(file))


def check_text(path: Path) -> None:
    """Refuse a binary file, whatever its name.

    Raises:
        DataError: the file is empty, missing, its head holds what no text holds, or it is small
            and would fill the memory once it is unpacked.
    """
    with reading(str(path), "text"), path.open("rb") as file:
        head = file.read(4096)
    if not head:
        raise DataError(f"{path}: the file is empty; give one with events in it")
    if head.startswith(GZIP):
        check_unpacked(path)
    if head.startswith((GZIP, ZSTD)):
        return
    if ZSTD_APART.match(head):
        raise DataError(
            f"{path}: Zstandard in parts that stand by themselves, which can't be read; unpack it "
            "first, for example with zstd -d"
        )
    kind = KINDS.get(head[:4])
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        kind = "UTF-16 text"
    if b"\r" in head and b"\n" not in head and head.count(b"\r") > 1:
        raise DataError(
            f"{path}: its lines end in carriage returns alone, as on old Macs; convert it, for "
            "example with tr '\\r' '\\n'"
        )
    if kind or b"\0" in head:
        raise DataError(
            f"{path}: not UTF-8 text but {kind or 'a binary file'}; give CSV, TSV, JSON lines "
            "or Parquet under a name that ends so"
        )


def check_unpacked(path: Path) -> None:
    """Unpack a file piece by piece and keep nothing; stop once the output is out of proportion.

    What gzip itself says of the size is its last part's alone, and anybody's to write.

    Raises:
        DataError: it unpacks to more than that, or is damaged.
    """
    packed = path.stat().st_size
    limit = max(HARMLESS, MOST_TIMES * packed)
    if packed * GZIP_AT_MOST <= limit:
        return
    with _unpacked(path) as file:
        assert file is not None, "asked of what gzip has packed alone"
        if any(size > limit for size in accumulate(map(len, _pieces(file)))):
            raise DataError(
                f"{path}: {packed:,} bytes that unpack to more than {limit:,}, as no log of "
                "events does; look at what is in it, and unpack it first if it is right"
            )


@contextmanager
def place_for_a_copy() -> Iterator[Path]:
    """Where some lines can be copied to, until they are read: memory holds none of them.

    It lies where ``TMPDIR`` says, or in the system's own place for such files.

    Raises:
        DataError: there is no room on the disk.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="clusterseq-") as folder:
            yield Path(folder) / "lines"
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise DataError(
            f"{tempfile.gettempdir()}: no room for a copy of the lines that can be read "
            f"({error.strerror}); free some, or name another place in TMPDIR",
            code="output",
        ) from error


def not_utf8(path: Path, line: int, or_else: str = OR_DROP) -> DataError:
    """The error for a line that isn't UTF-8."""
    return DataError(
        f"{path} line {line}: not UTF-8 text; convert the file, for example with "
        f"iconv -f latin1 -t utf-8{or_else}",
        code="row",
    )


@contextmanager
def _unpacked(path: Path) -> Iterator[BufferedIOBase | None]:
    """A file's bytes, decompressed if the first ones say so; None for Zstandard, which Python reads
    itself only from 3.14 on."""
    with reading(str(path), "text"), path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        try:
            if magic == ZSTD:
                yield None
            else:
                yield gzip.GzipFile(fileobj=file) if magic.startswith(GZIP) else file
        except zlib.error as error:
            raise OSError(str(error)) from error


def _pieces(file: BufferedIOBase) -> Iterator[bytes]:
    return iter(lambda: file.read(PIECE), b"")


def _through_polars(path: Path) -> Iterator[bytes]:
    """The lines of a file in Zstandard; what isn't UTF-8 stays so."""
    wrong = NOT_CHARACTER
    try:
        column = pl.read_csv(path, **AS_LINES).to_series()
    except pl.exceptions.ComputeError:
        column, wrong = pl.read_csv(path, encoding="utf8-lossy", **AS_LINES).to_series(), b"\xff"
    for line in column:
        yield (line or "").encode().replace(NOT_CHARACTER, wrong) + b"\n"
