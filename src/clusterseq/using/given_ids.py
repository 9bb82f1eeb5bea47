"""Raw ids as callers have them: lists, and the arrays, columns and tensors that libraries keep.

An id that isn't understood must not pass for one that the model doesn't know: an item that is to be
left out would be recommended.

Knows nothing about: which ids there are, what becomes of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral
from typing import Any

import polars as pl

from clusterseq.checks import shown
from clusterseq.errors import DataError
from clusterseq.reading.vocab import RawId

CONVERSIONS = ("tolist", "to_list", "to_pylist", "as_py")
"""What arrays, tensors, columns and their scalars call the way to Python's own values."""
MISSING = ("NAType", "NaTType")
"""What pandas writes for nothing, beside None and NaN."""


def histories_of(given: object) -> tuple[list[list[RawId]], bool]:
    """The histories, and whether it was a single one.

    Raises:
        DataError: it is neither a list of ids nor one of such lists.

    >>> histories_of([7.0, None]), histories_of([["a"], []])
    (([[7]], True), ([['a'], []], False))
    """
    rows = _entries(given, "history")
    nested = [isinstance(row, Iterable) and not isinstance(row, str | bytes) for row in rows]
    if not any(nested) and not _holds_lists(given):
        return [ids_of(rows, "history")], True
    if not all(nested):
        raise DataError("history mixes ids and lists; give one list of ids or a list of lists")
    return [ids_of(row, "history") for row in rows], False


def ids_of(given: object, name: str) -> list[RawId]:
    """The ids of whatever has an order and isn't a bare id; None and NaN are passed over.

    Raises:
        DataError: it is no list, or holds what is no id.

    >>> ids_of(pl.Series([1010.0, None]), "exclude")
    [1010]
    """
    return [raw for one in _entries(given, name) if (raw := _id_of(one, name)) is not None]


def _entries(given: object, name: str) -> list[Any]:
    values = _plain(given)
    if isinstance(values, str | bytes | int | float):
        raise DataError(f"{name} is the single value {values!r}; give a list: [{values!r}]")
    unordered = name == "history" and isinstance(values, set | frozenset | dict)
    if unordered or not isinstance(values, Iterable) or hasattr(given, "columns"):  # a data frame
        kind = type(given).__name__
        raise DataError(f"{name} is of type {kind}; give a list of item ids, oldest first")
    return [_plain(value) for value in values]


def _plain(value: Any) -> Any:
    """Python's own value or list, of what a library keeps."""
    if type(value) in (str, int):
        return value
    way = next((name for name in CONVERSIONS if hasattr(value, name)), None)
    return value if way is None else getattr(value, way)()


def _holds_lists(given: Any) -> bool:
    """Whether these are histories, also where there are none: so a table or a column says."""
    if getattr(given, "ndim", 1) > 1:
        return True
    of_polars = isinstance(getattr(given, "dtype", None), pl.List | pl.Array)
    return of_polars or hasattr(getattr(given, "type", None), "value_field")  # of Arrow


def _id_of(value: Any, name: str) -> RawId | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)  # as pandas keeps whole numbers where one is missing
    if isinstance(value, str | Integral) and not isinstance(value, bool):
        return value if isinstance(value, str) else int(value)
    nan = isinstance(value, float) and math.isnan(value)
    if value is None or nan or type(value).__name__ in MISSING:
        return None
    raise DataError(
        f"{name} holds {shown(value)}, which is no id; give strings and whole numbers alone"
    )
