"""What items are called, read from a file of items.

Knows nothing about: catalogues, models.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from clusterseq.errors import DataError
from clusterseq.reading.columns import ITEM_ALIASES, by_alias, listed
from clusterseq.reading.delimited import SEPARATORS, strict_rows
from clusterseq.reading.identifiers import identifiers
from clusterseq.reading.lines import check_unpacked, raw_lines
from clusterseq.reading.sources import JSON_LINES, PARQUET, suffix_of
from clusterseq.reading.vocab import UNKNOWN, Vocabulary

TITLE_ALIASES = (
    "title",
    "name",
    "itemname",
    "itemtitle",
    "productname",
    "producttitle",
    "movietitle",
)
"""Names of the column of titles, compared as those of events are."""


def read_titles(path: str | Path) -> pl.DataFrame:
    """Read the columns ``item`` and ``title`` of a file.

    It may be CSV, TSV, JSON lines, Parquet, or RecBole's ``.item``.

    Raises:
        DataError: the file is missing or can't be read, a column isn't found, or a line of CSV or
            TSV has too many fields or a wrong quote.
    """
    file = Path(path)
    try:
        if separator := _separator(file):
            return _from_text(file, separator)
        frame = _scan(file)
        names = frame.collect_schema().names()
        item = _column(file, names, "item", ITEM_ALIASES)
        title = _column(file, names, "title", TITLE_ALIASES)
        return frame.select(item=item, title=pl.col(title).cast(pl.String)).collect()
    except FileNotFoundError as error:
        raise DataError(f"{file}: no such file; check the path") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
        raise DataError(f"{file}: titles can't be read ({reason}); check the file") from error


def titles_of(rows: pl.DataFrame, items: Vocabulary) -> list[str | None]:
    """The first title of each item of a catalogue; None where the table has none.

    >>> rows = pl.DataFrame({"item": [7, 9, 7], "title": ["Seven", "Nine", "Again"]})
    >>> titles_of(rows, Vocabulary.from_ids([7, 8]))
    ['Seven', None]
    """
    titles: list[str | None] = [None] * len(items)
    codes = items.encode_series(identifiers(rows["item"]))
    pairs = list(zip(codes.tolist(), rows["title"].to_list(), strict=True))
    for code, title in reversed(pairs):
        if code != UNKNOWN and title is not None:
            titles[code] = title
    return titles


def _scan(path: Path) -> pl.LazyFrame:
    if path.suffix.lower() == ".gz":
        check_unpacked(path)
    suffix = suffix_of(path)
    if suffix in PARQUET:
        return pl.scan_parquet(path, glob=False)
    if suffix in JSON_LINES:
        return pl.scan_ndjson(path, infer_schema_length=None)  # titles may be rare
    raise DataError(f"{path}: unknown kind of file; give titles as CSV, TSV, JSON lines or Parquet")


def _from_text(path: Path, separator: str) -> pl.DataFrame:
    if not path.stat().st_size:
        raise OSError("the file is empty")
    names, rows = strict_rows(path, separator)
    item = names.index(_column(path, names, "item", ITEM_ALIASES))
    title = names.index(_column(path, names, "title", TITLE_ALIASES))
    pairs = [(row[item] or None, row[title] or None) for row in rows]
    return pl.DataFrame(pairs, {"item": pl.String, "title": pl.String}, orient="row")


def _separator(path: Path) -> str | None:
    """What stands between the names in the first line most often, else what the ending says; None
    if it says another format."""
    suffix = suffix_of(path)
    if suffix == ".item":
        return "\t"
    if suffix not in (".csv", ".tsv", ".tab", ".txt"):
        return None
    default = "," if suffix == ".csv" else "\t"
    header = next((line for line in raw_lines(path) if line.strip()), b"")
    text = header.decode("utf-8", "replace")
    return max(default + SEPARATORS, key=text.count)


def _column(path: Path, names: Sequence[str], role: str, aliases: Sequence[str]) -> str:
    column = by_alias(aliases, names)
    if column is None:
        raise DataError(
            f"{path}: no {role} column among {listed(names)}; rename one to {role}", code="columns"
        )
    return column
