"""Configs from plain values, as TOML files, JSON and the command line give them.

A key that no field has is refused with the nearest known one, a value with what its field takes.

Knows nothing about: tensors, files of events, what the options do.
"""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from clusterseq.checks import shown, typed
from clusterseq.config import LATER, Config
from clusterseq.errors import ConfigError, nearest

T = TypeVar("T")


def from_dict(kind: type[T], values: Mapping[str, Any], *, base: T | None = None) -> T:
    """Build a config from plain values; fields that are absent keep those of ``base``.

    Raises:
        ConfigError: a key is unknown, or a value of another type or out of range.

    >>> from clusterseq.config import TrainConfig
    >>> from_dict(TrainConfig, {"clip": 1}).clip
    1.0
    >>> from_dict(TrainConfig, {"clips": 1})
    Traceback (most recent call last):
    clusterseq.errors.ConfigError: TrainConfig has no option "clips"; did you mean "clip"?
    """
    base = kind() if base is None else base
    known = typing.get_type_hints(kind)
    changes = {}
    for name, value in values.items():
        if name not in known:
            raise ConfigError(f'{kind.__name__} has no option "{name:.60}"; {nearest(name, known)}')
        changes[name] = _converted(known[name], value, name, getattr(base, name))
    return dataclasses.replace(base, **changes)  # type: ignore[type-var]


def saved_config(values: Mapping[str, Any]) -> Config:
    """The configuration that ``Config.to_dict`` wrote: what isn't named is as before it came.

    Raises:
        ConfigError: a key is unknown, or a value of another type or out of range.

    >>> saved_config({}).model.lifts, Config().model.lifts
    (False, True)
    """
    return from_dict(Config, values, base=from_dict(Config, LATER))


def read_toml(path: str | Path, *, base: Config | None = None) -> Config:
    """Read a TOML file with the tables ``[data]``, ``[model]`` and ``[train]``.

    Raises:
        ConfigError: the file is missing, not TOML, or holds an unknown key or a wrong value.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name a TOML file that exists") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML ({error}); mend that line") from error
    try:
        return from_dict(Config, values, base=base)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _converted(kind: Any, value: Any, name: str, current: Any) -> Any:
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise ConfigError(f'"{name}" is a table, not {shown(value)}; write [{name}]')
        return from_dict(typing.cast(type[Any], kind), value, base=current)
    return typed(kind, name, value)
