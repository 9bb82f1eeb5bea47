"""A column of raw ids as strings or 64-bit integers, whatever the file stored them as.

Knows nothing about: files, vocabularies.
"""

from __future__ import annotations

import polars as pl

EXACT = 2.0**53


def identifiers(column: pl.Series) -> pl.Series:
    """Ids as String or Int64; what is neither a string nor an integer becomes null, as does "".

    Whole floats count as integers, since pandas stores integers so where one is missing.

    >>> identifiers(pl.Series(["007", ""])).to_list()
    ['007', None]
    >>> identifiers(pl.Series([12.0, 1.5, None])).to_list()
    [12, None, None]
    """
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    if column.dtype == pl.String:
        return column.set(column == "", None)
    if column.dtype.is_integer():
        return column.cast(pl.Int64, strict=False)
    if column.dtype.is_float():
        whole = (column == column.round()) & (column.abs() <= EXACT)
        return column.set(~whole.fill_null(False), None).cast(pl.Int64)
    return pl.Series(column.name, [None] * len(column), dtype=pl.String)


def stacked(columns: list[pl.Series]) -> pl.Series:
    """Several columns of ids one below the other; strings all if any of them holds strings.

    >>> stacked([pl.Series([1, 2]), pl.Series(["a"])]).to_list()
    ['1', '2', 'a']
    """
    kinds = {column.dtype for column in columns if column.null_count() < len(column)}
    kind = pl.Int64 if kinds <= {pl.Int64()} and kinds else pl.String
    return pl.concat([column.cast(kind) for column in columns])
