"""What a long computation tells of itself, to whoever watches.

Knows nothing about: terminals, files, what is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

Progress: TypeAlias = Callable[[int, int], None]
"""Told what is done and how much there is in all."""
StageProgress: TypeAlias = Callable[[str, int, int], None]
"""The same of several things, each by its name."""


@runtime_checkable
class Watcher(Protocol):
    """Somebody who shows or keeps the progress of a training."""

    def step(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` steps of a stage are behind us."""
        ...

    def epoch(self, record: Mapping[str, Any]) -> None:
        """An epoch has ended; the record is plain numbers and strings, fit for a line of JSON."""
        ...


class Silent:
    """A watcher that looks away."""

    def step(self, stage: str, done: int, total: int) -> None:
        """Do nothing."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Do nothing."""


class Renamed:
    """Passes everything on to another watcher, some stages under another name."""

    def __init__(self, watcher: Watcher, names: Mapping[str, str]) -> None:
        self._watcher, self._names = watcher, names

    def step(self, stage: str, done: int, total: int) -> None:
        """Tell the other."""
        self._watcher.step(self._names.get(stage, stage), done, total)

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Tell the other."""
        stage = record["stage"]
        self._watcher.epoch({**record, "stage": self._names.get(stage, stage)})
