"""A column of raw ids as strings or 64-bit integers, whatever the file stored them as.

Knows nothing about: files, vocabularies.
"""

from __future__ import annotations

import polars as pl

EXACT = 2.0**53
"""From here on a float may stand for an integer beside it."""
UUID = r"^(.{8})(.{4})(.{4})(.{4})(.{12})$"


def identifiers(column: pl.Series) -> pl.Series:
    """Ids as String or Int64; what is neither a string nor an integer becomes null, as does "".

    Whole floats count as integers, since pandas stores integers so where one is missing, and so do
    whole decimals, as databases keep them. 16 bytes are a UUID, and become its text.

    >>> identifiers(pl.Series(["007", ""])).to_list()
    ['007', None]
    >>> identifiers(pl.Series([12.0, 1.5, None])).to_list()
    [12, None, None]
    """
    column = plain_values(column)
    if column.dtype == pl.String:
        return column.set(column == "", None)
    if column.dtype.is_integer():
        return column.cast(pl.Int64, strict=False)
    if column.dtype.is_float():
        whole = (column == column.round()) & (column.abs() < EXACT)
        return column.set(~whole.fill_null(False), None).cast(pl.Int64)
    if column.dtype.is_decimal():
        return column.set((column % 1 != 0).fill_null(True), None).cast(pl.Int64, strict=False)
    if column.dtype == pl.Binary:
        return _uuids(column)
    return pl.Series(column.name, [None] * len(column), dtype=pl.String)


def plain_values(column: pl.Series) -> pl.Series:
    """A column without what a database or a package says of it: its words or numbers themselves.

    >>> plain_values(pl.Series(["a"], dtype=pl.Categorical)).dtype
    String
    """
    if isinstance(column.dtype, pl.BaseExtension):  # such as PostgreSQL's numeric, which is text
        column = column.ext.storage()
    return column.cast(pl.String) if column.dtype in (pl.Categorical, pl.Enum) else column


def _uuids(column: pl.Series) -> pl.Series:
    parts = column.bin.encode("hex").str.extract_groups(UUID).struct.unnest()
    return parts.select(pl.concat_str(pl.all(), separator="-")).to_series().alias(column.name)


def stacked(columns: list[pl.Series]) -> pl.Series:
    """Several columns of ids one below the other; strings all if any of them holds strings.

    >>> stacked([pl.Series([1, 2]), pl.Series(["a"])]).to_list()
    ['1', '2', 'a']
    """
    kinds = {column.dtype for column in columns if column.null_count() < len(column)}
    kind = pl.Int64 if kinds <= {pl.Int64()} and kinds else pl.String
    return pl.concat([column.cast(kind) for column in columns])
