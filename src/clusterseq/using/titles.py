"""Titles as callers have them, brought to one form before anything is done for them.

Knows nothing about: files of titles, catalogues, models.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import polars as pl

from clusterseq.errors import DataError

Titles: TypeAlias = pl.DataFrame | Any
"""A data frame of polars, pandas or Arrow with the columns item and title."""
COLUMNS = ("item", "title")


def titles_frame(titles: Titles) -> pl.DataFrame:
    """The columns item and title, titles as text.

    Raises:
        DataError: it is no data frame, lacks a column, or holds titles that are no text.

    >>> titles_frame(pl.DataFrame({"title": ["Seven"], "item": [7]})).rows()
    [(7, 'Seven')]
    """
    frame = _polars(titles)
    absent = [name for name in COLUMNS if name not in frame.columns]
    if absent:
        raise DataError(
            f"titles: no column {absent[0]} among {', '.join(frame.columns) or 'none'}; "
            f"rename one to {absent[0]}",
            code="columns",
        )
    kind = frame["title"].dtype
    if isinstance(kind, pl.Categorical | pl.Enum | pl.Null):
        frame = frame.with_columns(pl.col("title").cast(pl.String))
    elif kind != pl.String:
        raise DataError(f"titles: the column title holds {kind}; give text")
    return frame.select(COLUMNS)


def _polars(titles: Titles) -> pl.DataFrame:
    try:
        if isinstance(titles, pl.LazyFrame):
            return titles.collect()
        if type(titles).__module__.partition(".")[0] == "pandas":
            return pl.DataFrame(pl.from_pandas(titles))
        if hasattr(titles, "__arrow_c_stream__"):
            return pl.DataFrame(titles)
    except Exception as error:  # each library has errors of its own for a column of many kinds
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"titles can't be read ({reason}); give text in every row") from error
    raise DataError(
        f"titles can't be read from {type(titles).__name__}; give a data frame with the columns "
        "item and title"
    )
