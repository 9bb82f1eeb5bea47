"""Every example keeps the contract of its kind, loaded by its entry point."""

from __future__ import annotations

import itertools
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from clusterseq.baselines.peer import Setting
from clusterseq.bench.models import peer_named
from clusterseq.data.sequences import Sequences
from clusterseq.extensions import Kind, extension
from clusterseq.judging.scorer import Scorer
from clusterseq.service.store import open_store
from clusterseq.testing import (
    ClustererContract,
    ConditionerContract,
    EncoderContract,
    Place,
    ReaderContract,
    ScorerContract,
    StoreContract,
)
from clusterseq.testing.parts import Build
from clusterseq.testing.readers import EVENTS, Written
from clusterseq.testing.scorers import Fit

pytestmark = pytest.mark.usefixtures("installed")
NUMBER = itertools.count()


def loaded(kind: Kind, name: str) -> Any:
    found = extension(kind, name)
    assert found is not None
    assert found.origin == "clusterseq-examples 0.1"
    return found.load()


class TestSuccessors(ScorerContract):
    @pytest.fixture(scope="module")
    @classmethod
    def fit(cls, installed: Path) -> Fit:
        def fitted(known: Sequences, n_items: int) -> Scorer:
            return peer_named("successors", None).fit(Setting(known, known, n_items), smoothing=1.0)

        return fitted


class TestDictStore(StoreContract):
    @pytest.fixture
    def empty(self) -> Place:
        url = f"dict:place-{next(NUMBER)}"
        return Place(lambda retention: open_store(url, retention), time.sleep)


def write_events(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE events (user, item, time)")
    connection.executemany("INSERT INTO events VALUES (?, ?, ?)", EVENTS.rows())
    connection.commit()
    connection.close()


class TestReader(ReaderContract):
    @pytest.fixture(params=["{}/events.sqlite3", "sqlite3://{}/events.db"])
    def written(self, request: pytest.FixtureRequest, tmp_path: Path) -> Written:
        source = request.param.format(tmp_path)
        write_events(Path(source.rpartition("://")[2]))
        return Written(source, source.replace(tmp_path.name, "elsewhere"))


class TestMeanEncoder(EncoderContract):
    @pytest.fixture
    def build(self) -> Build:
        return loaded("encoders", "mean")  # type: ignore[no-any-return]


class TestShift(ConditionerContract):
    @pytest.fixture
    def build(self) -> Build:
        return loaded("conditioners", "shift")  # type: ignore[no-any-return]


class TestDirections(ClustererContract):
    @pytest.fixture
    def build(self) -> Build:
        return loaded("clusterers", "directions")  # type: ignore[no-any-return]
