"""All readers of files keep the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from clusterseq.testing import ReaderContract
from clusterseq.testing.readers import EVENTS, Written

TYPED = {"user": "user_id:token", "item": "item_id:token", "time": "timestamp:float"}
WRITERS: Mapping[str, Callable[[Path], Any]] = {
    "csv": EVENTS.write_csv,
    "tsv": lambda path: EVENTS.write_csv(path, separator="\t"),
    "jsonl": EVENTS.write_ndjson,
    "parquet": EVENTS.write_parquet,
    "inter": lambda path: EVENTS.rename(TYPED).write_csv(path, separator="\t"),
    "csv.gz": lambda path: EVENTS.write_csv(path, compression="gzip"),
}


class TestReaders(ReaderContract):
    """Every format."""

    @pytest.fixture(params=WRITERS)
    def written(self, request: pytest.FixtureRequest, tmp_path: Path) -> Written:
        path = tmp_path / f"events.{request.param}"
        WRITERS[request.param](path)
        return Written(str(path), str(tmp_path / f"nothing.{request.param}"))
