"""Promises of docs/reliability.md that belong to no single module."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import torch

from clusterseq.config import Config
from clusterseq.data.histories import Histories
from clusterseq.learning.checkpoint import Checkpoint
from clusterseq.model.ranker import Ranker
from clusterseq.reading.events import read_events
from clusterseq.using.experiment import Experiment

REQUESTS, AT_ONCE = 100_000, 1_000


def test_a_model_holds_no_user_id(
    events_frame: pl.DataFrame, small: Config, tmp_path: Path
) -> None:
    events = read_events(
        events_frame.with_columns(pl.format("person-9f3a-{}", "user").alias("user"))
    )
    Experiment(events, tmp_path / "model", small).run()
    files = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert len(files) >= 6
    for path in files:
        # Parquet may be compressed, so its columns are looked at, too.
        assert b"9f3a" not in path.read_bytes(), path.name
        if path.suffix == ".parquet":
            assert "9f3a" not in pl.read_parquet(path).write_csv()


def test_no_answer_holds_what_is_refused(checkpoint: Checkpoint) -> None:
    check_requests(checkpoint, REQUESTS, seed=0)


def check_requests(checkpoint: Checkpoint, requests: int, seed: int) -> None:
    """Random histories, refusals and choices: k distinct items, all allowed, scores descending."""
    ranker, draws = Ranker(checkpoint.model), np.random.default_rng(seed)
    for _ in range(requests // AT_ONCE):
        rows = [
            draws.integers(0, 60, size).astype(np.int64) for size in draws.integers(0, 6, AT_ONCE)
        ]
        refused = [
            np.unique(draws.integers(0, 60, size)) for size in draws.integers(0, 40, AT_ONCE)
        ]
        allowed = torch.from_numpy(draws.random((AT_ONCE, 60)) < draws.random((AT_ONCE, 1)))
        k = int(draws.integers(1, 70))
        people = ranker.adapt(Histories.from_lists(rows))
        found = ranker.best(people, k, allowed=list(allowed), refused=refused)
        shut = ~allowed.numpy()
        for row, gone in enumerate(refused):
            shut[row, gone] = True
        items, scores = found.items.numpy(), found.scores.numpy()
        there = items >= 0
        assert not shut[np.nonzero(there)[0], items[there]].any()
        assert (there.sum(axis=1) == np.minimum(min(k, 60), (~shut).sum(axis=1))).all()
        assert np.isfinite(scores[there]).all()
        assert (np.diff(np.where(there, scores, -1e30), axis=1) <= 0).all()
        owners = np.nonzero(there)[0] * 60 + items[there]
        assert len(np.unique(owners)) == len(owners)
