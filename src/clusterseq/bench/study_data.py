"""The data sets of a study: files of a folder, the bundled film ratings, or made-up people.

Knows nothing about: models, results.
"""

from __future__ import annotations

import io
from importlib.resources import files
from pathlib import Path

import numpy as np
import polars as pl

from clusterseq.bench.datasets import BenchData
from clusterseq.bench.planted import World
from clusterseq.bench.results import SPLITS
from clusterseq.bench.study import Study
from clusterseq.machine.files import write_whole
from clusterseq.reading.sources import of_events

BUNDLED = Path(str(files("clusterseq"))) / "data" / "movietweetings.parquet"
PLANTED = "planted"
SHARES, OWN_ITEMS, SHARED_ITEMS = (0.9, 0.1), 120, 40
"""Nine people of ten are of the first kind; each kind has items of its own, and some are shared."""
USERS, SHORTEST, LONGEST = 6_000, 4, 10


def find(study: Study, folder: Path | None, out: Path) -> tuple[list[BenchData], list[str]]:
    """The data sets that there are, and the names of those that there aren't.

    Made-up people are written into ``out`` first, the same ones every time, and among its splits,
    so that it counts as a store of results from then on.
    """
    datasets, missing = [], []
    for text in study.data:
        name, _, split = text.rpartition(":")
        path = _path_of(name, folder, out)
        if path is None:
            missing.append(name)
        else:
            datasets.append(BenchData.parse(f"{path}:{split}", split))
    return datasets, missing


def _path_of(name: str, folder: Path | None, out: Path) -> Path | None:
    if name == PLANTED:
        return _planted(out / SPLITS / f"{PLANTED}.parquet")
    for file in sorted(of_events(folder.glob(f"{name}.*"))) if folder is not None else ():
        if BenchData(str(file), "random").name == name:
            return file
    return BUNDLED if BUNDLED.stem == name else None


def _planted(path: Path) -> Path:
    """People of a common and a rare kind, as events."""
    if not path.exists():
        draws = np.random.default_rng(0)
        world = World.of(SHARES, OWN_ITEMS, SHARED_ITEMS, draws)
        people = world.draw(USERS, SHORTEST, LONGEST, draws).sequences
        events = {"user": people.user_of_event, "item": people.items, "time": people.times}
        content = io.BytesIO()
        pl.DataFrame(events).write_parquet(content)
        write_whole(path, content.getvalue())
    return path
