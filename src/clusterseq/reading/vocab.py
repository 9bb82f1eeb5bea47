"""The one place where raw ids and the integers 0 … n-1 meet, for users and for items alike.

Ids are all strings or all integers and come back exactly as they went in. Their order is canonical
(strings by code point, integers by value), so a vocabulary depends on the set of ids alone.

Knows nothing about: events, files, models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from numbers import Integral
from typing import TypeAlias, TypeGuard

import numpy as np
import polars as pl
from jaxtyping import Int32, Integer

from clusterseq.errors import DataError

RawId: TypeAlias = str | int
UNKNOWN = -1


class Vocabulary:
    """Unique raw ids in canonical order; the index of an id is its place in that order.

    >>> vocab = Vocabulary.from_ids(["b", "a", "b", "007"])
    >>> vocab.ids
    ['007', 'a', 'b']
    >>> vocab.encode(["b", "never seen"]).tolist()
    [2, -1]
    >>> vocab.decode([2, 0])
    ['b', '007']
    """

    def __init__(self, series: pl.Series) -> None:
        """Trust ``series`` to be unique, sorted, free of nulls, and Int64 or String."""
        self._series = series.rename("id")

    @classmethod
    def from_ids(cls, ids: pl.Series | Iterable[object]) -> Vocabulary:
        """Collect the distinct ids, in any order and with any repetition.

        Raises:
            DataError: an id is null or empty, or the ids are neither all strings nor all integers.
        """
        series = ids if isinstance(ids, pl.Series) else _series_of(list(ids))
        if series.dtype != pl.String:
            series = _as_int64(series)
        if series.null_count() or (series.dtype == pl.String and (series == "").any()):
            raise DataError("an id is empty or null; drop it or give it a name")
        return cls(series.unique().sort())

    @property
    def ids(self) -> list[RawId]:
        """All raw ids, in the order of their indices."""
        return self._series.to_list()

    @property
    def series(self) -> pl.Series:
        """All raw ids as one column, in the order of their indices."""
        return self._series

    @property
    def is_integer(self) -> bool:
        """True if the ids are integers, False if they are strings."""
        return self._series.dtype == pl.Int64

    def __len__(self) -> int:
        return len(self._series)

    def __contains__(self, raw: object) -> bool:
        return self._find(raw) != UNKNOWN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._series.equals(
            other._series, check_dtypes=True
        )

    __hash__ = None  # type: ignore[assignment]  # equal by content, so not for use as a key

    def __repr__(self) -> str:
        kind = "integer" if self.is_integer else "string"
        return f"Vocabulary({len(self)} {kind} ids)"

    def encode(self, ids: Iterable[object]) -> Int32[np.ndarray, " ids"]:
        """Indices of raw ids, -1 for an unknown one.

        Lenient between kinds: "12" finds the integer 12 and 12 finds the string "12", but "012"
        doesn't find 12. Booleans, floats and None are never known.

        >>> Vocabulary.from_ids([12, 7]).encode([7, "12", "012", None, True]).tolist()
        [0, 1, -1, -1, -1]
        """
        return np.array([self._find(raw) for raw in ids], dtype=np.int32)

    def encode_series(self, ids: pl.Series) -> Int32[np.ndarray, " ids"]:
        """The same as ``encode`` for a whole column of strings or integers, without a loop.

        >>> Vocabulary.from_ids(["a", "12"]).encode_series(pl.Series([12, None, 5])).tolist()
        [0, -1, -1]
        """
        column = self._same_kind(ids).alias("id").to_frame()
        indices = pl.int_range(len(self), dtype=pl.Int32, eager=True).alias("index")
        matches = column.join(
            self._series.to_frame().with_columns(indices),
            on="id",
            how="left",
            maintain_order="left",
        )
        codes: Int32[np.ndarray, " ids"] = matches["index"].fill_null(UNKNOWN).to_numpy()
        return codes

    def decode(self, indices: Integer[np.ndarray, " n"] | Sequence[int]) -> list[RawId]:
        """Raw ids of indices.

        Raises:
            IndexError: an index is not in 0 … n-1.
        """
        return self._gather(indices).to_list()

    def select(self, indices: Integer[np.ndarray, " n"] | Sequence[int]) -> Vocabulary:
        """The smaller vocabulary of some indices, given in ascending order.

        >>> Vocabulary.from_ids(["a", "b", "c"]).select([0, 2]).ids
        ['a', 'c']
        """
        return Vocabulary(self._gather(indices))

    def joined(self, other: Vocabulary) -> Vocabulary:
        """The vocabulary of the ids of both.

        >>> Vocabulary.from_ids(["a", "c"]).joined(Vocabulary.from_ids(["b", "c"])).ids
        ['a', 'b', 'c']

        Raises:
            DataError: the ids of one are integers and those of the other strings.
        """
        self.require_kind_of(other)
        return Vocabulary(pl.concat([self._series, other._series]).unique().sort())

    def require_kind_of(self, other: Vocabulary) -> None:
        """Refuse ids of events that are of another kind than these of a model.

        Raises:
            DataError: the ids of one are integers and those of the other strings.
        """
        if self.is_integer != other.is_integer:
            kinds = {True: "integers", False: "strings"}
            raise DataError(
                f"the model's item ids are {kinds[self.is_integer]} and the events' are "
                f"{kinds[other.is_integer]}; bring them to one kind (in text files all are strings)"
            )

    def _gather(self, indices: Integer[np.ndarray, " n"] | Sequence[int]) -> pl.Series:
        array = np.asarray(indices, dtype=np.int64)
        if len(array) and not 0 <= array.min() <= array.max() < len(self):
            raise IndexError(f"index outside 0 … {len(self) - 1}")
        return self._series.gather(array)

    @cached_property
    def _indices(self) -> dict[RawId, int]:
        return {raw: index for index, raw in enumerate(self._series.to_list())}

    def _find(self, raw: object) -> int:
        if not _is_raw_id(raw):
            return UNKNOWN
        if isinstance(raw, str) == self.is_integer:
            raw = _other_kind(raw)
        return UNKNOWN if raw is None else self._indices.get(raw, UNKNOWN)

    def _same_kind(self, ids: pl.Series) -> pl.Series:
        if ids.dtype.is_integer():
            return ids.cast(pl.Int64 if self.is_integer else pl.String, strict=False)
        if ids.dtype != pl.String:
            return pl.Series([None] * len(ids), dtype=self._series.dtype)
        if not self.is_integer:
            return ids
        numbers = ids.cast(pl.Int64, strict=False)
        return numbers.set(numbers.cast(pl.String) != ids, None)


def _series_of(ids: list[object]) -> pl.Series:
    kinds = {str if isinstance(raw, str) else int for raw in ids if _is_raw_id(raw)}
    if not all(_is_raw_id(raw) for raw in ids) or len(kinds) > 1:
        raise DataError("ids must be all strings or all integers; convert them to strings first")
    invalid = DataError("an id is not a 64-bit integer or not valid text; rename it")
    if kinds == {int} and not -(2**63) <= min(ids) <= max(ids) < 2**63:  # type: ignore[type-var,operator]
        raise invalid
    try:
        return pl.Series(ids, dtype=pl.Int64 if kinds == {int} else pl.String)
    except (OverflowError, TypeError, UnicodeError) as error:
        raise invalid from error


def _as_int64(series: pl.Series) -> pl.Series:
    if not series.dtype.is_integer():
        raise DataError(f"ids must be strings or integers, not {series.dtype}; convert them first")
    try:
        return series.cast(pl.Int64)
    except pl.exceptions.InvalidOperationError as error:
        raise DataError("an integer id exceeds 2^63 - 1; convert the ids to strings") from error


def _is_raw_id(raw: object) -> TypeGuard[RawId]:
    return isinstance(raw, str | Integral) and not isinstance(raw, bool)


def _other_kind(raw: RawId) -> RawId | None:
    try:
        if not isinstance(raw, str):
            return str(raw)
        number = int(raw)
    except ValueError:  # no number, or one of more digits than Python reads and writes
        return None
    return number if str(number) == raw else None
