"""Recommendations for a whole file of newcomers, written as they come.

The input is an event log like any other, so a person's rows may stand anywhere in it: it is read
and grouped first, as integers, on the disk. Scores are computed for a few hundred people at a time
and written part by part, here or on many machines, so that memory doesn't grow with people × k. The
output appears whole or not at all, and is the same whoever computed it.

Knows nothing about: terminals, how a model scores.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from clusterseq.checks import whole
from clusterseq.data.dataset import Data, Dataset, dataset_of
from clusterseq.data.shards import people_of, read_arrow, sequences_of, write_arrow
from clusterseq.data.split import all_new
from clusterseq.errors import ConfigError, DataError
from clusterseq.machine.directory import scratch
from clusterseq.machine.files import put_in_place
from clusterseq.machine.mapping import Mapper, one_by_one
from clusterseq.machine.progress import Progress
from clusterseq.model.retrieval import NOTHING
from clusterseq.reading.events import Events, read_events
from clusterseq.reading.sources import Source
from clusterseq.reading.vocab import RawId
from clusterseq.using.overwriting import refuse_overwriting
from clusterseq.using.recommender import Recommender

ROWS_PER_PART = 200_000
"""Recommendations that are written together."""
HISTORIES, PARTS = "histories.arrow", "parts"
WRITERS: Mapping[str, Callable[[pl.LazyFrame, Path], Any]] = {
    ".parquet": lambda rows, path: rows.sink_parquet(path),
    ".csv": lambda rows, path: rows.sink_csv(path),
    ".jsonl": lambda rows, path: rows.sink_ndjson(path),
}


@dataclass(frozen=True)
class BatchSummary:
    """What was written."""

    users: int
    """People in the input."""
    rows: int
    """Recommendations, at most k for each."""
    coverage: float
    """Share of the input's events whose item the model knows."""


@dataclass(frozen=True)
class _Part:
    """Some people whose recommendations are written together."""

    number: int
    start: int
    stop: int


@dataclass(frozen=True)
class _Work:
    """Recommends to the people of a part, here or wherever it is sent; a part twice is the same."""

    recommender: Recommender
    folder: Path
    k: int
    allowed: np.ndarray
    filter_seen: bool

    def __call__(self, part: _Part) -> _Part:
        """Write the recommendations of a part."""
        people = read_arrow(self.folder / HISTORIES).slice(part.start, part.stop - part.start)
        name = f"{part.number:08}.parquet"
        draft = self.folder / f".{name}.{os.getpid()}"
        self._recommended(people).write_parquet(draft)
        draft.replace(self.folder / PARTS / name)
        return part

    def _recommended(self, people: pl.DataFrame) -> pl.DataFrame:
        best = self.recommender.best(
            [*sequences_of(people)],
            k=self.k,
            allowed=torch.from_numpy(self.allowed),
            filter_seen=self.filter_seen,
        )
        codes = best.items.numpy()
        row, column = np.nonzero(codes != NOTHING)
        return pl.DataFrame(
            {
                "user": people["id"].gather(row),
                "rank": (column + 1).astype(np.int32),
                "item": self.recommender.items.series.gather(codes[row, column]),
                "score": best.scores.numpy()[row, column],
            }
        )


def recommend_file(
    recommender: Recommender,
    source: Data | Source,
    output: str | Path,
    *,
    k: int = 10,
    exclude: Iterable[RawId] = (),
    only: Iterable[RawId] | None = None,
    filter_seen: bool = True,
    user_column: str | None = None,
    item_column: str | None = None,
    time_column: str | None = None,
    skip_bad: bool = False,
    mapper: Mapper = one_by_one,
    progress: Progress | None = None,
) -> BatchSummary:
    """Write ``user, rank, item, score`` for everyone in a log of events, ``k`` rows each.

    The output is Parquet, CSV or JSON lines by its ending (.parquet, .csv, .jsonl). Users stand in
    the canonical order of their ids; somebody with unknown items only gets what an empty history
    gets.

    Args:
        source: a file of newcomers or a data frame, what ``read_events`` gives for one, or a data
            set.
        user_column: where users stand, if that isn't recognised; likewise items and times.
        skip_bad: pass over rows that can't be used; else the first is an error.
        mapper: what runs the parts; with ``clusterseq.machine.mapping.by_ray`` many machines do,
            which must all see the output's folder and the model's.
        progress: called with the people done and all people after every part.

    Raises:
        ConfigError: ``k`` is no whole number or below 1, or the output's ending is unknown.
        DataError: the input can't be read, or the output can't be written or is the input.
    """
    k, allowed = whole("k", k, least=1), recommender.allowed(exclude, only).numpy()
    columns = {"user_column": user_column, "item_column": item_column, "time_column": time_column}
    with _writing(Path(output)) as folder:
        if not isinstance(source, Events | Dataset):
            refuse_overwriting(source, Path(output))
            source = read_events(source, **columns, skip_bad=skip_bad)
        dataset = dataset_of(source)
        sequences, coverage = all_new(dataset, recommender.items)
        write_arrow(folder / HISTORIES, people_of(dataset.users.series, sequences))
        work = _Work(recommender, folder, k, allowed, filter_seen)
        done = 0
        for part in mapper(work, _parts(len(sequences), k)):
            done += part.stop - part.start
            if progress:
                progress(done, len(sequences))
        rows = pl.scan_parquet(folder / PARTS).select(pl.len()).collect().item()
    return BatchSummary(len(dataset.users), rows, coverage)


def _parts(people: int, k: int) -> list[_Part]:
    """As many people in each as there are rows to be written together."""
    size = max(1, ROWS_PER_PART // k)
    return [
        _Part(number, start, min(start + size, people))
        for number, start in enumerate(range(0, people, size))
    ]


def check_output(output: Path) -> None:
    """Refuse a file that can't be written so, before anything is read for it.

    Raises:
        ConfigError: its ending is unknown.
        DataError: it is a directory.
    """
    if output.suffix.lower() not in WRITERS:
        endings = ", ".join(WRITERS)
        raise ConfigError(
            f"{output}: unknown ending; write to a name that ends in {endings}", code="output"
        )
    if output.is_dir():
        raise DataError(f"{output}: is a directory; name a file", code="output")


@contextmanager
def _writing(output: Path) -> Iterator[Path]:
    """A folder whose Parquet parts become the output if the block ends well."""
    check_output(output)
    write = WRITERS[output.suffix.lower()]
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        target = output.resolve()
        with scratch(target) as folder:
            (folder / PARTS).mkdir()
            yield folder
            joined = folder / "whole"
            write(pl.scan_parquet(sorted((folder / PARTS).iterdir())), joined)
            put_in_place(joined, target)
    except OSError as error:
        raise DataError(
            f"{output}: {error.strerror or error}; free some room or name a place that can be "
            "written",
            code="output",
        ) from error
