"""What former versions wrote is still read as they meant it (docs/compatibility.md)."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clusterseq.data.dataset import Dataset
from clusterseq.errors import DataError
from clusterseq.learning.checkpoint import load_checkpoint
from clusterseq.using.update import update_checkpoint
from tests.fixtures.make import DATA, EXPECTED, MODEL, contents

FIXTURES = Path(__file__).parent / "fixtures"
PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
FORMER = sorted(path for path in FIXTURES.iterdir() if (path / EXPECTED).exists())


@pytest.fixture(params=FORMER, ids=lambda path: path.name)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of what a version wrote, since a store is written to when it is opened."""
    former: Path = request.param
    return shutil.copytree(former, tmp_path / former.name)


def test_this_version_has_left_its_files_too() -> None:
    version = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["version"]
    assert version.rpartition(".")[0] in [path.name for path in FORMER]


def test_what_a_former_version_wrote_is_read_as_it_was(written: Path) -> None:
    expected = json.loads((written / EXPECTED).read_text(encoding="utf-8"))
    found = json.loads(json.dumps(contents(written)))
    assert found["sequences"] == expected["sequences"]
    assert found["histories"] == expected["histories"]
    for now, then in zip(found["recommended"], expected["recommended"], strict=True):
        assert unscored(now) == unscored(then)
        assert scores(now) == pytest.approx(scores(then), rel=1e-4)


def test_a_former_model_is_updated_with_a_former_data_set(written: Path) -> None:
    former, data = load_checkpoint(written / MODEL), Dataset.load(written / DATA)
    with pytest.raises(DataError, match="has these events already"):
        update_checkpoint(former, data)
    some = np.arange(0, len(data.users), 2)  # who stand for others
    later = Dataset(data.sequences.select(some), data.users.select(some), data.items, data.report)
    found = update_checkpoint(former, later, epochs=1).checkpoint
    assert found.items == former.items
    assert (found.item_counts >= former.item_counts).all()
    assert found.item_counts.sum() > former.item_counts.sum()


def unscored(person: dict[str, Any]) -> dict[str, Any]:
    return {**person, "items": [{**item, "score": None} for item in person["items"]]}


def scores(person: dict[str, Any]) -> list[float]:
    return [item["score"] for item in person["items"]]
