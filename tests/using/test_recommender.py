"""Raw ids in, ranked raw ids out: what a recommendation promises to somebody never seen."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from clusterseq.config import ModelConfig
from clusterseq.data.histories import Histories
from clusterseq.errors import CheckpointError, ConfigError, DataError
from clusterseq.learning.checkpoint import Checkpoint, save_checkpoint
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.reading.vocab import Vocabulary
from clusterseq.using.recommendations import Recommendations
from clusterseq.using.recommender import Recommender


@pytest.fixture(scope="module")
def recommender(model_directory: Path) -> Recommender:
    return Recommender.load(model_directory)


def with_integer_ids(recommender: Recommender) -> Recommender:
    checkpoint = recommender.checkpoint
    items = Vocabulary.from_ids(range(100, 100 + len(checkpoint.items)))
    return Recommender(dataclasses.replace(checkpoint, items=items))


def test_items_are_ranked_by_the_models_scores(recommender: Recommender) -> None:
    history = ["i03", "i07", "i01"]
    found = recommender.recommend(history, k=5)
    codes = recommender.items.encode(history)
    scores = recommender.ranker.score(Histories.from_lists([codes]))[0]
    scores[torch.from_numpy(codes).long()] = -torch.inf
    expected = scores.argsort(descending=True, stable=True)[:5]
    assert found.ids == recommender.items.decode(expected.numpy())
    np.testing.assert_allclose([one.score for one in found], scores[expected], rtol=1e-6)


def test_a_batch_is_the_same_as_one_by_one(recommender: Recommender) -> None:
    histories = [["i03", "i07"], [], ["nobody knows"], ["i01"] * 30]
    together = recommender.recommend(histories, k=4)
    alone = [recommender.recommend(history, k=4) for history in histories]
    assert [one.ids for one in together] == [one.ids for one in alone]
    assert [one.ignored_items for one in together] == [(), (), ("nobody knows",), ()]
    assert [one.cluster for one in together] == [one.cluster for one in alone]


def test_a_large_batch_is_scored_in_parts(
    recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    histories = [[f"i{person:02}"] for person in range(20)]
    whole = recommender.recommend(histories)
    monkeypatch.setattr("clusterseq.model.catalogue.SCORES_AT_ONCE", 0)
    monkeypatch.setattr("clusterseq.model.catalogue.PEOPLE_AT_LEAST", 3)
    parts = recommender.recommend(histories)
    assert [one.ids for one in parts] == [one.ids for one in whole]


def test_another_process_refuses_a_model_that_was_replaced(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "model", checkpoint)
    sent = pickle.dumps(Recommender.load(tmp_path / "model"))
    assert pickle.loads(sent).recommend(["i03"]).ids
    model = copy.deepcopy(checkpoint.model)
    model.items.embedding.data.neg_()
    save_checkpoint(tmp_path / "model", dataclasses.replace(checkpoint, model=model))
    newer = pickle.dumps(Recommender.load(tmp_path / "model"))
    assert torch.equal(pickle.loads(newer).checkpoint.model.items.embedding, model.items.embedding)
    with pytest.raises(CheckpointError, match="another model than the one that was sent"):
        pickle.loads(sent)


def test_a_list_of_one_history_gives_a_list(recommender: Recommender) -> None:
    single, batch = recommender.recommend(["i03"]), recommender.recommend([["i03"]])
    assert_type(single, Recommendations)
    assert_type(batch, list[Recommendations])
    assert isinstance(single, Recommendations)
    assert isinstance(batch, list)
    assert batch[0].ids == single.ids


def test_what_was_touched_is_not_recommended_unless_asked_for(recommender: Recommender) -> None:
    history = ["i03", "i07"]
    n_items = len(recommender.items)
    assert not set(history) & set(recommender.recommend(history, k=n_items).ids)
    assert set(history) < set(recommender.recommend(history, k=n_items, filter_seen=False).ids)


def test_all_that_was_touched_is_left_out_also_beyond_what_the_model_reads(
    recommender: Recommender,
) -> None:
    history = recommender.items.ids[:40]
    assert len(history) > recommender.checkpoint.config.model.max_steps
    assert set(recommender.recommend(history, k=99).ids) == set(recommender.items.ids[40:])


def test_only_and_exclude_choose_the_candidates(recommender: Recommender) -> None:
    found = recommender.recommend(
        ["i03"], k=9, only=["i10", "i11", "i03", "?"], exclude=["i11", "?"]
    )
    assert found.ids == ["i10"]
    assert recommender.recommend(["i03"], only=["?"]).ids == []
    assert recommender.recommend(["i03"], only=[]).ids == []


def test_k_beyond_the_catalogue_is_the_catalogue(recommender: Recommender) -> None:
    found = recommender.recommend([], k=10_000)
    assert sorted(map(str, found.ids)) == recommender.items.ids


def test_an_empty_history_gets_the_prior_and_an_unknown_one_too(recommender: Recommender) -> None:
    prior = recommender.recommend([])
    unknown = recommender.recommend(["?", "!", "?"])
    assert unknown.ids == prior.ids
    assert unknown.ignored_items == ("?", "!")
    model = recommender.checkpoint.model
    popularity = model.cluster_sizes @ model.cluster_popularity
    assert prior.ids[0] == recommender.items.ids[int(popularity.argmax())]


def test_integer_ids_come_back_as_integers(recommender: Recommender) -> None:
    numbered = with_integer_ids(recommender)
    found = numbered.recommend([103, "107", "0103", 5])
    assert all(type(item) is int for item in found.ids)
    assert found.ignored_items == ("0103", 5)
    strings = recommender.recommend(["i03", "i07"])
    assert found.ids == [100 + int(code) for code in recommender.items.encode(strings.ids)]


def test_arrays_are_lists_too(recommender: Recommender) -> None:
    numbered = with_integer_ids(recommender)
    found = numbered.recommend(np.array([103, 5]))  # type: ignore[call-overload]
    assert found.ids == numbered.recommend([103, 5]).ids
    assert json.dumps(found.to_dict()["ignored_items"]) == "[5]"


IDS: dict[str, Callable[[list[int | None]], Any]] = {
    "pandas": pd.Series,
    "nullable pandas": lambda ids: pd.Series(ids, dtype="Int64"),
    "polars": pl.Series,
    "pyarrow": pa.array,
    "array of floats": lambda ids: np.array(ids, dtype=float),
    "tensor": lambda ids: torch.tensor([float("nan") if raw is None else raw for raw in ids]),
    "tensors": lambda ids: [torch.tensor(raw) for raw in ids if raw is not None],
    "arrays": lambda ids: [np.array(raw) for raw in ids if raw is not None],
    "set": set,
}


@pytest.mark.parametrize("kind", IDS)
def test_ids_are_understood_in_whatever_keeps_them(
    unchecked: None, recommender: Recommender, kind: str
) -> None:
    numbered = with_integer_ids(recommender)
    given = IDS[kind]([110, None, 111])
    assert sorted(numbered.recommend([], only=given).ids) == [110, 111]
    assert {110, 111}.isdisjoint(numbered.recommend([], k=999, exclude=given).ids)
    if kind != "set":
        assert numbered.recommend(given) == numbered.recommend([110, 111])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([[1010]], r"holds \[1010\], which is no id; give strings and whole numbers alone"),
        ([10.5], "holds 10.5, which"),
        ([True], "holds True, which"),
        ([b"1010"], "holds b'1010', which"),
        (pl.DataFrame({"item": [1010]}), "is of type DataFrame"),
        (pd.DataFrame({"item": [1010]}), "is of type DataFrame"),
        (pa.table({"item": [1010]}), "is of type Table"),
        (np.array(1010), "is the single value 1010; give a list"),
        (torch.tensor(1010), "is the single value 1010; give a list"),
    ],
)
def test_a_filter_that_is_not_understood_is_refused(
    unchecked: None, recommender: Recommender, given: Any, told: str
) -> None:
    for name in ("only", "exclude"):
        with pytest.raises(DataError, match=f"{name} {told}"):
            recommender.recommend([], **{name: given})


@pytest.mark.parametrize(
    "batch",
    [
        np.empty((0, 3)),
        torch.empty((0, 3)),
        pl.Series([], dtype=pl.List(pl.String)),
        pl.Series([], dtype=pl.Array(pl.Int64, 3)),
        pa.array([], type=pa.list_(pa.string())),
    ],
)
def test_a_batch_of_nobody_is_empty(recommender: Recommender, batch: Any) -> None:
    assert recommender.recommend(batch) == []
    assert isinstance(recommender.recommend([]), Recommendations)
    assert isinstance(recommender.recommend(pl.Series([], dtype=pl.String)), Recommendations)  # type: ignore[call-overload]


def test_lists_of_histories_are_understood_in_whatever_keeps_them(recommender: Recommender) -> None:
    numbered = with_integer_ids(recommender)
    expected = numbered.recommend([[110, 111], [112, 113]])
    table = np.array([[110, 111], [112, 113]])
    lists: list[Any] = [table, torch.from_numpy(table), pl.Series([*table]), pa.array([*table])]
    for given in (*lists, list(table), pd.Series([*table])):
        assert numbered.recommend(given) == expected


FORKED = """
import os, sys, torch, clusterseq
recommender = clusterseq.Recommender.load(sys.argv[1])
before = recommender.recommend(["i03"])
for threads in (1, 2):
    torch.set_num_threads(threads)
    if not os.fork():
        try:
            print(recommender.recommend(["i03"]).ids == before.ids, flush=True)
        except clusterseq.ConfigError as error:
            print(error, flush=True)
        os._exit(0)
    os.wait()
"""


def test_a_forked_process_is_told_and_does_not_hang(model_directory: Path) -> None:
    words = [sys.executable, "-W", "ignore", "-c", FORKED, str(model_directory)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    fine, told = done.stdout.splitlines()
    assert fine == "True"
    assert "loaded before this process was forked" in told
    assert "get_context('spawn')" in told


def test_titles_go_along(recommender: Recommender) -> None:
    best = recommender.recommend(["i03"]).items[0]
    assert best.title == f"[item] {best.item}"
    untitled = Recommender(dataclasses.replace(recommender.checkpoint, titles=None))
    assert untitled.recommend(["i03"]).items[0].title is None
    assert "title" not in untitled.recommend(["i03"]).to_dict()["items"][0]


def test_the_layout_of_the_json(recommender: Recommender) -> None:
    values = json.loads(json.dumps(recommender.recommend(["i03", "?"], k=2).to_dict()))
    assert list(values) == ["items", "cluster", "ignored_items"]
    assert [list(one) for one in values["items"]] == [["item", "score", "title"]] * 2
    assert values["cluster"] in range(3)
    assert values["ignored_items"] == ["?"]


def test_reasons_are_given_if_asked(recommender: Recommender) -> None:
    plain, found = (recommender.recommend(["i03", "?", "i07"], explain=e) for e in (False, True))
    assert plain.items[0].why is None
    assert "why" not in plain.to_dict()["items"][0]
    assert found.ids == plain.ids
    for one in found:
        assert one.why is not None
        assert sum(one.why.parts.values()) == pytest.approx(one.score, abs=1e-4)
        assert [because.item for because in one.why.history] == ["i03", "i07"]
    told = json.loads(json.dumps(found.to_dict()))["items"][0]["why"]
    assert list(told["history"][0]) == ["item", "gain", "attention"]
    batch = recommender.recommend([["i03", "i07"], []], explain=True)
    assert batch[0].items[0].why == found.items[0].why
    assert batch[1].items[0].why is not None
    assert batch[1].items[0].why.history == ()


def test_the_cluster_is_the_likeliest_or_none(
    recommender: Recommender, checkpoint: Checkpoint
) -> None:
    codes = recommender.items.encode(["i03", "i07"])
    shares = checkpoint.model.assign(Histories.from_lists([codes]))
    assert recommender.recommend(["i03", "i07"]).cluster == int(shares.argmax())
    config = ModelConfig(n_items=len(checkpoint.items), dim=4, clustering=False, memory=False)
    plain = dataclasses.replace(checkpoint, model=ClusterSeq(config))
    assert Recommender(plain).recommend(["i03"]).cluster is None


@pytest.mark.parametrize(
    ("history", "told"),
    [
        ("i03", r"single value 'i03'; give a list: \['i03'\]"),
        (7, r"single value 7; give a list: \[7\]"),
        (None, "of type NoneType; give a list of item ids, oldest first"),
        ({"i03", "i07"}, "of type set; give a list of item ids, oldest first"),
        (["i03", ["i07"]], "mixes ids and lists"),
        ([["i03"], {"i07"}], "of type set"),
    ],
)
def test_what_is_no_history_is_refused(recommender: Recommender, history: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        recommender.recommend(history)


def test_filters_must_be_lists_and_k_positive(recommender: Recommender) -> None:
    with pytest.raises(DataError, match="exclude is the single value 'i03'"):
        recommender.recommend([], exclude="i03")
    with pytest.raises(DataError, match="only is the single value 'i03'"):
        recommender.recommend([], only="i03")
    with pytest.raises(ConfigError, match="k = 0"):
        recommender.recommend([], k=0)
