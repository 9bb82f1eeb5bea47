"""Tuning: ranges are read or refused, a search goes on where it was, and ends in usable options."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clusterseq.cli import main
from clusterseq.config import Config
from clusterseq.errors import ConfigError, DataError
from clusterseq.learning import tuning
from clusterseq.learning.ranges import Range
from clusterseq.learning.train import fit
from clusterseq.learning.tuning import Search, best_assignments, importances, open_search
from clusterseq.machine.unfinished import exclusive_lock
from clusterseq.overrides import flat
from clusterseq.values import read_toml
from tests.tiny import CONFIG, KNOWN, N_ITEMS, VALIDATION, tiny

RANGES = [
    Range.parse(text, CONFIG)
    for text in ("model.dim=2:6", "model.scale=4:16:log", "model.attention=true|false")
]


def search(**changes: Any) -> Search:
    values = {"known": KNOWN, "validation": VALIDATION, "n_items": N_ITEMS, "config": CONFIG}
    return Search(**{**values, "ranges": RANGES, **changes})


def collect() -> tuple[list[tuple[int, float | None]], Callable[..., None]]:
    told: list[tuple[int, float | None]] = []

    def tell(number: int, value: float | None, parameters: Mapping[str, Any]) -> None:
        assert set(parameters) == {one.option for one in RANGES}
        told.append((number, value))

    return told, tell


def test_whole_numbers_stay_within_their_range() -> None:
    within = Range.parse("train.window=5.4:7.6", CONFIG)
    assert (within.low, within.high) == (6, 7)
    with pytest.raises(ConfigError, match="is empty"):
        Range.parse("train.window=5.4:5.6", CONFIG)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model.dim", "can't be read"),
        ("model.dim=", "can't be read"),
        ("model.dim=1:2:3", "can't be read"),
        ("model.dim=8:4", "is empty"),
        ("model.scale=0:4:log", "is empty"),
        ("model.dim=a:b", "'a' is not a number"),
        ("model.dim=32:inf", "'inf' is not a number"),
        ("train.window=1:1e400", "'1e400' is not a number"),
        ("model.dim=nan:64", "'nan' is not a number"),
        ("model.dims=2:4", 'did you mean "dim"'),
        ("model.dropout=0.5:1.5", "below 1"),
        ("model.meta=second|fourth", "one of"),
        ("data.new_share=0.1:0.4", "people are split once"),
    ],
)
def test_a_range_that_means_nothing_is_refused(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Range.parse(text, Config())


def test_a_search_goes_on_and_its_best_options_can_be_used(tmp_path: Path) -> None:
    first, tell = collect()
    search().run(tmp_path, 3, tell)
    assert [number for number, _ in first] == [1, 2, 3]
    more, tell = collect()
    study = search().run(tmp_path, 6, tell)
    proposed = [tuple(trial.params.values()) for trial in study.trials]
    assert len(set(proposed)) == 6, "going on, it proposes something else"
    assert [number for number, _ in more] == [4, 5, 6]
    assert study.best_value == max(value for _, value in [*first, *more] if value is not None)
    assert study.best_value < 0, "a log-likelihood"
    best = best_assignments(study, RANGES, CONFIG)
    assert set(best) == {one.option for one in RANGES}
    assert 2 <= int(best["model.dim"]) <= 6
    nothing, tell = collect()
    search().run(tmp_path, 6, tell)
    assert nothing == []
    found = importances(study)
    assert set(found) == {one.option for one in RANGES}


def test_the_same_seed_proposes_the_same(tmp_path: Path) -> None:
    values = []
    for place in ("a", "b"):
        told, tell = collect()
        search(seed=3).run(tmp_path / place, 3, tell)
        values.append(told)
    assert values[0] == values[1]


def test_what_a_teacher_reaches_is_not_the_models(tmp_path: Path) -> None:
    told, tell = collect()
    taught = tiny({"members": 1}, teacher_members=2, teacher_dim=6)
    study = search(config=taught).run(tmp_path, 1, tell)
    epochs = taught.train.pretrain_epochs + taught.train.meta_epochs
    (trial,) = study.trials
    assert len(trial.intermediate_values) == epochs
    assert told[0][1] == max(trial.intermediate_values.values())


def test_without_pretraining_mrr_judges(tmp_path: Path) -> None:
    study = search(config=tiny({}, pretrain_epochs=0)).run(tmp_path, 2, lambda *told: None)
    assert 0 < study.best_value <= 1
    mixed = [Range.parse("train.pretrain_epochs=0:2", CONFIG)]
    with pytest.raises(ConfigError, match=r"let train\.pretrain_epochs be 1"):
        search(ranges=mixed).run(tmp_path / "mixed", 1, lambda *told: None)


def test_a_trial_without_an_epoch_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has nothing to be judged by"):
        search(config=tiny({}, pretrain_epochs=0, meta_epochs=0)).run(tmp_path, 1, lambda *_: None)


def test_options_that_came_later_are_as_whole_as_others() -> None:
    one = Range.parse("train.teacher_dim=64:256", CONFIG)
    assert one.whole(CONFIG)
    assert flat(CONFIG)["train.teacher_dim"] == 128


def test_what_was_tried_already_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []

    def counted(*arguments: Any, **options: Any) -> Any:
        trained.append(arguments[2].model.dim)
        return fit(*arguments, **options)

    monkeypatch.setattr(tuning, "fit", counted)
    told: list[tuple[int, float | None, Mapping[str, Any]]] = []
    two = [Range.parse("model.dim=4|6", CONFIG)]
    search(ranges=two).run(tmp_path, 8, lambda *each: told.append(each))
    assert sorted(trained) == [4, 6]
    assert [number for number, _, _ in told] == [*range(1, 9)]
    assert len({(value, *parameters.items()) for _, value, parameters in told}) == 2


def test_an_option_has_one_range(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.dim has two ranges"):
        search(ranges=[*RANGES, RANGES[0]]).run(tmp_path, 1, lambda *told: None)


def test_a_search_of_something_else_is_refused(tmp_path: Path) -> None:
    search().run(tmp_path, 1, lambda *told: None)
    with pytest.raises(ConfigError, match="search of something else"):
        search(ranges=RANGES[:1]).run(tmp_path, 2, lambda *told: None)
    for other in ({"seed": 1}, {"validation": KNOWN}, {"known": VALIDATION}):
        with pytest.raises(ConfigError, match="search of something else"):
            search(**other).run(tmp_path, 2, lambda *told: None)


def test_what_is_stopped_is_not_counted(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(*told: Any) -> None:
        raise Stop

    with pytest.raises(Stop):
        search().run(tmp_path, 4, stop)
    study = open_search(tmp_path)
    trial = study.ask()  # as a kill would leave it
    assert trial.number == 1
    told, tell = collect()
    search().run(tmp_path, 2, tell)
    assert [number for number, _ in told] == [2]


def test_nobody_to_judge_is_told(tmp_path: Path) -> None:
    nobody = KNOWN.select(np.array([], dtype=np.int64))
    with pytest.raises(DataError, match="nobody can judge"):
        search(validation=nobody).run(tmp_path, 1, lambda *told: None)


def test_the_command_writes_what_train_reads(
    events_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "search"
    fixed = ["train.pretrain_epochs=1", "train.meta_epochs=0", "model.members=1", "model.dim=4"]
    words = ["tune", str(events_file), "--out", str(out), "--trials", "4", "--split", "random"]
    words += [word for one in fixed for word in ("--set", one)]
    words += ["--range", "model.scale=5:20:log", "--range", "model.dropout=0.1|0.4"]
    assert main(words) == 0
    told = capsys.readouterr()
    assert told.out.strip() == f"train --config {out / 'best.toml'}"
    assert "trial 4: validation log likelihood" in told.err
    best = read_toml(out / "best.toml")
    assert 5 <= best.model.scale <= 20
    assert best.model.dropout in (0.1, 0.4)
    assert best.model.dim == 4
    assert len((out / "trials.csv").read_text().splitlines()) == 5
    with sqlite3.connect(out / "search.db") as database:
        assert database.execute("select count(*) from trials").fetchone() == (4,)


@pytest.mark.parametrize("name", ["q?x#y", "z%20b", "ü:@ &"])
def test_a_search_is_kept_where_it_was_named(tmp_path: Path, name: str) -> None:
    search().run(tmp_path / name, 1, lambda *told: None)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert [path.name for path in (tmp_path / name).iterdir()] == ["search.db"]


def test_a_place_that_cannot_keep_a_search_is_told_before_reading(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "search.db").write_text("no database " * 99)
    with exclusive_lock(tmp_path / "busy"):
        for place, told in (
            (tmp_path / "file", "File exists; name another place"),
            (Path("/proc/foo"), "name another place"),
            (tmp_path / "damaged", "search.db: file is not a database"),
            (tmp_path / "busy", "another training is at work here"),
        ):
            assert main(["tune", "nowhere.csv", "--out", str(place)]) == 2
            assert told in (err := capsys.readouterr().err)
            assert "clusterseq help output tells more" in err
    assert (tmp_path / "file").read_text() == "mine"


def test_what_cannot_be_built_is_refused_before_a_trial() -> None:
    with pytest.raises(ConfigError, match='encoder "nosuch" is unknown here'):
        Range.parse("model.encoder=gru|nosuch", CONFIG)
    with pytest.raises(ConfigError, match="training sets it to the size of the catalogue"):
        Range.parse("model.n_items=2:5", CONFIG)


def test_a_search_without_a_finished_trial_can_become_another(tmp_path: Path) -> None:
    empty = search(ranges=[Range.parse("train.pretrain_epochs=1:2", CONFIG)])
    empty.run(tmp_path, 0, lambda *told: None)
    first, tell = collect()
    search().run(tmp_path, 1, tell)
    assert len(first) == 1
