"""A trained model on disk: one directory that is all a recommender needs, on a CPU, without data.

``config.json``, ``items.parquet`` (raw ids, what was counted of them, titles),
``model.safetensors`` and ``metrics.json``, described by ``manifest.json``; beside them
``README.md``, a card for people, and perhaps ``log.jsonl``, the log of the training, which nothing
reads back. No pickle and no user id anywhere;
the same model gives the same bytes. Written whole or not at all.

Knows nothing about: training, recommending, where the metrics came from.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Int64
from safetensors import SafetensorError
from safetensors.torch import load_file

from clusterseq.config import OUR_PARTS, Config, ModelConfig
from clusterseq.data.ledger import HALF_LIVES, Ledger
from clusterseq.errors import CheckpointError, ConfigError
from clusterseq.learning.card import model_card
from clusterseq.learning.provenance import Provenance
from clusterseq.machine.directory import current_path, replacing, require_replaceable
from clusterseq.machine.manifest import (
    MANIFEST,
    damaged,
    read_json,
    read_manifest,
    unreadable,
    versions,
    write_json,
    write_manifest,
)
from clusterseq.machine.tensors import write_tensors
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.restore import restored
from clusterseq.reading.vocab import Vocabulary
from clusterseq.values import saved_config

CONFIG, ITEMS, WEIGHTS, METRICS = (
    "config.json",
    "items.parquet",
    "model.safetensors",
    "metrics.json",
)
FILES = (CONFIG, ITEMS, WEIGHTS, METRICS)
LOG, CARD = "log.jsonl", "README.md"
RECENT = tuple(f"recent_{index}" for index in range(len(HALF_LIVES)))
"""Columns of the items' discounted events, one for each half-life."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model with all it takes to use it and to judge it."""

    model: ClusterSeq
    """The trained network."""
    config: Config
    """The options it was trained under."""
    items: Vocabulary
    """The catalogue."""
    item_counts: Int64[np.ndarray, " items"]
    """Training events of each item."""
    provenance: Provenance
    """Where it comes from."""
    titles: Sequence[str | None] | None = None
    """What each item is called, if that is known."""
    ledger: Ledger | None = None
    """What an update adds to; None in a model that was saved before there were updates."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """Results of its evaluation, as JSON holds them."""
    versions: Mapping[str, str] = field(default_factory=versions)
    """Of this program and of what decides the numbers, when it was made."""
    content: str = ""
    """A digest of all files that it was read from; empty where it was read from none."""

    def label(self, item: int) -> str:
        """What people call an item: its title where it has one, else its id."""
        title = None if self.titles is None else self.titles[item]
        return title or str(self.items.decode([item])[0])


def save_checkpoint(
    directory: str | Path, checkpoint: Checkpoint, *, log: str | Path | None = None
) -> None:
    """Write a checkpoint, with a copy of the training log if there is one.

    A kill at any moment leaves either the former checkpoint or the new one loadable.

    Raises:
        DataError: the directory holds something else than a checkpoint, or can't be written.
    """
    with replacing(directory, marker=MANIFEST) as target:
        write_json(target / CONFIG, checkpoint.config.to_dict())
        _items_frame(checkpoint).write_parquet(target / ITEMS, compression="zstd")
        write_tensors(target / WEIGHTS, checkpoint.model.tensors())
        # The library writes for the owner's eyes only; a service may run as somebody else.
        (target / WEIGHTS).chmod((target / CONFIG).stat().st_mode)
        write_json(target / METRICS, checkpoint.metrics)
        if log is not None:
            shutil.copyfile(log, target / LOG)
        about: dict[str, Any] = {"provenance": checkpoint.provenance.to_dict()}
        card = model_card(len(checkpoint.items), about["provenance"], checkpoint.metrics)
        (target / CARD).write_text(card, encoding="utf-8")
        if (ledger := checkpoint.ledger) is not None:
            about["clock"] = {"newest": ledger.newest, "span": ledger.span}
        write_manifest(target, FILES, about)


def load_checkpoint(directory: str | Path) -> Checkpoint:
    """Read what ``save_checkpoint`` wrote, every file checked before it is believed.

    Raises:
        CheckpointError: it is missing, damaged, of a newer version, or its parts don't fit.
    """
    path = current_path(directory)
    manifest = read_manifest(path, FILES)
    provenance = Provenance.from_dict(manifest.get("provenance"))
    if provenance is None:
        raise damaged(path / MANIFEST, "its provenance is incomplete")
    if not isinstance(manifest.get("versions"), dict):
        raise damaged(path / MANIFEST, "it doesn't say what made it")
    config = _config(path / CONFIG)
    if 4 * _least_numbers(config.model) > manifest["files"][WEIGHTS]["bytes"]:
        raise damaged(path / WEIGHTS, "too small for the model that the configuration describes")
    items = _read_items(path / ITEMS, config.model.n_items)
    return Checkpoint(
        model=_read_model(path / WEIGHTS, config.model),
        config=config,
        items=_vocabulary(path / ITEMS, items["id"]),
        item_counts=items["count"].to_numpy(),
        provenance=provenance,
        titles=items["title"].to_list() if "title" in items.columns else None,
        ledger=_ledger(path, items, manifest.get("clock")),
        metrics=read_json(path / METRICS),
        versions={str(name): str(version) for name, version in manifest["versions"].items()},
        content=manifest["content"],
    )


def require_place(directory: str | Path) -> None:
    """Refuse a place where a checkpoint can't be saved, before minutes are spent on one.

    Raises:
        DataError: something else lies there, or nothing can be written there.
    """
    require_replaceable(directory, MANIFEST, "model")


def is_checkpoint(directory: str | Path) -> bool:
    """Whether a path looks like a checkpoint, be it whole or damaged."""
    return any((current_path(directory) / name).is_file() for name in (MANIFEST, WEIGHTS))


def _items_frame(checkpoint: Checkpoint) -> pl.DataFrame:
    columns = {
        "id": checkpoint.items.series,
        "count": pl.Series(checkpoint.item_counts, dtype=pl.Int64),
    }
    if (ledger := checkpoint.ledger) is not None:
        columns["people"] = pl.Series(ledger.people, dtype=pl.Int64)
        for name, column in zip(RECENT, ledger.recent.T, strict=True):
            columns[name] = pl.Series(column)
    if checkpoint.titles is not None:
        columns["title"] = pl.Series(checkpoint.titles, dtype=pl.String)
    return pl.DataFrame(columns)


def _read_items(path: Path, n_items: int) -> pl.DataFrame:
    with _reading(path):
        rows = pl.scan_parquet(path, glob=False)
        # A few bytes can unpack to any number of rows, so they are counted first.
        count = rows.select(pl.len()).collect().item()
        if count != n_items:
            raise damaged(path, f"{count} items where the configuration says {n_items}")
        names = rows.collect_schema().names()
        expected = [name for name in ("title", "people", *RECENT) if name in names]
        frame = rows.select("id", "count", *expected).collect()
        for name in ("count", "people"):
            if name in frame.columns and not _has_only(frame[name], pl.Int64):
                raise damaged(path, f"the values of {name} aren't whole numbers")
        if "title" in expected and frame["title"].dtype != pl.String:
            raise damaged(path, "the titles aren't text")
        return frame


def _has_only(column: pl.Series, dtype: Any) -> bool:
    return column.dtype == dtype and not column.null_count()


def _ledger(directory: Path, items: pl.DataFrame, clock: Any) -> Ledger | None:
    if clock is None or not {"people", *RECENT} <= set(items.columns):
        return None
    recent = items.select(RECENT)
    finite = all(_has_only(column, pl.Float64) and column.is_finite().all() for column in recent)
    try:
        newest, span = int(clock["newest"]), float(clock["span"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise damaged(directory / MANIFEST, "its clock is incomplete") from error
    if not finite or not math.isfinite(span):
        raise damaged(directory / ITEMS, "what was counted of items isn't finite")
    counts, people = (items[name].to_numpy() for name in ("count", "people"))
    return Ledger(counts, people, recent.to_numpy(), newest, span)


def _vocabulary(path: Path, ids: pl.Series) -> Vocabulary:
    if ids.dtype not in (pl.Int64, pl.String) or ids.null_count():
        raise damaged(path, "the ids are neither text nor whole numbers")
    if not ids.equals(ids.unique().sort()):
        raise damaged(path, "the ids are not sorted or not unique")
    return Vocabulary(ids)


def _config(path: Path) -> Config:
    try:
        return saved_config(read_json(path))
    except ConfigError as error:
        raise CheckpointError(
            f"{path}: {error}; this version can't use it, so train the model again"
        ) from error


def _read_model(path: Path, config: ModelConfig) -> ClusterSeq:
    """The library checks the header against the file's length before it maps any tensor."""
    with _reading(path):
        tensors = load_file(path)
    try:
        return restored(config, tensors)
    except (CheckpointError, ConfigError) as error:  # the latter where a part isn't installed
        raise CheckpointError(f"{path}: {error}", code=error.code) from error


def _least_numbers(config: ModelConfig) -> int:
    """A floor under the model's size, so that no configuration can ask for absurd memory."""
    numbers = config.width * (config.n_items + config.dim)
    if config.clustering:
        numbers += config.clusters * config.n_items
    if config.clustering and config.clusterer == OUR_PARTS["clusterer"]:
        numbers += config.clusters * config.width * config.bottleneck
    if config.conditioned and config.conditioner == OUR_PARTS["conditioner"]:
        numbers += config.clusters * config.cluster_dim
    if config.adapts:
        numbers += config.inner_steps * config.width
    return numbers


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unreadable(path, error) from error
    except (SafetensorError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise damaged(path, error) from error
