"""What an experiment refuses before it trains, and trainings that are hardly any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from clusterseq.config import Config
from clusterseq.errors import ClusterSeqError
from clusterseq.learning.checkpoint import LOG, Checkpoint, load_checkpoint
from clusterseq.overrides import with_assignments
from clusterseq.reading.events import Events, read_events
from clusterseq.using.evaluation import evaluate_checkpoint
from clusterseq.using.experiment import Experiment
from clusterseq.using.update import update_checkpoint

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"titles": "titles.csv"}, "titles can't be read from str; give a data frame"),
    ({"titles": pl.DataFrame({"item": ["i01"]})}, "titles: no column title among item; rename"),
    ({"titles": pd.DataFrame({"title": ["a"]})}, "titles: no column item among title; rename"),
    ({"titles": pl.DataFrame({"item": ["i01"], "title": [7]})}, "title holds Int64; give text"),
    ({"titles": pd.DataFrame({"item": [1, 2], "title": ["a", 7]})}, "give text in every row"),
    ({"titles": pd.Series(["a"])}, "titles: no column item"),
    ({"k": 1.5}, "k = 1.5 can't be used; give a whole number, 0 or more"),
    ({"k": -1}, "k = -1 can't be used; give a whole number, 0 or more"),
]


@pytest.fixture(scope="module")
def untrained(small: Config) -> Config:
    return with_assignments(small, ["train.pretrain_epochs=0", "train.meta_epochs=0"])


@pytest.fixture(scope="module")
def events(events_frame: pl.DataFrame) -> Events:
    return read_events(events_frame)


@pytest.mark.parametrize(("options", "told"), REFUSED)
def test_what_would_spoil_the_end_is_told_at_the_start(
    unchecked: None, events: Events, checkpoint: Checkpoint, tmp_path: Path, options: Any, told: str
) -> None:
    with pytest.raises(ClusterSeqError, match=told):
        Experiment(events, tmp_path / "model", **options).run(watcher=Untouched())
    with pytest.raises(ClusterSeqError, match=told):
        update_checkpoint(checkpoint, events, **options, watcher=Untouched())
    assert not list(tmp_path.iterdir())


class Untouched:
    """Nothing is trained while it looks."""

    def step(self, stage: str, done: int, total: int) -> None:
        pytest.fail("it trains")

    def epoch(self, record: Any) -> None:
        pytest.fail("it trains")


@pytest.mark.parametrize("library", [pl.DataFrame, pl.LazyFrame, pd.DataFrame, pa.table])
def test_titles_come_in_any_library_and_no_epoch_is_no_error(
    unchecked: None, events: Events, untrained: Config, tmp_path: Path, library: Any
) -> None:
    titles = library({"title": ["One", None], "item": ["i01", "i02"]})
    Experiment(events, tmp_path / "model", untrained, titles=titles, k=np.int64(2)).run()  # type: ignore[arg-type]
    loaded = load_checkpoint(tmp_path / "model")
    assert [title for title in loaded.titles or () if title] == ["One"]
    assert loaded.metrics["test"]["k"] == 2
    assert (tmp_path / "model" / LOG).read_text() == ""


def test_what_was_not_read_is_told(
    unchecked: None, checkpoint: Checkpoint, events_frame: pl.DataFrame, tmp_path: Path
) -> None:
    for given in ("events.csv", events_frame):
        told = f"what read_events gives, not {type(given).__name__}; call read_events first"
        wrong: Any = given
        with pytest.raises(ClusterSeqError, match=told):
            Experiment(wrong, tmp_path / "model").run()
        with pytest.raises(ClusterSeqError, match=told):
            evaluate_checkpoint(checkpoint, wrong)
        with pytest.raises(ClusterSeqError, match=told):
            update_checkpoint(checkpoint, wrong)


def test_k_of_an_evaluation_is_a_whole_number(
    unchecked: None, checkpoint: Checkpoint, events: Events
) -> None:
    found = evaluate_checkpoint(checkpoint, events, k=np.int64(2), baselines=False)  # type: ignore[arg-type]
    assert type(found.to_dict()["k"]) is int
    with pytest.raises(ClusterSeqError, match=r"k = 1.5 can't be used; give a whole number"):
        evaluate_checkpoint(checkpoint, events, k=1.5)  # type: ignore[arg-type]
