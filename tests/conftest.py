"""Settings of the whole suite, and the one small model that many tests look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import numpy as np
import polars as pl
import pytest
from hypothesis import settings

from clusterseq.config import Config
from clusterseq.learning.checkpoint import Checkpoint, load_checkpoint
from clusterseq.overrides import with_assignments
from tests.s3 import s3_account as s3_account
from tests.s3 import s3_server as s3_server

# The same examples at every run and no limit per example, so that a busy machine fails no test.
settings.register_profile("clusterseq", derandomize=True, deadline=None)
settings.load_profile("clusterseq")

SMALL = (
    *("model.dim=16", "model.clusters=3", "model.cluster_dim=4", "model.anchors=20"),
    *("train.pretrain_epochs=1", "train.meta_epochs=1"),
)
"""Options of a model that trains in a second."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of ``make soak``."""
    parser.addoption("--soak", action="store_true", help="run the tests in tests/soak at length")
    parser.addoption("--soak-share", type=float, default=1.0, help="share of their cases to run")


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Types aren't checked, as nowhere but in tests: what is of a wrong one reaches our code."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(scope="session")
def small() -> Config:
    return with_assignments(Config(), SMALL)


@pytest.fixture(scope="session")
def small_options() -> list[str]:
    """The same options for the command line."""
    return [word for option in SMALL for word in ("--set", option)]


@pytest.fixture(scope="session")
def events_frame() -> pl.DataFrame:
    """300 people of two kinds, each with 2 to 8 of their kind's 30 items."""
    generator = np.random.default_rng(0)
    rows = []
    for person in range(300):
        start = int(generator.integers(10**9, 10**9 + 10**6))
        for step in range(generator.integers(2, 9)):
            item = (generator.geometric(0.08) - 1) % 30 + 30 * (person % 2)
            rows.append((f"u{person:03}", f"i{item:02}", start + 60 * step))
    return pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")


@pytest.fixture(scope="session")
def events_file(events_frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("events") / "events.csv"
    events_frame.write_csv(path)
    return path


@pytest.fixture(scope="session")
def model_directory(
    events_file: Path, small: Config, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A model trained on the events above, with titles; look at it and leave it as it is."""
    from clusterseq.reading.events import read_events
    from clusterseq.using.experiment import Experiment

    events = read_events(events_file)
    items = events.frame["item"].unique().sort()
    titles = pl.DataFrame({"item": items, "title": [f"[item] {item}" for item in items]})
    directory = tmp_path_factory.mktemp("models") / "model"
    Experiment(events, directory, small, titles=titles).run()
    return directory


@pytest.fixture(scope="session")
def checkpoint(model_directory: Path) -> Checkpoint:
    return load_checkpoint(model_directory)


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """Ray on this machine, started once; tests that use it belong to the group "ray"."""
    ray = pytest.importorskip("ray")
    context = ray.init(num_cpus=3, log_to_driver=False, include_dashboard=False)
    yield context.address_info["gcs_address"]
    ray.shutdown()
