"""Means, intervals, tests and groups against what one computes by hand."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest

from clusterseq.bench.own import OWN
from clusterseq.bench.plot import several_k, usual_boards, without_ablations, write_charts
from clusterseq.bench.report import as_csv, as_dict, as_markdown, tables
from clusterseq.bench.results import DONE, FAILED, Cell, Row
from clusterseq.bench.sections import headline, sections
from clusterseq.bench.summary import Summary, compare_people, estimates, summarise
from clusterseq.judging.metrics import bootstrap_interval, paired_test, reciprocal_rank
from clusterseq.report.page import markdown, page

USERS = {0: [3, 5, 9], 1: [3, 5], 2: [9, 11]}
"""Who is tested under each seed."""
RANKS: Mapping[str, Mapping[int, list[float]]] = {
    "clusterseq": {0: [1, 2, 4], 1: [2, 2], 2: [4, 1]},
    "other": {0: [2, 4, 4], 1: [4, 1], 2: [8, 2]},
}
TITLE_OF_COSTS = "What models cost"


def cell(model: str, seed: int, k: int = 3, dataset: str = "films") -> Cell:
    return Cell(dataset, "temporal", seed, k, model, "data", "settings")


def row(one: Cell, ranks: list[float], **facts: Any) -> Row:
    return {
        **vars(one),
        **{"status": DONE, "error": None, "finished": "2024", "threads": 1},
        **{"group": "ours" if one.model == OWN else "classical"},
        **{"users": len(ranks), "items": 10, "known": 20, "coverage": 0.5},
        **{"full_mrr": float(np.mean(1 / np.array(ranks))), "options": '{"rate": 1}'},
        **{"train_s": 1.0 + one.seed, "tuning_s": 4.0, "newcomer_ms": 0.5, "newcomers_timed": 50},
        **{"parameters": None, "start_mb": 200.0, "peak_mb": 300.0},
        **facts,
    }


def ranks_of(one: Cell) -> pl.DataFrame:
    ranks = RANKS[one.model][one.seed]
    groups = ["minor", "major", None][: len(ranks)]
    names = {"user": USERS[one.seed], "full_rank": ranks, "sampled_rank": ranks, "group": groups}
    return pl.DataFrame(
        names, schema_overrides={"full_rank": pl.Float64, "sampled_rank": pl.Float64}
    )


def rows(*seeds: int, k: int = 3, dataset: str = "films") -> list[Row]:
    return [
        row(cell(model, seed, k, dataset), RANKS[model][seed]) for model in RANKS for seed in seeds
    ]


@pytest.fixture(scope="module")
def summary() -> Summary:
    return summarise(rows(0, 1, 2), ranks_of)


def test_means_weigh_every_seed_the_same(summary: Summary) -> None:
    own, other = summary.boards[0].entries
    assert (own.model, own.seeds, own.users) == ("clusterseq", (0, 1, 2), 4)
    assert own.full["mrr"].mean == pytest.approx(np.mean([7 / 12, 1 / 2, 5 / 8]))
    assert own.full["hr@1"].mean == pytest.approx(np.mean([1 / 3, 0, 1 / 2]))
    assert own.mrr_by_seed["2"] == pytest.approx(5 / 8)
    assert other.ratio == pytest.approx(
        np.mean([1 / 3, 5 / 8, 5 / 16]) / np.mean([7 / 12, 1 / 2, 5 / 8])
    )
    assert other.costs["train_s"] == 2.0
    assert other.costs["parameters"] is None
    assert own.groups["minor"].users == 2, "3 under two seeds and 9 under one"
    assert own.groups["minor"].full["mrr"].mean == pytest.approx(np.mean([1, 1 / 2, 1 / 4]))


def test_the_test_is_over_distinct_people(summary: Summary) -> None:
    own, other = summary.boards[0].entries
    assert own.test is None
    assert own.ratio == 1
    # 3: ½ and ¼; 5: ½ − ¼ and ½ − 1; 9: ¼ − ¼ and ¼ − ⅛; 11: 1 − ½, each averaged first.
    mine, theirs = np.array([3 / 4, 1 / 2, 1 / 4, 1]), np.array([3 / 8, 5 / 8, 3 / 16, 1 / 2])
    expected = paired_test(1 / theirs, 1 / mine, flips=2000)
    assert other.test == expected
    assert expected.difference == pytest.approx(-13 / 64)


def test_a_person_repeated_over_seeds_makes_nobody_surer() -> None:
    generator = np.random.default_rng(0)
    ranks = generator.integers(1, 9, 400).astype(float)
    one = pl.DataFrame({"user": range(400), "seed": [0] * 400, "full_rank": ranks})
    copies = [one.with_columns(seed=pl.lit(seed, pl.Int64)) for seed in range(5)]
    five = pl.concat(copies)
    once, often = (estimates(f["full_rank"].to_numpy(), f)["mrr"] for f in (one, five))
    assert (often.mean, often.low, often.high) == pytest.approx((once.mean, once.low, once.high))
    low, high = bootstrap_interval(reciprocal_rank(ranks), np.random.default_rng(1))
    assert (once.low, once.high) == pytest.approx((low, high), abs=0.01)
    other = one.with_columns(full_rank=generator.permutation(ranks))
    single = compare_people(one, other)
    repeated = compare_people(
        five, pl.concat(other.with_columns(seed=pl.lit(s, pl.Int64)) for s in range(5))
    )
    assert single is not None
    assert repeated is not None
    assert repeated[1].p_value == pytest.approx(single[1].p_value, abs=0.03)


def test_only_seeds_of_both_are_compared() -> None:
    given = [one for one in rows(0, 1, 2) if one["model"] == "other" or one["seed"] == 0]
    own, other = summarise(given, ranks_of).boards[0].entries
    assert (own.seeds, other.seeds) == ((0,), (0, 1, 2))
    assert other.ratio == pytest.approx((1 / 3) / (7 / 12))
    alone = [one for one in given if one["model"] == "other"]
    (entry,) = summarise(alone, ranks_of).boards[0].entries
    assert entry.ratio is None
    assert entry.test is None


def test_what_has_failed_is_told_and_counts_nowhere() -> None:
    broken = row(cell("other", 1), [1.0], status=FAILED, error="out of luck")
    found = summarise([*rows(0), broken], ranks_of)
    assert [entry.seeds for entry in found.boards[0].entries] == [(0,), (0,)]
    assert "other on films (temporal), seed 1, K = 3: out of luck" in as_markdown(found)
    assert as_dict(found)["failed"][0]["error"] == "out of luck"
    nothing = summarise([broken], ranks_of)
    assert as_csv(nothing) == "\n"
    assert not list(tables(nothing))


def test_reports_say_the_same(summary: Summary) -> None:
    values = json.loads(json.dumps(as_dict(summary), allow_nan=False))
    own = values["results"][0]["entries"][0]
    head, *lines = as_csv(summary).splitlines()
    flat = dict(zip(head.split(","), lines[0].split(","), strict=True))
    assert float(flat["full_mrr_high"]) == own["full"]["mrr"]["high"]
    assert flat["seeds"] == "0 1 2"
    assert flat["p_value"] == flat["parameters"] == ""
    mean, low, high = (own["full"]["mrr"][name] for name in ("mean", "low", "high"))
    assert f"| clusterseq | 3 | {mean:.4f} [{low:.4f}, {high:.4f}] |" in as_markdown(summary)
    assert len(list(tables(summary))) == 2


def test_the_page_says_the_same(summary: Summary) -> None:
    found = list(sections(summary))
    titles = [one.title for one in found]
    assert titles == ["films (temporal), K = 3", "Accuracy against training time", TITLE_OF_COSTS]
    own, other = summary.boards[0].entries
    assert own.model == OWN
    assert other.ratio is not None
    assert f"{1 / other.ratio:.2f} times that of other, the best of the others" in found[0].sees
    text = markdown("night", headline(summary), found)
    assert all(f"{entry.full['mrr'].mean:.4f} [" in text for entry in (own, other))
    assert f"{1 / other.ratio:.2f} – {1 / other.ratio:.2f}" in text
    assert page("night", headline(summary), found).count("<svg") == 2


def test_the_page_of_several_k_and_of_what_has_failed() -> None:
    broken = row(cell("other", 1), [1.0], status=FAILED, error="out of luck")
    found = list(sections(summarise([*rows(0, k=1), *rows(0), broken], ranks_of)))
    (over_k,) = (one for one in found if one.title == "How many items it takes")
    assert over_k.table is not None
    assert [line[2] for line in over_k.table.rows] == ["other", OWN, "other", OWN]
    assert found[-1].title == "Failed"
    (alone,) = sections(summarise([broken], ranks_of))
    assert alone.title == "Failed"


def test_charts_are_the_same_bytes_again(summary: Summary, tmp_path: Any) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    names = [path.name for path in write_charts(first, summary)]
    assert names == ["accuracy-time.svg", "accuracy-time.png"]
    write_charts(again, summary)
    for name in names:
        assert (first / name).read_bytes() == (again / name).read_bytes()


def test_charts_show_each_data_set_once_and_curves_where_there_are_some() -> None:
    boards = summarise([*rows(0, k=1), *rows(0), *rows(0, k=5, dataset="food")], ranks_of).boards
    assert [(b.dataset, b.k) for b in boards] == [("films", 1), ("films", 3), ("food", 5)]
    assert [(b.dataset, b.k) for b in usual_boards(boards)] == [("films", 3), ("food", 5)]
    assert [[b.k for b in curve] for curve in several_k(boards)] == [[1, 3]]


def test_charts_leave_out_ablations(summary: Summary) -> None:
    board = summary.boards[0]
    own, other = board.entries
    ablation = dataclasses.replace(other, model="clusterseq -memory")
    paper = dataclasses.replace(other, model="clusterseq-paper")
    whole = dataclasses.replace(board, entries=(own, ablation, paper))
    assert without_ablations(whole).entries == (own, paper)
