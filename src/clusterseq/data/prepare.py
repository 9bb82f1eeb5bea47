"""Events of any amount made ready for training: a directory of shards, in bounded memory.

Three passes over pieces, each worked on by itself and, under Ray, wherever there is room:

- *scatter* reads a file a million rows at a time, checks them and writes each to its user's shard;
- *settle* drops a shard's exact duplicates, sorts each person's events and counts items;
- *pack* numbers the items, leaves out rare ones, and writes one row for each person.

Between the passes only figures and the counts of items come together. The same events give the
same bytes, whatever ran the passes, and the same data set as if they had been read at once.

Knows nothing about: splits, models, terminals, what runs the passes.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import polars as pl

from clusterseq.data.dataset import MANIFEST, is_dataset, write_items, write_manifest
from clusterseq.data.shards import PeopleFile, read_arrow, shard_of, write_arrow, write_shard
from clusterseq.errors import ConfigError, DataError
from clusterseq.machine.directory import replacing, scratch
from clusterseq.machine.mapping import Mapper, P, R, one_by_one
from clusterseq.machine.progress import StageProgress
from clusterseq.reading.columns import find_columns
from clusterseq.reading.event_report import EventReport, Figures, Reading
from clusterseq.reading.events import KEY, check_alike, check_some, checked
from clusterseq.reading.sources import Source, pieces_of, tables_of
from clusterseq.reading.spill import Spill
from clusterseq.reading.table import Choose
from clusterseq.reading.vocab import UNKNOWN, Vocabulary

ROWS_AT_ONCE = 1_000_000
"""Rows that are checked together."""
BYTES_PER_SHARD = 32 * 2**20
"""Of the input's files: a shard must fit in memory, text as text."""
SHARDS = 16
"""Where sizes aren't known before, as of a query."""
MOST_SHARDS = 9_999


@dataclass(frozen=True)
class PrepareSummary:
    """What was made."""

    report: EventReport
    """What was read, as ``read_events`` reports it."""
    shards: int
    """Files of people."""
    items: int
    """Items of the catalogue."""
    rare_items: int
    """Items that were left out."""
    rare_events: int
    """Events of theirs."""


def prepare_dataset(
    source: Source,
    directory: str | Path,
    *,
    user_column: str | None = None,
    item_column: str | None = None,
    time_column: str | None = None,
    skip_bad: bool = False,
    min_item_events: int = 1,
    shards: int | None = None,
    mapper: Mapper = one_by_one,
    progress: StageProgress | None = None,
) -> PrepareSummary:
    """Turn any number of files into a data set that ``Dataset.load`` and ``train`` take.

    The directory appears whole or not at all. Beside it lies, while this runs, what the passes
    hand on: about as much as the events are as uncompressed text.

    Args:
        source: what ``read_events`` takes; data frames only without Ray.
        min_item_events: items with fewer events are left out, and how many that were is kept.
        shards: how many files of people; by the size of the input if it isn't said.
        mapper: what runs the passes, for example ``clusterseq.machine.mapping.by_ray``.

    Raises:
        DataError: a file or row can't be used, nothing is left, or the place is taken.
        ConfigError: there can't be so many shards.

    >>> import tempfile
    >>> rows = pl.DataFrame({"user": ["u", "v", "u"], "item": ["x", "x", "y"]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     summary = prepare_dataset(rows, f"{folder}/data", shards=2)
    >>> summary.shards, summary.items, summary.report.users
    (2, 2, 2)
    """
    for entry in source if isinstance(source, list | tuple) else [source]:
        if isinstance(entry, str | Path) and is_dataset(entry):
            raise DataError(f"{entry}: is prepared already; give the files that it was made of")
    pieces = [_Piece(number, part) for number, part in enumerate(pieces_of(source))]
    shards = _shards([piece.source for piece in pieces]) if shards is None else shards
    if not 1 <= shards <= MOST_SHARDS:
        raise ConfigError(f"{shards} shards can't be made; ask for 1 to {MOST_SHARDS}")
    choose = partial(find_columns, user=user_column, item=item_column, time=time_column)
    run = _Passes(mapper, progress)
    with replacing(directory, marker=MANIFEST) as draft, scratch(directory) as folder:
        scattered = run("read", partial(_scatter, folder, choose, shards, skip_bad), pieces)
        scattered.sort(key=lambda piece: piece.number)
        readings = [reading for piece in scattered for reading in piece.readings]
        check_alike(readings)
        check_some(readings, sum(sum(piece.sizes) for piece in scattered))
        settle = partial(_settle, folder, _text(scattered), _starts(scattered, readings[0].timed))
        figures = run("sort", settle, range(shards))
        common, rare = _catalogue(folder, min_item_events)
        write_items(draft, common["item"], common["count"])
        packed = run("write", partial(_pack, folder, draft), range(shards))
        packed.sort(key=lambda shard: shard.name)
        report = EventReport.of(
            readings, Figures.summed(filter(None, figures)), items=len(common) + len(rare)
        )
        summary = PrepareSummary(report, shards, len(common), len(rare), int(rare["count"].sum()))
        about = {"items": len(common), "rare": {"items": len(rare), "events": summary.rare_events}}
        write_manifest(draft, packed, report, about)
    return summary


@dataclass(frozen=True)
class _Passes:
    """Runs one pass after the other."""

    mapper: Mapper
    progress: StageProgress | None

    def __call__(self, name: str, function: Callable[[P], R], pieces: Sequence[P]) -> list[R]:
        results: list[R] = []
        for result in self.mapper(function, pieces):
            results.append(result)
            if self.progress:
                self.progress(name, len(results), len(pieces))
        return results


@dataclass(frozen=True)
class _Piece:
    """A file, an address or a query."""

    number: int
    source: Source


@dataclass(frozen=True)
class _Scattered:
    """What is known of a piece once its rows lie in their shards."""

    number: int
    readings: list[Reading]
    sizes: list[int]
    """Good rows, by portion of the piece."""
    text: dict[str, bool | None]
    """Whether the ids of users and items are text; None where there is none."""


def _scatter(
    folder: Path, choose: Choose, shards: int, skip_bad: bool, piece: _Piece
) -> _Scattered:
    """Write the rows of a piece to their users' shards, a portion at a time."""
    spilled = folder / f"piece-{piece.number:05}"
    shutil.rmtree(spilled, ignore_errors=True)  # of a machine that is gone, whose work this is now
    spilled.mkdir()
    readings: list[Reading] = []
    sizes: list[int] = []
    text: dict[str, bool | None] = {"user": None, "item": None}
    for table in tables_of(piece.source, choose, skip_bad=skip_bad, collect=Spill(spilled)):
        for portion in table.pieces(ROWS_AT_ONCE):
            part = checked(portion, skip_bad=skip_bad)
            _check_unit(part.reading, readings)
            for role in text:
                if len(part.rows):
                    text[role] = bool(text[role]) or part.rows[role].dtype == pl.String
            stem = f"{piece.number:05}-{len(sizes):05}"
            _write_portion(folder, part.rows, shards, stem)
            readings.append(part.reading)
            sizes.append(len(part.rows))
    return _Scattered(piece.number, readings, sizes, text)


def _check_unit(reading: Reading, before: Sequence[Reading]) -> None:
    """Portions judge their times each for itself, which mustn't end in two judgements."""
    units = {one.unit for one in before if one.name == reading.name and one.unit} - {reading.unit}
    if units and reading.unit and reading.rows_read:
        raise DataError(
            f"{reading.name}: its times look like {min(units)} in one part and like {reading.unit} "
            "in another; bring them to one unit, or give each part as a file of its own"
        )


def _write_portion(folder: Path, rows: pl.DataFrame, shards: int, stem: str) -> None:
    if "time" not in rows.columns:
        rows = rows.with_columns(time=pl.int_range(pl.len(), dtype=pl.Int64))
    parts = rows.with_columns(shard_of(rows["user"], shards)).partition_by(
        "shard", as_dict=True, include_key=False
    )
    for (shard,), part in parts.items():
        target = folder / f"shard-{shard:05}"
        target.mkdir(exist_ok=True)
        write_arrow(target / f"{stem}.arrow", part)


def _text(scattered: Sequence[_Scattered]) -> dict[str, bool]:
    """Whether ids are text: they are if they are anywhere."""
    return {role: any(piece.text[role] for piece in scattered) for role in ("user", "item")}


def _starts(scattered: Sequence[_Scattered], timed: bool) -> dict[str, int]:
    """What is added to a portion's times: where there are none, the number of rows before it."""
    starts, before = {}, 0
    for piece in scattered:
        for portion, size in enumerate(piece.sizes):
            starts[f"{piece.number:05}-{portion:05}"] = 0 if timed else before
            before += size
    return starts


def _settle(
    folder: Path, text: dict[str, bool], starts: dict[str, int], shard: int
) -> Figures | None:
    """Sort a shard's events by person and time, without duplicates, and count its items."""
    files = sorted((folder / f"shard-{shard:05}").glob("*.arrow"))
    if not files:
        return None
    portions = [
        read_arrow(file).with_columns(
            *(pl.col(role).cast(pl.String) for role in text if text[role]),
            pl.col("time") + starts[file.stem],
        )
        for file in files
    ]
    rows = pl.concat(portions)
    distinct = rows.unique(subset=KEY, keep="first", maintain_order=True)
    figures = Figures.of(distinct, duplicates=len(rows) - len(distinct))
    write_arrow(folder / f"counts-{shard:05}.arrow", distinct.group_by("item").len("count"))
    write_arrow(
        folder / f"settled-{shard:05}.arrow", distinct.sort("user", "time", maintain_order=True)
    )
    return figures


def _catalogue(folder: Path, at_least: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All items with their events, sorted by id: those that stay, and the rare ones."""
    counts = pl.scan_ipc(sorted(folder.glob("counts-*.arrow")))
    total = counts.group_by("item").agg(pl.col("count").sum().cast(pl.Int64)).sort("item")
    items = total.collect(engine="streaming")
    mask = items["count"] >= at_least
    if not mask.any():
        raise DataError(
            f"none of {len(items)} items has {at_least} events; ask for less with --min-item-events"
        )
    common = items.filter(mask)
    write_arrow(folder / "kept.arrow", common)
    return common, items.filter(~mask)


def _pack(folder: Path, draft: Path, shard: int) -> PeopleFile:
    """Number the items of a shard, and write a row for each person."""
    path = folder / f"settled-{shard:05}.arrow"
    catalogue = read_arrow(folder / "kept.arrow")["item"]
    if path.exists():
        rows = read_arrow(path)
    else:  # nobody has that hash
        any_shard = next(iter(sorted(folder.glob("settled-*.arrow"))))
        rows = read_arrow(any_shard).clear()
    codes = pl.Series("items", Vocabulary(catalogue).encode_series(rows["item"]))
    events = rows.select(id="user", items=codes, times="time").filter(pl.col("items") != UNKNOWN)
    people = events.group_by("id", maintain_order=True).agg("items", "times")
    return write_shard(draft / f"shard-{shard:05}.arrow", people)


def _shards(sources: Sequence[Any]) -> int:
    """By how much the files hold, if all are files."""
    paths = [source for source in sources if isinstance(source, os.PathLike)]
    if len(paths) < len(sources):
        return SHARDS
    size = sum(Path(cast(str, path)).stat().st_size for path in paths if Path(path).exists())
    return min(MOST_SHARDS, max(1, math.ceil(size / BYTES_PER_SHARD)))
