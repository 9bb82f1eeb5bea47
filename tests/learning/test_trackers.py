"""Trackers get what the log gets, and the test's figures; each is read back by its own library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clusterseq.cli import main
from clusterseq.config import Config
from clusterseq.errors import ConfigError
from clusterseq.learning.trackers import TRACKERS, Tracker, figures_of, tracker_named

OPTIONS = ["train.pretrain_epochs=2", "train.meta_epochs=1", "model.members=1", "model.dim=4"]


def train(events_file: Path, out: Path, tracker: str) -> tuple[dict[str, float], float]:
    """Train under a tracker; returns the log's last figures of each stage, and the test's MRR."""
    words = ["train", str(events_file), "--out", str(out), "--tracker", tracker]
    assert main([*words, *(word for one in OPTIONS for word in ("--set", one))]) == 0
    logged: dict[str, float] = {}
    for line in (out / "log.jsonl").read_text().splitlines():
        logged |= figures_of(json.loads(line))
    return logged, json.loads((out / "metrics.json").read_text())["test"]["full"]["mrr"]


def test_tensorboard_shows_the_training(events_file: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logged, mrr = train(events_file, tmp_path / "model", "tensorboard")
    written = EventAccumulator(str(tmp_path / "tracking" / "tensorboard" / "model"))
    written.Reload()
    tags = written.Tags()["scalars"]
    assert set(logged) < set(tags)
    for name, value in logged.items():
        assert written.Scalars(name)[-1].value == pytest.approx(value, rel=1e-5)
    assert [point.step for point in written.Scalars("pretrain/loss")] == [1, 2]
    assert written.Scalars("test/full_mrr")[0].value == pytest.approx(mrr)


def test_mlflow_keeps_the_run(
    events_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    logged, mrr = train(events_file, tmp_path / "model", "mlflow")
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'tracking' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("clusterseq")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "model"
    assert run.info.status == "FINISHED"
    assert run.data.params["model.dim"] == "4"
    for name, value in logged.items():
        assert run.data.metrics[name] == pytest.approx(value)
    assert run.data.metrics["test/full_mrr"] == pytest.approx(mrr)


def test_an_unknown_tracker_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give tensorboard or mlflow"):
        tracker_named("wandb", tmp_path, Config())
    words: list[Any] = ["train", "nowhere.csv", "--out", str(tmp_path / "m"), "--tracker", "wandb"]
    assert main(words) == 2


@pytest.mark.parametrize("name", TRACKERS)
def test_every_tracker_is_one(name: str, tmp_path: Path) -> None:
    tracker = tracker_named(name, tmp_path / "model", Config())
    assert isinstance(tracker, Tracker)
    tracker.finish({})
    tracker.close(None)


@pytest.mark.parametrize(
    ("error", "status"), [(OSError(), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_mlflow_is_told_of_a_training_that_did_not_end_well(
    events_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    status: str,
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("clusterseq.using.experiment.fit", fail)
    words = ["train", str(events_file), "--out", str(tmp_path / "model"), "--tracker", "mlflow"]
    assert main(words) != 0
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'tracking' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("clusterseq")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == status
