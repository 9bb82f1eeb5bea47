"""Values refused where they can't be used, and the plain Python numbers that others stand for.

Knows nothing about: which options there are, what they do.
"""

from __future__ import annotations

import dataclasses
import operator
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal

from clusterseq.errors import ConfigError

LARGEST, WIDEST = 2**63 - 1, 1e38
"""Bounds of whole numbers and others: what arrays count in, and what single precision holds."""
ACCEPTS: Mapping[Any, Callable[[Any], bool]] = {
    bool: lambda v: isinstance(v, bool),
    int: lambda v: type(v) is int and abs(v) <= LARGEST,
    float: lambda v: type(v) in (int, float) and abs(v) <= WIDEST,
    str: lambda v: isinstance(v, str),
}
NOUNS = {bool: "true or false", int: "a whole number", str: "a name"}


def require(holds: bool, name: str, value: Any, wanted: str) -> None:
    """Refuse an option's value that can't be used.

    Raises:
        ConfigError: ``holds`` is false.
    """
    if not holds:
        raise ConfigError(f"{name} = {shown(value)} can't be used; give {wanted}")


def shown(value: Any) -> str:
    """A value in an error, on one line, however long it is."""
    try:
        return " ".join(f"{value!r:.60}".split())
    except ValueError:  # Python refuses to write so long a number
        return "a number of thousands of digits"


def typed(kind: Any, name: str, value: Any) -> Any:
    """An option's value as its field takes it; whole numbers serve where others may stand.

    Raises:
        ConfigError: it is of another type, no choice of the field, or beyond what arrays hold.

    >>> typed(float, "clip", 1)
    1.0
    """
    if dataclasses.is_dataclass(kind):
        wanted = f"a {typing.cast(type[Any], kind).__name__}"
        require(isinstance(value, typing.cast(type[Any], kind)), name, value, wanted)
        return value
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        known = isinstance(value, str) and value in choices
        require(known, name, value, "one of " + ", ".join(map(str, choices)))
        return value
    require(ACCEPTS[kind](value), name, value, NOUNS.get(kind, "a number up to 1e38"))
    return kind(value)


def unwrapped(kind: Any, value: Any) -> Any:
    """What computing has left of a number: a scalar of NumPy, or for a whole one a float.

    >>> unwrapped(int, 20.0), unwrapped(int, 2.5), unwrapped(float, 2.0)
    (20, 2.5, 2.0)
    """
    if hasattr(value, "item") and not getattr(value, "shape", True):
        value = value.item()
    return int(value) if kind is int and type(value) is float and value.is_integer() else value


def whole(name: str, value: Any, least: int = 0) -> int:
    """A count or a seed as Python counts, whatever counted it.

    Raises:
        ConfigError: it is no whole number, or below ``least``.

    >>> whole("k", 3, least=1)
    3
    """
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = least - 1
    require(least <= number <= LARGEST, name, value, f"a whole number, {least} or more")
    return number
