"""Watchers of a training that keep its epochs in a file, or pass everything on to several others.

Knows nothing about: terminals, what is trained.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clusterseq.machine.progress import Watcher


class TrainingLog:
    """Appends every epoch to a file of JSON lines, while the training runs."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def step(self, stage: str, done: int, total: int) -> None:
        """Steps are too many to keep."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Add one line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


class Together:
    """Several watchers as one."""

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def step(self, stage: str, done: int, total: int) -> None:
        """Tell everyone."""
        for watcher in self._watchers:
            watcher.step(stage, done, total)

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Tell everyone."""
        for watcher in self._watchers:
            watcher.epoch(record)
