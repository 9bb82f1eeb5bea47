"""Watchers of a training that keep its epochs in a file, or pass everything on to several others.

Knows nothing about: terminals, what is trained.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from clusterseq.machine.files import write_whole
from clusterseq.machine.progress import Watcher


class TrainingLog:
    """Keeps every epoch in a file of JSON lines, while the training runs."""

    def __init__(self, path: Path) -> None:
        """Begin a file that isn't there yet: a training without epochs has an empty log."""
        self._path = path
        path.touch()

    def step(self, stage: str, done: int, total: int) -> None:
        """Steps are too many to keep."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Add one line; an epoch that is run again, after a kill, takes the former one's place."""
        lines = self._path.read_text("utf-8").splitlines()
        earlier = takewhile(lambda line: not _same(json.loads(line), record), lines)
        added = json.dumps(record, ensure_ascii=False)
        write_whole(self._path, "".join(f"{line}\n" for line in (*earlier, added)).encode())


def _same(record: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(record[name] == other[name] for name in ("stage", "epoch"))


class CompositeWatcher:
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
