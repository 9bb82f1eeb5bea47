"""A whole file of newcomers: every format, in parts, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from clusterseq.errors import ConfigError, DataError
from clusterseq.using.batch import recommend_file
from clusterseq.using.recommender import Recommender

READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".parquet": pl.read_parquet,
    ".csv": pl.read_csv,
    ".jsonl": pl.read_ndjson,
}
NEWCOMERS = pl.DataFrame(
    {
        "user": ["zoe", "ann", "zoe", "bob", "ann"],
        "item": ["i03", "i40", "i07", "unknown", "i41"],
        "time": [1, 2, 3, 4, 5],
    }
)


@pytest.fixture(scope="module")
def recommender(model_directory: Path) -> Recommender:
    return Recommender.load(model_directory)


def expected(recommender: Recommender, k: int) -> list[tuple[str, int, object]]:
    histories = {"ann": ["i40", "i41"], "bob": [], "zoe": ["i03", "i07"]}
    return [
        (user, rank, item)
        for user, history in histories.items()
        for rank, item in enumerate(recommender.recommend(history, k).ids, start=1)
    ]


@pytest.mark.parametrize("ending", READERS)
def test_one_row_per_person_and_rank(recommender: Recommender, tmp_path: Path, ending: str) -> None:
    output = tmp_path / "deep" / f"recs{ending}"
    summary = recommend_file(recommender, NEWCOMERS, output, k=4)
    rows = READERS[ending](output)
    assert rows.columns == ["user", "rank", "item", "score"]
    assert rows.select("user", "rank", "item").rows() == expected(recommender, 4)
    best = recommender.recommend(["i40", "i41"]).items[0]
    assert rows["score"][0] == pytest.approx(best.score, rel=1e-5)
    assert (summary.users, summary.rows, summary.coverage) == (3, 12, 0.8)
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def test_many_parts_give_the_same_file(
    recommender: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recommend_file(recommender, NEWCOMERS, tmp_path / "one.parquet")
    monkeypatch.setattr("clusterseq.using.batch.ROWS_PER_PART", 19)
    seen: list[tuple[int, int]] = []
    recommend_file(
        recommender,
        NEWCOMERS,
        tmp_path / "many.parquet",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
    one, many = (pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("one", "many"))
    assert many.drop("score").equals(one.drop("score"))
    assert (many["score"] - one["score"]).abs().max() < 1e-5  # type: ignore[operator]


def test_filters_hold_for_everybody(recommender: Recommender, tmp_path: Path) -> None:
    output = tmp_path / "recs.csv"
    recommend_file(recommender, NEWCOMERS, output, only=["i03", "i40", "i50"], exclude=["i50"])
    rows = pl.read_csv(output).select("user", "item").rows()
    assert sorted(rows) == [("ann", "i03"), ("bob", "i03"), ("bob", "i40"), ("zoe", "i40")]


def test_what_is_stopped_leaves_the_former_file(recommender: Recommender, tmp_path: Path) -> None:
    output = tmp_path / "recs.csv"
    output.write_text("former")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recommend_file(recommender, NEWCOMERS, output, progress=stop)
    assert output.read_text() == "former"
    assert [path.name for path in tmp_path.iterdir()] == ["recs.csv"]


def test_a_wrong_place_is_told_before_anything_is_read(
    recommender: Recommender, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"unknown ending; write to a name that ends in .parquet"):
        recommend_file(recommender, "nowhere.csv", tmp_path / "recs.xlsx")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="is a directory"):
        recommend_file(recommender, "nowhere.csv", tmp_path / "folder.csv")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="name a place that can be written"):
        recommend_file(recommender, "nowhere.csv", tmp_path / "file" / "recs.csv")


def test_what_is_read_is_not_written_over(recommender: Recommender, tmp_path: Path) -> None:
    NEWCOMERS.write_csv(tmp_path / "people.csv")
    before = (tmp_path / "people.csv").read_bytes()
    for source in (tmp_path / "people.csv", tmp_path, str(tmp_path / "*.csv")):
        with pytest.raises(DataError, match="is what is read, and would be lost; name another"):
            recommend_file(recommender, source, tmp_path / "people.csv")
    assert (tmp_path / "people.csv").read_bytes() == before


def test_columns_can_be_named_and_bad_rows_passed_over(
    recommender: Recommender, tmp_path: Path
) -> None:
    strange = NEWCOMERS.rename({"user": "a", "item": "b", "time": "c"})
    bad = pl.concat([strange, pl.DataFrame({"a": [None], "b": ["i03"], "c": [6]})])
    columns: dict[str, Any] = {"user_column": "a", "item_column": "b", "time_column": "c"}
    with pytest.raises(DataError, match="skip_bad="):
        recommend_file(recommender, bad, tmp_path / "recs.csv", **columns)
    recommend_file(recommender, bad, tmp_path / "recs.csv", k=4, skip_bad=True, **columns)
    rows = pl.read_csv(tmp_path / "recs.csv").select("user", "rank", "item").rows()
    assert rows == expected(recommender, 4)


@pytest.mark.parametrize("k", [0, 2.5, True, None])
def test_k_is_a_whole_number(
    unchecked: None, recommender: Recommender, tmp_path: Path, k: Any
) -> None:
    with pytest.raises(ConfigError, match=rf"k = {k} can't be used; give a whole number, 1 or mor"):
        recommend_file(recommender, NEWCOMERS, tmp_path / "recs.csv", k=k)
    with pytest.raises(ConfigError, match=rf"k = {k} can't be used; give a whole number, 1 or mor"):
        recommender.recommend(["i03"], k)
    assert recommend_file(recommender, NEWCOMERS, tmp_path / "recs.csv", k=np.int64(2)).rows == 6  # type: ignore[arg-type]
