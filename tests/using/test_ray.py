"""The same commands on a Ray that is started once: same bytes, and nothing is lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import polars as pl
import pytest

from clusterseq.data.prepare import prepare_dataset
from clusterseq.errors import DataError
from clusterseq.learning.checkpoint import Checkpoint
from clusterseq.machine.mapping import by_ray, ray_data
from clusterseq.using.batch import recommend_file
from clusterseq.using.recommender import Recommender

pytestmark = [
    # Ray leaves files and sockets to be closed by nobody, and warns of its own next release.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


@pytest.fixture(autouse=True)
def _quiet(ray_address: str) -> None:
    ray_data()


def test_shards_are_the_same_bytes(tmp_path: Path, events_frame: pl.DataFrame) -> None:
    (tmp_path / "events").mkdir()
    for number, part in enumerate(events_frame.iter_slices(500)):
        part.write_csv(tmp_path / "events" / f"{number}.csv")
    prepare_dataset(tmp_path / "events", tmp_path / "here", shards=3)
    prepare_dataset(tmp_path / "events", tmp_path / "there", shards=3, mapper=by_ray)
    here, there = (sorted((tmp_path / name).iterdir()) for name in ("here", "there"))
    assert [path.name for path in here] == [path.name for path in there]
    assert [path.read_bytes() for path in here] == [path.read_bytes() for path in there]


def test_recommendations_are_the_same(
    tmp_path: Path,
    events_frame: pl.DataFrame,
    model_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("clusterseq.using.batch.ROWS_PER_PART", 600)
    recommender = Recommender.load(model_directory)
    recommend_file(recommender, events_frame, tmp_path / "here.csv")
    recommend_file(recommender, events_frame, tmp_path / "there.csv", mapper=by_ray)
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()


def test_what_a_killed_process_had_in_hand_is_done_once_more(tmp_path: Path) -> None:
    def square(number: int) -> int:
        if number == 3:
            try:
                (tmp_path / "killed").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
            except FileExistsError:
                pass
        return number**2

    assert sorted(by_ray(square, range(6))) == [0, 1, 4, 9, 16, 25]
    assert (tmp_path / "killed").exists()


def test_a_model_that_lies_nowhere_can_not_travel(checkpoint: Checkpoint, tmp_path: Path) -> None:
    rows = pl.DataFrame({"user": ["u"], "item": ["i03"]})
    with pytest.raises(DataError, match="a model that isn't saved can't be pickled"):
        recommend_file(Recommender(checkpoint), rows, tmp_path / "out.csv", mapper=by_ray)
