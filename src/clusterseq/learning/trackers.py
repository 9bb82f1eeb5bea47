"""Trainings in the eyes of TensorBoard or MLflow: options, the epochs' figures, the test's.

Both write beside the model unless MLflow is told of a server by ``MLFLOW_TRACKING_URI``; neither
sends anything anywhere else. The log in JSON lines, which every training keeps, is independent of
them.

Knows nothing about: what is trained, terminals.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from clusterseq.config import Config
from clusterseq.errors import ConfigError
from clusterseq.machine.extras import require_extra
from clusterseq.machine.progress import Watcher
from clusterseq.markdown import markdown_table
from clusterseq.overrides import flat

FOLDER = "tracking"
"""Where trackers write, beside the model."""


@runtime_checkable
class Tracker(Watcher, Protocol):
    """A watcher of a training that also hears how it ended."""

    def finish(self, metrics: Mapping[str, float]) -> None:
        """The training is over, and reached this on the test."""
        ...

    def close(self, error: BaseException | None) -> None:
        """Nothing follows; ``error`` is what ended a training that didn't come to its end."""
        ...


class TensorBoard:
    """Writes what ``tensorboard --logdir tracking/tensorboard`` shows."""

    def __init__(self, out: Path, config: Config) -> None:
        with require_extra("tensorboard", "this tracker"):
            from torch.utils.tensorboard import SummaryWriter
        directory = out.resolve().parent / FOLDER / "tensorboard" / out.resolve().name
        self._writer = SummaryWriter(str(directory))
        rows = [[name, str(value)] for name, value in flat(config).items()]
        self._writer.add_text("options", markdown_table(["option", "value"], rows, prose=True))

    def step(self, stage: str, done: int, total: int) -> None:
        """Steps are too many to keep."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """A point of each curve."""
        for name, value in figures_of(record).items():
            self._writer.add_scalar(name, value, record["epoch"])

    def finish(self, metrics: Mapping[str, float]) -> None:
        """The test's figures."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, 0)

    def close(self, error: BaseException | None) -> None:
        """The end of the file, however it came."""
        self._writer.close()


class MLflow:
    """A run of the experiment "clusterseq", in ``tracking/mlflow.db`` or on the server named."""

    def __init__(self, out: Path, config: Config) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before it is imported
        with require_extra("mlflow", "this tracker"):
            import mlflow
            import sqlalchemy  # noqa: F401  the local store needs it
        if "MLFLOW_TRACKING_URI" not in os.environ:
            path = out.resolve().parent / FOLDER / "mlflow.db"
            path.parent.mkdir(parents=True, exist_ok=True)
            mlflow.set_tracking_uri(f"sqlite:///{path}")
        self._mlflow = mlflow
        mlflow.set_experiment("clusterseq")
        mlflow.start_run(run_name=out.resolve().name)
        mlflow.log_params(flat(config))

    def step(self, stage: str, done: int, total: int) -> None:
        """Steps are too many to keep."""

    def epoch(self, record: Mapping[str, Any]) -> None:
        """A point of each curve."""
        self._mlflow.log_metrics(_plain(figures_of(record)), step=record["epoch"])

    def finish(self, metrics: Mapping[str, float]) -> None:
        """The test's figures."""
        self._mlflow.log_metrics(_plain(metrics))

    def close(self, error: BaseException | None) -> None:
        """The end of the run, which was finished, stopped by somebody, or failed."""
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        self._mlflow.end_run("FINISHED" if error is None else "KILLED" if stopped else "FAILED")


TRACKERS: Mapping[str, Callable[[Path, Config], Tracker]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
}


def tracker_named(name: str, out: Path, config: Config) -> Tracker:
    """Begin to track a training whose model will be saved at ``out``.

    Raises:
        ConfigError: there is no such tracker, or what it needs isn't installed.
    """
    if name not in TRACKERS:
        known = " or ".join(TRACKERS)
        raise ConfigError(f"tracker = {name!r} can't be used; give {known}")
    return TRACKERS[name](out, config)


def figures_of(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of an epoch, by stage.

    >>> figures_of({"stage": "meta", "epoch": 2, "loss": 1.5})
    {'meta/loss': 1.5}
    """
    return {
        f"{record['stage']}/{name}": float(value)
        for name, value in record.items()
        if name not in ("stage", "epoch") and isinstance(value, int | float)
    }


def _plain(figures: Mapping[str, float]) -> dict[str, float]:
    """Names that every store takes."""
    return {name.replace("@", "_at_"): value for name, value in figures.items()}
