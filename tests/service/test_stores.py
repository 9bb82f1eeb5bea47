"""All history stores keep the contract."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from clusterseq.service.store import open_store
from clusterseq.service.store.sqlite import SQLiteStore
from clusterseq.testing import Place, StoreContract
from tests.service.conftest import Clock


class TestStores(StoreContract):
    """Every kind of store."""

    @pytest.fixture(params=["sqlite", "memory", "redis"])
    def empty(self, request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Place:
        if request.param == "redis":
            url = request.getfixturevalue("redis_url")
            return Place(lambda retention: open_store(url, retention), time.sleep)
        shared = request.param == "sqlite"
        path = tmp_path / "store.db" if shared else None
        return Place(lambda retention: SQLiteStore(path, retention, clock), clock.wait, shared)
