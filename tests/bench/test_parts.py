"""The smaller parts: names of data sets, choices of models, the store, what a model costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from time import sleep
from typing import get_args

import numpy as np
import polars as pl
import pytest
from torch import Tensor, nn

from clusterseq import cli
from clusterseq.baselines.peer import Kind, Peer, Setting, tune
from clusterseq.baselines.popularity import Popularity
from clusterseq.bench import own
from clusterseq.bench.cell import Job, compute
from clusterseq.bench.cost import learnt_parameters, newcomer_ms, peak_mb
from clusterseq.bench.datasets import BenchData, parse_all
from clusterseq.bench.models import Model, catalogue, choose, chosen
from clusterseq.bench.plan import numbers
from clusterseq.bench.results import DONE, FAILED, Cell, Results, changes, in_force
from clusterseq.bench.split_arrays import SplitArrays
from clusterseq.config import DataConfig
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.errors import ConfigError, DataError, TrainingError
from clusterseq.judging.evaluate import people_to_judge
from clusterseq.presets import PRESETS
from tests.tiny import CONFIG, KNOWN, N_ITEMS, VALIDATION

MODELS = catalogue(PRESETS)


@pytest.mark.parametrize(
    ("text", "path", "split", "name"),
    [
        ("films.parquet", "films.parquet", "temporal", "films"),
        ("a/films.csv.gz:random", "a/films.csv.gz", "random", "films"),
        (r"C:\films.csv", r"C:\films.csv", "temporal", None),
        (r"C:\films.csv:random", r"C:\films.csv", "random", None),
        ("logs/2024/*.csv:temporal", "logs/2024/*.csv", "temporal", "2024"),
    ],
)
def test_a_data_set_may_name_its_split(text: str, path: str, split: str, name: str | None) -> None:
    found = BenchData.parse(text, "temporal")
    assert (found.path, found.split) == (path, split)
    assert name is None or found.name == name


def test_what_is_wrong_with_data_sets_is_told(tmp_path: Path) -> None:
    file = tmp_path / "films.csv"
    file.write_text("user,item\n")
    with pytest.raises(ConfigError, match=r'split "randm" is unknown; write .*films.csv:random'):
        BenchData.parse(f"{file}:randm", "temporal")
    with pytest.raises(ConfigError, match="leaves nobody to judge"):
        BenchData.parse(str(file), "none")
    with pytest.raises(ConfigError, match='two data sets are called "films"'):
        parse_all([str(file), "other/films.parquet"], "temporal")
    assert len(parse_all([str(file), f"{file}:random"], "temporal")) == 2
    with pytest.raises(DataError, match=r"none.csv: no such file"):
        BenchData("none.csv", "random").digest(DataConfig(), {})


def test_events_elsewhere_cannot_be_told_apart_by_their_bytes() -> None:
    with pytest.raises(ConfigError, match="copy it to this machine first"):
        BenchData.parse("s3://bucket/x.parquet", "random")


def test_the_digest_follows_the_bytes_and_how_they_are_read(tmp_path: Path) -> None:
    file = tmp_path / "films.csv"
    file.write_text("user,item\n1,2\n")
    one, config = BenchData(str(file), "random"), DataConfig()
    before = one.digest(config, {})
    assert before == BenchData(str(file), "random").digest(DataConfig(split="none"), {})
    assert before != one.digest(config, {"columns": ["user"]})
    assert before != one.digest(DataConfig(k_core=2), {})
    assert before != BenchData(str(file), "temporal").digest(config, {})
    file.write_text("user,item\n1,3\n")
    assert before != one.digest(config, {})


def test_models_are_chosen_by_name_and_group() -> None:
    words = ["session-knn", " popularity", "session-knn"]
    assert list(chosen(words, PRESETS)) == ["session-knn", "popularity"]
    assert choose("all", MODELS) == list(MODELS)
    presets = ["clusterseq", "clusterseq-small", "clusterseq-paper"]
    assert choose("ours", MODELS)[:4] == [*presets, "clusterseq -members"]
    assert {"popularity", "session-knn"} <= set(choose("classical", MODELS))
    with pytest.raises(ConfigError, match='"sesion-knn" is unknown; did you mean "session-knn"'):
        choose("sesion-knn", MODELS)


def test_every_group_has_its_models() -> None:
    members = {kind: set(choose(kind, MODELS)) for kind in get_args(Kind)}
    assert {"ease", "blend"} <= members["classical"]
    assert {"sasrec", "bert4rec"} <= members["neural"]
    assert {"metatl", "mecos"} <= members["meta"]
    assert sum(len(names) for names in members.values()) == len(MODELS)


def test_our_entries_differ_and_follow_the_options() -> None:
    configs = own.own_configs(PRESETS)
    assert len({repr(one) for one in configs.values()}) == len(configs) == 3 + len(own.ABLATIONS)
    digests = {name: model.digest for name, model in MODELS.items()}
    other = catalogue({**PRESETS, "default": CONFIG})
    changed = {name for name, model in other.items() if model.digest != digests[name]}
    assert changed == {"clusterseq", *(f"clusterseq -{part}" for part in own.ABLATIONS)}


def test_seeds_are_whole_numbers() -> None:
    assert numbers("3,1", "--seeds") == [3, 1]
    with pytest.raises(ConfigError, match=r"--seeds '1,,2' can't be used"):
        numbers("1,,2", "--seeds")
    assert numbers(f"{2**63 - 1}", "--seeds") == [2**63 - 1]
    for text in (str(2**63), "1" * 5000):
        with pytest.raises(ConfigError, match="too large; give 9223372036854775807 at most"):
            numbers(f"0,{text}", "--seeds")


def cell(data: str = "d", settings: str = "s", **others: object) -> Cell:
    values = {"dataset": "films", "split": "random", "seed": 0, "k": 3, "model": "a", **others}
    return Cell(**values, data=data, settings=settings)  # type: ignore[arg-type]


def test_results_of_other_events_or_options_never_mix(tmp_path: Path) -> None:
    results = Results(tmp_path)
    cells = [
        *[cell("old"), cell("old", model="b")],
        *[cell("new"), cell("new", "other"), cell("new", "other", seed=1), cell(dataset="food")],
    ]
    for time, one in enumerate(cells):
        results.write(one, {"status": DONE, "finished": str(time)})
    rows = results.rows()
    assert in_force(rows, []) == rows[3:], "the latest count where nothing is asked for"
    assert in_force(rows, [cell("new")]) == [rows[2], rows[5]]
    assert in_force(rows, [cell("old", "other")]) == [rows[1], rows[5]]
    assert not list(changes(rows, cells))
    (told,) = changes(rows, [cell("newest"), cell("newest", model="b")])
    assert told.startswith("films (random): the events or how they are read have changed")
    (told,) = changes(rows, [cell("new", "third"), cell("new", model="c")])
    assert told.startswith("a on films (random): its options have changed")


def test_the_store_tells_finished_from_failed_and_damaged(tmp_path: Path) -> None:
    results = Results(tmp_path / "out")
    assert not results.finished(cell())
    results.write(cell(), {"status": FAILED, "finished": "1"})
    assert not results.finished(cell())
    results.write(cell(), {"status": DONE, "finished": "2"}, pl.DataFrame({"user": [1]}))
    assert results.finished(cell())
    assert results.ranks(cell())["user"].to_list() == [1]
    (file,) = (tmp_path / "out" / "rows").iterdir()
    file.write_text("{")
    with pytest.raises(DataError, match=r"damaged; delete .* and run the bench again"):
        results.rows()
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(DataError, match="holds no results of the bench"):
        Results(tmp_path)


def test_a_prepared_split_survives_its_file(tmp_path: Path) -> None:
    users = np.arange(len(VALIDATION))
    split = SplitArrays(KNOWN, VALIDATION, VALIDATION, users, N_ITEMS, 0.5)
    split.save(tmp_path / "split")
    found = SplitArrays.load(tmp_path / "split")
    assert [row.tolist() for row in found.known] == [row.tolist() for row in KNOWN]
    assert (found.n_items, found.coverage) == (N_ITEMS, 0.5)
    assert found.setting(3).seed == 3
    with pytest.raises(DataError, match="none of 15 people has more than k = 99 events"):
        people_to_judge(found.test, 99)
    (tmp_path / "split").write_bytes(b"torn")
    with pytest.raises(DataError, match="delete it and run the bench again"):
        SplitArrays.load(tmp_path / "split")


class Counting(Popularity):
    """Popularity that remembers who was asked for, with a network that it doesn't need."""

    calls: list[int]

    def score(self, histories: Histories) -> Tensor:
        self.calls.append(len(histories))
        assert histories.lengths.tolist() == [2]
        return super().score(histories)


def test_newcomers_are_timed_one_by_one_and_at_least_fifty_times() -> None:
    scorer = Counting(Popularity.fit(KNOWN, N_ITEMS).counts)
    scorer.calls = []
    milliseconds, timed = newcomer_ms(scorer, VALIDATION, 2)
    assert timed == 50 < len(scorer.calls)
    assert set(scorer.calls) == {1}
    assert 0 < milliseconds < 1000


class SomebodysScorer:
    """No network itself and of another package, as one that a package brings may be."""

    def __init__(self, layer: nn.Linear) -> None:
        self.inner = {"layer": layer}


def test_learnt_parameters_are_found_wherever_they_are() -> None:
    scorer = Popularity.fit(KNOWN, N_ITEMS)
    assert learnt_parameters(scorer) is None
    layer = nn.Linear(3, 2)
    scorer.parts = [{"layer": layer, "again": layer}]  # type: ignore[attr-defined]
    assert learnt_parameters(scorer) == 8
    assert learnt_parameters(layer) == 8
    assert learnt_parameters(SomebodysScorer(layer)) == 8


def test_peak_memory_is_this_process_and_not_its_parent() -> None:
    held = np.ones(60 * 2**20)
    code = "from clusterseq.bench.cost import peak_mb; before = peak_mb(); import numpy\n"
    code += "held = numpy.ones(25 * 2**20); print(before, peak_mb())"
    environment = {"PYTHONPATH": str(Path(cli.__file__).parents[1])}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    before, after = map(float, done.stdout.split())
    assert 190 < after - before < 260
    own_peak = peak_mb()
    assert own_peak is not None
    assert own_peak > held.nbytes / 2**20
    if sys.platform == "linux":
        assert before < own_peak


def test_list_needs_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" (")[0] for line in lines] == list(MODELS)


def test_wrong_words_are_one_line(events_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = events_file.parent / "out"
    for words, told in {
        ("--models", "nobody"): 'model "nobody" is unknown',
        ("--split", "none"): 'split "none" leaves nobody to judge',
        ("-k", "99"): "none of 42 people has more than k = 99 events",
        ("--seeds", "x"): "--seeds 'x' can't be used",
    }.items():
        assert cli.main(["bench", str(events_file), "--out", str(out), *words]) == 2
        assert told in capsys.readouterr().err.splitlines()[-2]


def test_events_without_times_need_a_random_split(
    events_frame: pl.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events_frame.drop("time").write_csv(tmp_path / "order.csv")
    words = ["bench", str(tmp_path / "order.csv"), "--out", str(tmp_path / "out")]
    assert cli.main(words) == 2
    assert "order.csv: a temporal split needs times" in capsys.readouterr().err


@pytest.mark.parametrize("rates", [(9.0, 0.1), (9.0, 0.2, 0.1), (0.1, 9.0)])
def test_the_chosen_points_time_is_told_where_others_diverge(
    rates: tuple[float, ...],
) -> None:
    def fit(setting: Setting, rate: float) -> Popularity:
        if rate > 1:
            raise TrainingError("it diverged")
        sleep(rate)
        return Popularity.fit(setting.known, setting.n_items)

    known = Sequences.from_rows([[0, 1], [1, 0], [1, 2]])
    tuned = tune(Peer("x", "An example.", fit, {"rate": rates}), Setting(known, known, 3))
    chosen = next(rate for rate in rates if rate <= 1)
    assert tuned.options == {"rate": chosen}
    assert chosen <= tuned.train_s < tuned.tuning_s


def test_values_of_a_grid_need_not_tell_if_they_equal() -> None:
    def fit(setting: Setting, weights: np.ndarray) -> Popularity:
        return Popularity(Popularity.fit(setting.known, setting.n_items).counts * weights[0])

    known, people = Sequences.from_rows([[0, 1], [1, 0], [1, 2]]), np.arange(3)
    peer = Peer("x", "An example.", fit, {"weights": (np.array([-1, 1]), np.array([2, 3]))})
    split = SplitArrays(known, known, known, people, n_items=3, coverage=1.0)
    cell = Cell("data", "random", 0, 1, "x", "", "")
    ((_, row, _),) = compute(Job((cell,), "classical", "", ""), peer, split)
    assert row["options"] == '{"weights": "array([2, 3])"}'
    assert row["validation_mrr"] == pytest.approx(2.5 / 3)


def test_where_a_value_lies_in_memory_is_no_setting() -> None:
    one, same, other = (
        Model(Peer("x", "An example.", Popularity.fit, {"value": (value,)}))
        for value in (object(), object(), "another")
    )
    assert one.digest == same.digest != other.digest
