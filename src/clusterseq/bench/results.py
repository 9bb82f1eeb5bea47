"""The store of the bench: a row per model, data set, seed and K, and the ranks of its people.

Every row is a small JSON file and its ranks a Parquet file, each written whole or not at all by
whoever has computed them, so that a kill loses nothing but what was running and two runs can't
spoil each other's. ``results.parquet`` is the table of all rows in force, made anew from them.

Knows nothing about: how rows come about, what becomes of them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from clusterseq.errors import DataError
from clusterseq.judging.evaluate import RANKINGS
from clusterseq.judging.metrics import METRICS
from clusterseq.machine.files import slug, write_whole

TABLE, ROWS, RANKS, SPLITS, ERRORS = "results.parquet", "rows", "ranks", "splits", "errors"
DONE, FAILED, INAPPLICABLE = "done", "failed", "inapplicable"
SCHEMA: Mapping[str, Any] = {
    "dataset": pl.String,
    "split": pl.String,
    "seed": pl.Int64,
    "k": pl.Int64,
    "model": pl.String,
    "group": pl.String,
    "data": pl.String,
    "settings": pl.String,
    "status": pl.String,
    "error": pl.String,
    "finished": pl.String,
    "users": pl.Int64,
    "items": pl.Int64,
    "known": pl.Int64,
    "coverage": pl.Float64,
    **{f"{ranking}_{metric}": pl.Float64 for ranking in RANKINGS for metric in METRICS},
    "options": pl.String,
    "trials": pl.String,
    "validation_mrr": pl.Float64,
    "train_s": pl.Float64,
    "tuning_s": pl.Float64,
    "newcomer_ms": pl.Float64,
    "newcomers_timed": pl.Int64,
    "parameters": pl.Int64,
    "start_mb": pl.Float64,
    "peak_mb": pl.Float64,
    "threads": pl.Int64,
    "device": pl.String,
}
"""Columns of the table; what a failed row lacks is null."""

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """What a row is the result of."""

    dataset: str
    """Name of the data set."""
    split: str
    """How its users are split."""
    seed: int
    """Seed of the split and of the training."""
    k: int
    """Support items of each newcomer."""
    model: str
    """Name of the model."""
    data: str
    """Digest of the events and of how they are read and split."""
    settings: str
    """Digest of the model's grid or configuration."""

    @property
    def name(self) -> str:
        """A name for files: as much as a person can read, then a digest of all of it."""
        digest = hashlib.sha256(json.dumps(dataclasses.astuple(self)).encode()).hexdigest()
        words = (self.dataset, self.split, self.model, f"seed{self.seed}", f"k{self.k}")
        return slug("-".join((*words, digest[:12])))


def holds_results(directory: Path) -> bool:
    """Whether a bench has begun to keep its results there."""
    return any((directory / name).is_dir() for name in (ROWS, SPLITS))


class Results:
    """The directory of results."""

    def __init__(self, directory: str | Path) -> None:
        """Take a directory that is new, empty or a store already.

        Raises:
            DataError: it holds something else.
        """
        self.path = Path(directory)
        if self.path.exists():
            entries = list(self.path.iterdir()) if self.path.is_dir() else [self.path]
            if entries and not holds_results(self.path):
                raise DataError(
                    f"{self.path}: holds no results of the bench; name another place", code="output"
                )

    def split_path(self, dataset: str, split: str, seed: int, data: str) -> Path:
        """Where the arrays of one split are kept."""
        name = slug(f"{dataset}-{split}-seed{seed}-{data[:12]}")
        return self.path / SPLITS / f"{name}.safetensors"

    def error_path(self, cell: Cell) -> Path:
        """Where the last words of a failed computation are kept."""
        return self.path / ERRORS / f"{cell.name}.txt"

    def write(self, cell: Cell, facts: Row, ranks: pl.DataFrame | None = None) -> None:
        """Keep a row, once its ranks are safe."""
        if ranks is not None:
            buffer = io.BytesIO()
            ranks.write_parquet(buffer)
            write_whole(self._ranks_path(cell), buffer.getvalue())
        row = {**dataclasses.asdict(cell), **facts}
        text = json.dumps(row, indent=1, ensure_ascii=False, allow_nan=False)
        write_whole(self._row_path(cell), text.encode())

    def row(self, cell: Cell) -> Row | None:
        """The row of a cell, if there is one."""
        path = self._row_path(cell)
        return _read_row(path) if path.exists() else None

    def finished(self, cell: Cell) -> bool:
        """Whether there is nothing left to do; what has failed is tried again."""
        row = self.row(cell)
        return row is not None and row["status"] != FAILED

    def rows(self) -> list[Row]:
        """All rows, the oldest first."""
        rows = [_read_row(path) for path in (self.path / ROWS).glob("*.json")]
        return sorted(rows, key=lambda row: (row["finished"], cell_of(row).name))

    def ranks(self, cell: Cell) -> pl.DataFrame:
        """The ranks behind a finished row: user, full_rank, sampled_rank, group.

        Raises:
            DataError: they are missing or damaged.
        """
        path = self._ranks_path(cell)
        try:
            return pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DataError(f"{path}: can't be read; {_redo(self._row_path(cell))}") from error

    def publish(self, rows: Sequence[Row]) -> None:
        """Write the table of these rows."""
        frame = pl.DataFrame([{name: row.get(name) for name in SCHEMA} for row in rows], SCHEMA)
        buffer = io.BytesIO()
        frame.sort("dataset", "split", "k", "model", "seed").write_parquet(buffer)
        write_whole(self.path / TABLE, buffer.getvalue())

    def _row_path(self, cell: Cell) -> Path:
        return self.path / ROWS / f"{cell.name}.json"

    def _ranks_path(self, cell: Cell) -> Path:
        return self.path / RANKS / f"{cell.name}.parquet"


def in_force(rows: Iterable[Row], asked: Iterable[Cell]) -> list[Row]:
    """Of rows in the order of time, those that belong in one table.

    A data set counts with the events asked for now, and a model with its settings asked for now; of
    what isn't asked for, the latest count. So results of other events or options never mix.
    """
    rows, asked = list(rows), list(asked)
    data = {_key(row): row["data"] for row in rows} | {_key(vars(c)): c.data for c in asked}
    fresh = [row for row in rows if data[_key(row)] == row["data"]]
    settings = {(_key(row), row["model"]): row["settings"] for row in fresh}
    settings |= {(_key(vars(cell)), cell.model): cell.settings for cell in asked}
    return [row for row in fresh if settings[_key(row), row["model"]] == row["settings"]]


def changes(rows: Iterable[Row], asked: Sequence[Cell]) -> Iterator[str]:
    """What has to be computed anew, since the results at hand are of other events or options."""
    old = {(*_key(row), row["data"]) for row in rows}
    moved = []
    for dataset, split, data in dict.fromkeys((c.dataset, c.split, c.data) for c in asked):
        before = {entry[2] for entry in old if entry[:2] == (dataset, split)}
        if before and data not in before:
            moved.append((dataset, split))
            yield f"{dataset} ({split}): the events or how they are read have changed; it is redone"
    known = {(*_key(row), row["model"], row["settings"]) for row in rows}
    models = dict.fromkeys((c.dataset, c.split, c.model, c.settings) for c in asked)
    for dataset, split, model, settings in models:
        before = {entry[3] for entry in known if entry[:3] == (dataset, split, model)}
        if before and settings not in before and (dataset, split) not in moved:
            yield f"{model} on {dataset} ({split}): its options have changed; it is redone"


def cell_of(row: Row) -> Cell:
    """The cell that a row belongs to."""
    return Cell(**{field.name: row[field.name] for field in dataclasses.fields(Cell)})


def _key(row: Row) -> tuple[str, str]:
    return row["dataset"], row["split"]


def _read_row(path: Path) -> Row:
    try:
        row = json.loads(path.read_bytes())
        cell_of(row), row["status"], row["finished"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged; {_redo(path)}") from error
    return dict(row)


def _redo(path: Path) -> str:
    return f"delete {path} and run the bench again"
