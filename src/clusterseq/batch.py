"""Recommendations for a whole file of newcomers, written as they come.

The input is an event log like any other, so a person's rows may stand anywhere in it: it is read
and grouped first, as integers. Scores are computed for a few hundred people at a time and written
part by part, so that memory doesn't grow with people × k. The output appears whole or not at all.

Knows nothing about: terminals, how a model scores.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from clusterseq.dataset import Dataset
from clusterseq.errors import ConfigError, DataError
from clusterseq.events import Events, read_events
from clusterseq.recommender import SCORES_AT_ONCE, Codes, Recommender
from clusterseq.retrieval import NOTHING, TopK
from clusterseq.sequences import Sequences
from clusterseq.sources import Source
from clusterseq.split import all_new
from clusterseq.vocab import RawId, Vocabulary

Progress: TypeAlias = Callable[[int, int], None]
ROWS_PER_PART = 200_000
"""Recommendations held in memory before they are written."""
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


def recommend_file(
    recommender: Recommender,
    source: Events | Source,
    output: str | Path,
    *,
    k: int = 10,
    exclude: Iterable[RawId] = (),
    only: Iterable[RawId] | None = None,
    filter_seen: bool = True,
    progress: Progress | None = None,
) -> BatchSummary:
    """Write ``user, rank, item, score`` for everyone in a log of events, ``k`` rows each.

    The output is Parquet, CSV or JSON lines by its ending (.parquet, .csv, .jsonl). Users stand in
    the canonical order of their ids; somebody with unknown items only gets what an empty history
    gets.

    Args:
        source: a file of newcomers or a data frame, or what ``read_events`` gives for one.
        progress: called with the people done and all people after every chunk.

    Raises:
        ConfigError: ``k`` is below 1, or the output's ending is unknown.
        DataError: the input can't be read or the output can't be written.
    """
    allowed = recommender.allowed(exclude, only)
    best = partial(recommender.best, k=k, allowed=allowed, filter_seen=filter_seen)
    rows = 0
    with _writing(Path(output)) as parts:
        events = source if isinstance(source, Events) else read_events(source)
        dataset = Dataset.from_events(events)
        sequences, coverage = all_new(dataset, recommender.items)
        chunks = _chunks(dataset.users, sequences, recommender.items, best, progress)
        for number, part in enumerate(_merged(chunks)):
            part.write_parquet(parts / f"{number:08}.parquet")
            rows += len(part)
    return BatchSummary(len(dataset.users), rows, coverage)


def _chunks(
    users: Vocabulary,
    sequences: Sequences,
    items: Vocabulary,
    best: Callable[[list[Codes]], TopK],
    progress: Progress | None,
) -> Iterator[pl.DataFrame]:
    """The recommendations of as many people as are scored at once."""
    step = max(1, SCORES_AT_ONCE // len(items))
    for start in range(0, len(sequences), step):
        people = range(start, min(start + step, len(sequences)))
        found = best([sequences[person] for person in people])
        codes = found.items.numpy()
        row, column = np.nonzero(codes != NOTHING)
        yield pl.DataFrame(
            {
                "user": users.series.gather(start + row),
                "rank": (column + 1).astype(np.int32),
                "item": items.series.gather(codes[row, column]),
                "score": found.scores.numpy()[row, column],
            }
        )
        if progress:
            progress(people.stop, len(sequences))


def _merged(chunks: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same rows in fewer, larger frames."""
    waiting: list[pl.DataFrame] = []
    for chunk in chunks:
        waiting.append(chunk)
        if sum(map(len, waiting)) >= ROWS_PER_PART:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)


@contextmanager
def _writing(output: Path) -> Iterator[Path]:
    """A folder for Parquet parts, which become the output if the block ends well."""
    if output.suffix not in WRITERS:
        endings = ", ".join(WRITERS)
        raise ConfigError(f"{output}: unknown ending; write to a name that ends in {endings}")
    if output.is_dir():
        raise DataError(f"{output}: is a directory; name a file")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{output.name}.new-", dir=output.parent))
    except OSError as error:
        raise DataError(f"{output}: {error.strerror}; name a place that can be written") from error
    try:
        (parts := draft / "parts").mkdir()
        yield parts
        whole = draft / "whole"
        WRITERS[output.suffix](pl.scan_parquet(sorted(parts.iterdir())), whole)
        os.replace(whole, output)
    except OSError as error:
        raise DataError(
            f"{output}: {error.strerror or error}; free space or name another"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
