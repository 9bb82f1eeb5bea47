"""The contract that scripts rely on: what is printed where, and the status at the end."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from clusterseq import cli
from clusterseq.config import Config
from clusterseq.errors import INTERRUPTED
from clusterseq.showing.terminal import TrainingScreen
from clusterseq.using.batch import BatchSummary
from clusterseq.using.experiment import Experiment
from clusterseq.values import read_toml

SOURCE = Path(__file__).parent.parent / "src"
COMMANDS = (
    "demo",
    "prepare",
    "train",
    "update",
    "evaluate",
    "recommend",
    "report",
    "serve",
    "keys",
    "index",
    "inspect",
    "bench",
    "experiment",
    "tune",
    "config",
    "doctor",
    "export",
    "push",
    "pull",
    "help",
)
KINDS_OF_TRACE = ("trace.json", "table.txt")
Run = Callable[..., "Outcome"]


class Outcome:
    """Status and output of one command."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line of an error, above the one that names its page."""
        assert self.out == ""
        *_, line, more = self.err.splitlines()
        assert line.startswith("clusterseq: error: ")
        assert re.fullmatch(r"clusterseq help [a-z]+ tells more", more)
        assert "Traceback" not in self.err
        return line.removeprefix("clusterseq: error: ")


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def run_one(*words: object) -> Outcome:
        capfd.readouterr()
        status = cli.main([str(word) for word in words])
        return Outcome(status, *capfd.readouterr())

    return run_one


def python(code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    words = [sys.executable, "-c", code]
    return subprocess.run(
        words, env=environment, capture_output=True, text=True, check=True, **options
    )


def test_help_waits_for_no_heavy_library() -> None:
    commands = [[], *([name] for name in COMMANDS)]
    code = (
        "import sys; from clusterseq.cli import main\n"
        f"for words in {commands}: assert main([*words, '--help']) == 0\n"
        "heavy = {'torch', 'numpy', 'polars', 'scipy', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    python(code)


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, clusterseq; assert not {'torch', 'numpy', 'polars'} & set(sys.modules)"
    python(code)
    python("import clusterseq; clusterseq.Recommender; assert 'Recommender' in dir(clusterseq)")


def test_the_module_is_the_command(model_directory: Path) -> None:
    words = [sys.executable, "-m", "clusterseq", "config"]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[data]\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_with_an_example(run: Run, name: str) -> None:
    found = run(name, "--help")
    assert found.status == 0
    assert f"\n  clusterseq {name}" in found.out


def test_help_names_every_command_and_version_answers(run: Run) -> None:
    for words in ([], ["--help"]):
        found = run(*words)
        assert found.status == 0
        assert all(f"\n  {name} " in found.out for name in COMMANDS)
        assert "..." not in found.out.partition("Commands:")[2], "a summary is cut off"
    assert run("--version").out.startswith("clusterseq ")


@pytest.fixture(scope="module")
def trained(
    events_file: Path, small_options: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A model from the command line."""
    out = tmp_path_factory.mktemp("cli") / "model"
    assert cli.main(["train", str(events_file), "--out", str(out), *small_options]) == 0
    return out


def test_keys_are_made_once_and_listed_without_themselves(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "keys.jsonl"
    made = run("keys", path, "--add", "shop", "--scopes", "read,events")
    assert made.status == 0, made.err
    key = made.out.strip()
    assert key.startswith("cs_")
    assert run("keys", path, "--add", "ops", "--scopes", "admin").status == 0
    listed = run("keys", path)
    assert listed.out == "shop\tread,events\nops\tadmin\n"
    assert key not in path.read_text()
    assert "has a key already" in run("keys", path, "--add", "shop").error
    assert 'no scope "write"' in run("keys", path, "--add", "x", "--scopes", "write").error


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere: no such directory"),
        (["m", "--host", "0.0.0.0"], "lets other machines in"),
        (["m", "--log-level", "loud"], "--log-level loud: give debug, info"),
        (["m", "--keys", "nowhere.jsonl"], "nowhere.jsonl: can't be read"),
        (["m", "--store", "mysql://h"], "mysql"),
    ],
)
def test_serve_says_what_keeps_it_from_serving(
    run: Run, model_directory: Path, words: list[str], told: str
) -> None:
    given = [str(model_directory) if word == "m" else word for word in words]
    found = run("serve", *given)
    assert found.status == 2
    assert told in found.error


def test_train_writes_traces_where_it_is_told(
    run: Run, events_file: Path, small_options: list[str], tmp_path: Path
) -> None:
    traces = tmp_path / "traces"
    words = ["--out", tmp_path / "model", "--profile", traces, *small_options]
    found = run("train", events_file, *words)
    assert found.status == 0, found.err
    assert f"Traces are in {traces}" in found.err.replace("\n", "")
    names = {path.name for path in traces.iterdir()}
    assert {f"meta.{kind}" for kind in KINDS_OF_TRACE} <= names  # one step alone is not recorded


def test_train_saves_reports_judges_and_says_what_next(
    run: Run, events_file: Path, small_options: list[str], tmp_path: Path
) -> None:
    titles = tmp_path / "items.csv"
    titles.write_text("item_id,name\ni03,The third\n")
    out = tmp_path / "model"
    found = run("train", events_file, "--out", out, "--titles", titles, *small_options)
    assert found.status == 0, found.err
    assert "none of its ids" not in found.err
    assert "events of 300 users and 60 items" in found.err
    assert "pre-training epoch 1: loss" in found.err
    assert "meta-training epoch 1: loss" in found.err
    for word in ("popularity", "session kNN", "ClusterSeq", "Full catalogue", "Sampled"):
        assert word in found.out
    assert f"recommend {out} --items" in found.out
    assert (out / "log.jsonl").read_text().count("\n") == 2
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["model"]
    command = found.out.partition("clusterseq recommend ")[2].splitlines()[0]
    assert run("recommend", *command.split()).status == 0


def test_the_same_command_gives_the_same_bytes(
    trained: Path, events_file: Path, small_options: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "again"
    assert cli.main(["train", str(events_file), "--out", str(out), *small_options]) == 0
    for name in ("model.safetensors", "items.parquet", "metrics.json", "manifest.json"):
        assert (out / name).read_bytes() == (trained / name).read_bytes()


def test_several_paths_are_one_log(
    run: Run, events_frame: pl.DataFrame, trained: Path, tmp_path: Path
) -> None:
    for number, part in enumerate((events_frame[:700], events_frame[700:])):
        part.write_csv(tmp_path / f"{number}.csv")
    apart = run("evaluate", trained, tmp_path / "0.csv", tmp_path / "1.csv", "--json")
    assert apart.json == run("evaluate", trained, tmp_path / "*.csv", "--json").json
    assert apart.json == json.loads((trained / "metrics.json").read_text())["test"]


def test_the_options_go_preset_file_set_split(
    run: Run, events_file: Path, small_options: list[str], tmp_path: Path
) -> None:
    (tmp_path / "options.toml").write_text(
        '[data]\nsplit = "temporal"\nnew_share = 0.5\n[model]\ndim = 99\nanchors = 7\n'
    )
    words = ["--preset", "paper", "--config", tmp_path / "options.toml", *small_options]
    out = tmp_path / "model"
    run("train", events_file, "--out", out, *words, "--split", "random", "--seed", 5)
    card = run("inspect", out, "--json").json
    assert card["config"]["model"]["cosine"] is False
    assert card["config"]["model"]["lifts"] is False
    assert card["config"]["model"]["dim"] == 16
    assert card["config"]["model"]["anchors"] == 20
    assert card["config"]["data"]["new_share"] == 0.5
    assert card["provenance"]["split"] == "random"
    assert card["provenance"]["seed"] == 5


def test_training_on_everyone_judges_nobody(
    run: Run, events_file: Path, small_options: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "model"
    found = run("train", events_file, "--out", out, "--split", "none", *small_options)
    assert found.status == 0
    assert "Full catalogue" not in found.out
    assert run("inspect", out, "--json").json["provenance"]["known_users"] == 300
    assert "give other people's events and --all-new" in run("evaluate", out, events_file).error


def test_stopped_and_resumed_is_as_never_stopped(
    run: Run,
    events_file: Path,
    trained: Path,
    small_options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(screen: TrainingScreen, record: Mapping[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    out = tmp_path / "model"
    words = ["train", events_file, "--out", out, *small_options]
    with monkeypatch.context() as patch:
        patch.setattr(TrainingScreen, "epoch", interrupt)
        stopped = run(*words)
    assert stopped.status == INTERRUPTED
    assert "with --resume goes on" in stopped.err
    assert stopped.err.endswith("clusterseq: stopped\n")
    assert not out.exists()
    again = run(*words, "--resume", "--set", "model.dim=8")
    assert "give the same ones, or train without --resume" in again.error
    assert run(*words, "--resume").status == 0
    weights = "model.safetensors"
    assert (out / weights).read_bytes() == (trained / weights).read_bytes()
    assert (out / "log.jsonl").read_text().count("\n") == 2
    assert "nothing to resume; train without --resume" in run(*words, "--resume").error
    assert not out.with_name("model.training").exists()


PARTS = ("full", "sampled", "groups")


def test_evaluate_prints_one_json_object_and_nothing_else(
    run: Run, trained: Path, events_file: Path
) -> None:
    found = run("evaluate", trained, events_file, "--json")
    assert found.status == 0
    assert list(found.json) == ["k", "split", "users", "coverage", "keep_seen", *PARTS]
    assert (found.json["k"], found.json["split"]) == (3, "temporal")
    assert {"mrr", "hr@10", "ndcg@10", "mrr_ci95"} < set(found.json["full"])
    groups = found.json["groups"]
    assert list(groups)[:2] == ["minor", "major"]
    assert all(name.startswith("cluster ") for name in list(groups)[2:])
    assert sum(groups[name]["users"] for name in list(groups)[2:]) == found.json["users"]
    assert found.json == json.loads((trained / "metrics.json").read_text())["test"]


def test_evaluate_takes_k_and_the_part(run: Run, trained: Path, events_file: Path) -> None:
    one = run("evaluate", trained, events_file, "--json", "--k", 1).json
    three = run("evaluate", trained, events_file, "--json").json
    assert one["k"] == 1
    assert one["users"] > three["users"]
    other = run("evaluate", trained, events_file, "--json", "--part", "validation").json
    assert other["users"] != three["users"]
    kept = run("evaluate", trained, events_file, "--json", "--keep-seen").json
    assert (kept["keep_seen"], three["keep_seen"]) == (True, False)
    assert kept["full"]["mrr"] < three["full"]["mrr"], "more compete, and nobody here comes back"
    assert kept["sampled"] == three["sampled"]
    told = run("evaluate", trained, events_file, "--keep-seen", "--no-baselines").out
    assert "what was shown competes, too" in " ".join(told.split())
    assert "none of" in run("evaluate", trained, events_file, "--k", 99).error
    assert "give test or validation" in run("evaluate", trained, events_file, "--part", "x").error


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "MODEL", "FILE", "--csv", "FILE"],
        ["evaluate", "MODEL", "FILE", "--output", "FILE"],
        ["recommend", "MODEL", "--input", "FILE", "--output", "FILE"],
        ["report", "MODEL", "FILE", "--out", "FILE"],
        ["export", "FILE", "--out", "FILE"],
    ],
    ids=" ".join,
)
def test_what_is_read_is_never_written_over(
    run: Run, trained: Path, events_file: Path, tmp_path: Path, words: list[str]
) -> None:
    file = tmp_path / "events.csv"
    shutil.copyfile(events_file, file)
    names = {"MODEL": trained, "FILE": file}
    found = run(*(names.get(word, word) for word in words))
    assert found.status == 2
    assert "is what is read, and would be lost" in found.err.splitlines()[-2]
    assert file.read_bytes() == events_file.read_bytes()


def test_figures_are_shown_before_a_file_fails(
    run: Run, trained: Path, events_file: Path, tmp_path: Path
) -> None:
    deep = tmp_path / "deep" / "figures.csv"
    assert run("evaluate", trained, events_file, "--no-baselines", "--csv", deep).status == 0
    assert deep.read_text().startswith("model,ranking")
    found = run("evaluate", trained, events_file, "--no-baselines", "--csv", tmp_path)
    assert found.status == 2
    assert "Full catalogue" in found.out


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which one stands; nothing lies beside it."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_the_place_may_be_where_one_stands(
    run: Run, events_file: Path, small_options: list[str], here: Path
) -> None:
    assert run("train", events_file, "--out", ".", *small_options, "--json").status == 0
    assert (here / "model.safetensors").is_file()
    assert [path.name for path in here.parent.iterdir()] == ["here"]


def test_one_training_at_a_place(run: Run, events_file: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "clusterseq", "train", str(events_file), "--out", "model"]
    with subprocess.Popen(
        [*words, "--threads", "1"], cwd=tmp_path, stderr=subprocess.DEVNULL
    ) as first:
        while not (tmp_path / "model.training" / "lock").exists():
            time.sleep(0.05)
        found = run("train", events_file, "--out", tmp_path / "model")
        assert found.status == 2
        assert "another training is at work here" in found.err
        assert "begun anew" not in found.err
        first.send_signal(signal.SIGINT)
        assert first.wait(60) == 130
    assert (tmp_path / "model.training").is_dir()


def test_evaluate_refuses_other_people_unless_told(
    run: Run, trained: Path, events_frame: pl.DataFrame, tmp_path: Path
) -> None:
    others = tmp_path / "others.csv"
    events_frame.with_columns(user="v" + pl.col("user")).write_csv(others)
    refused = run("evaluate", trained, others, "--json")
    assert (refused.status, refused.out) == (2, "")
    assert "--all-new if everyone in this one is new" in refused.err.splitlines()[-1]
    found = run("evaluate", trained, others, "--json", "--all-new").json
    assert found["split"] == "all-new"
    assert found["users"] == (events_frame.group_by("user").len()["len"] > 3).sum()
    table = run("evaluate", trained, others, "--all-new")
    assert "popularity" in table.out
    assert "kNN" not in table.out


def test_evaluate_writes_json_and_csv(
    run: Run, trained: Path, events_file: Path, tmp_path: Path
) -> None:
    json_file, csv_file = tmp_path / "figures.json", tmp_path / "figures.csv"
    shown = run("evaluate", trained, events_file, "--output", json_file, "--csv", csv_file)
    figures = json.loads(json_file.read_text())
    assert figures == run("evaluate", trained, events_file, "--json").json
    rows = pl.read_csv(csv_file)
    assert rows.columns == ["model", "ranking", "group", "users", "metric", "value", "low", "high"]
    own = rows.filter(model="ClusterSeq", ranking="full", group="all", metric="mrr")
    assert own["value"].item() == pytest.approx(figures["full"]["mrr"])
    assert f"{figures['full']['mrr']:.4f}" in shown.out
    assert "ClusterSeq against session kNN: full-catalogue MRR" in shown.out
    assert "kNN" not in run("evaluate", trained, events_file, "--no-baselines").out


def test_recommend_to_one_person(run: Run, model_directory: Path) -> None:
    found = run("recommend", model_directory, "--items", "i03, i07,?", "--k", 4, "--json").json
    assert list(found) == ["items", "cluster", "ignored_items"]
    assert [list(one) for one in found["items"]] == [["item", "score", "title"]] * 4
    assert found["ignored_items"] == ["?"]
    table = run("recommend", model_directory, "--items", "i03,i07,?", "--k", 4)
    best = found["items"][0]
    assert best["title"].startswith("[item]")
    assert best["title"] in table.out
    assert "The model doesn't know ?." in table.err
    assert "on the whole" in run("recommend", model_directory, "--items", "?").err


def test_recommend_says_why(run: Run, model_directory: Path) -> None:
    words = ["recommend", model_directory, "--items", "i03,i07", "--k", 3, "--explain"]
    table = run(*words)
    assert "because of" in table.out
    assert "made of" in table.out
    assert "how many times as likely" in table.err
    found = run(*words, "--json").json["items"][0]
    assert sum(found["why"]["parts"].values()) == pytest.approx(found["score"], abs=1e-4)
    refused = run("recommend", model_directory, "--input", "b", "--output", "c", "--explain")
    assert "--explain goes with --items" in refused.err


def test_recommend_filters(run: Run, model_directory: Path) -> None:
    words = ["recommend", model_directory, "--items", "i03", "--json"]
    few = run(*words, "--only", "i03,i10,i11", "--exclude", "i11").json["items"]
    assert [one["item"] for one in few] == ["i10"]
    kept = run(*words, "--only", "i03,i10", "--keep-seen").json["items"]
    assert {one["item"] for one in kept} == {"i03", "i10"}
    lines = run(*words, "--only", "i03\r\ni10\ni11\r", "--exclude", "\ni11\n").json["items"]
    assert lines == few
    prior = run("recommend", model_directory, "--items", "", "--json", "--k", 1000).json
    assert len(prior["items"]) == 60


def test_ids_with_commas_can_be_given_and_unknown_filters_are_told(
    run: Run, events_frame: pl.DataFrame, small_options: list[str], tmp_path: Path
) -> None:
    frame = events_frame.with_columns(item=pl.col("item").str.replace("i", "it, "))
    frame.write_csv(tmp_path / "events.csv")
    trained = run("train", tmp_path / "events.csv", "--out", tmp_path / "m", *small_options)
    words = re.search(r"recommend .*", trained.out)
    assert words is not None
    shown = run(
        *shlex.split(words[0]), "--k", 3, "--exclude", '"it, 01",nope', "--only", '"it, 02"'
    )
    assert "The model doesn't know nope (--exclude)." in shown.err
    assert "know it" not in shown.err
    assert "it, 02" in shown.out


def test_recommend_to_a_file(
    run: Run, model_directory: Path, events_file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "recs.parquet"
    words = ["recommend", model_directory, "--input", events_file, "--output", output, "--k", 2]
    found = run(*words)
    assert (found.status, found.out) == (0, "")
    assert "600 recommendations for 300 people" in found.err
    assert pl.read_parquet(output).columns == ["user", "rank", "item", "score"]
    assert BatchSummary(300, 600, 1.0).rows == len(pl.read_parquet(output))


def test_an_output_that_nothing_writes_is_told_before_anything_is_read(
    run: Run, model_directory: Path, events_file: Path, tmp_path: Path
) -> None:
    words = ["recommend", model_directory, "--input", events_file, "--output"]
    (tmp_path / "folder.csv").mkdir()
    for name, told in (("recs.txt", "unknown ending"), ("folder.csv", "is a directory")):
        found = run(*words, tmp_path / name)
        assert found.status == 2
        assert told in found.error
        assert "rows from" not in found.err


def test_inspect_tells_of_models_and_events(
    run: Run, model_directory: Path, events_file: Path
) -> None:
    card = run("inspect", model_directory, "--json").json
    assert (card["kind"], card["items"], card["titled"]) == ("checkpoint", 60, True)
    assert sum(card["metrics"]["cluster_sizes"]) == card["provenance"]["known_users"]
    text = run("inspect", model_directory).out
    assert "model.dim = 16" in text
    assert "session kNN" in text
    report = run("inspect", events_file, "--json").json
    assert (report["kind"], report["users"]) == ("events", 300)
    assert "events of 300 users and 60 items" in run("inspect", events_file).out


def test_inspect_gives_no_bound_to_the_events_of_an_update(
    run: Run, model_directory: Path, tmp_path: Path
) -> None:
    assert " people up to " in run("inspect", model_directory).out
    rows = [f"new-{n},i{step:02},{1_900_000_000 + n}" for n in range(9) for step in range(4)]
    (tmp_path / "later.csv").write_text("\n".join(["user,item,time", *rows]) + "\n")
    newer = tmp_path / "newer"
    words = ["update", model_directory, tmp_path / "later.csv", "--out", newer, "--epochs", 0]
    assert run(*words).status == 0
    text = run("inspect", newer).out
    assert "1 since, whose events are among these" in text
    assert " up to " not in text


def test_config_prints_a_file_that_train_reads(run: Run, tmp_path: Path) -> None:
    (tmp_path / "options.toml").write_text(run("config").out)
    assert read_toml(tmp_path / "options.toml") == Config()
    assert "dim = 256" in run("config", "--preset", "paper").out


def test_demo_shows_newcomers(
    run: Run,
    events_file: Path,
    small: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from clusterseq.reading.events import read_events
    from clusterseq.using import demo

    bundled = demo.experiment(tmp_path / "demo", small)
    assert (bundled.events.report.events, bundled.events.report.users) == (141_695, 21_081)
    assert bundled.titles is not None
    assert bundled.titles.filter(item=2)["title"].to_list() == ["The Godfather (1972)"]

    def smaller(out: Path, **_: object) -> Experiment:
        return Experiment(read_events(events_file), out, small)

    monkeypatch.setattr(demo, "experiment", smaller)
    found = run("demo", "--out", tmp_path / "demo")
    assert found.status == 0
    for group in ("minor", "in between", "major"):
        assert f"A newcomer ({group})" in found.out
    assert f"saved in {tmp_path / 'demo'}" in found.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "nowhere.csv", "--out", "m"], "nowhere.csv: no such file; check the path"),
        (["train", "nowhere.csv"], "Missing option '--out'"),
        (["train", "--out", "m"], "Missing argument"),
        (["train", "x.csv", "--out", "m", "--preset", "papr"], 'did you mean "paper"?'),
        (["train", "x.csv", "--out", "m", "--set", "model.dmi=3"], 'did you mean "dim"?'),
        (["train", "x.csv", "--out", "m", "--set", "model.dim"], "write it as model.dim=64"),
        (["train", "x.csv", "--out", "m", "--config", "no.toml"], "no.toml: No such file"),
        (["train", "x.csv", "--out", "m", "--titles", "no.csv"], "no.csv: no such file"),
        (["train", "x.csv", "--out", "m", "--split", "half"], "one of temporal, random, none"),
        (["train", "x.csv", "--out", "m", "--seed", "-1"], "seed"),
        (["evaluate", "nowhere", "x.csv"], "nowhere: no such directory"),
        (["recommend", "nowhere", "--items", "a"], "nowhere: no such directory"),
        (["recommend", "nowhere"], "give either --items A,B,C or --input EVENTS"),
        (["recommend", "nowhere", "--items", "a", "--input", "b"], "give either"),
        (["recommend", "nowhere", "--input", "b"], "--input and --output go together"),
        (["recommend", "nowhere", "--items", "a", "--k", "0"], "'--k'"),
        (["inspect", "nowhere"], "nowhere: no such file"),
        (["recomend"], "No such command 'recomend'"),
        (["--nonsense"], "No such option"),
    ],
)
def test_an_error_is_one_line_its_page_and_status_two(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    found = run(*words)
    assert found.status == 2
    assert told in found.error
    assert len(found.err.splitlines()) == 2
    assert list(tmp_path.iterdir()) == []


def test_what_is_read_is_never_replaced(
    run: Run, model_directory: Path, events_file: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(model_directory, tmp_path / "model")
    data = tmp_path / "data"
    assert run("prepare", events_file, "--out", data).status == 0
    for folder in (model, data):
        shutil.copy(events_file, folder / "mine.csv")
    (model / "titles.csv").write_text("item,title\ni03,Three\n")
    (tmp_path / "link.csv").symlink_to(model / "mine.csv")
    mine, titles, traces = model / "mine.csv", model / "titles.csv", model / "traces"
    for words in (
        ["train", mine, "--out", model],
        ["train", mine, "--out", model, "--workers", 2],
        ["train", tmp_path / "link.csv", "--out", model],
        ["train", model / "*.csv", "--out", model],
        ["train", events_file, "--out", model, "--titles", titles],
        ["train", events_file, "--out", model, "--config", titles],
        ["train", events_file, "--out", tmp_path / "new", "--profile", tmp_path / "new" / "traces"],
        ["train", events_file, "--out", model, "--profile", traces],
        ["update", model, mine, "--out", model],
        ["update", model, events_file, "--out", model, "--titles", titles],
        ["prepare", data / "mine.csv", "--out", data],
        ["prepare", data, "--out", data],
    ):
        found = run(*words)
        assert found.status == 2, words
        assert "is replaced, and would be lost" in found.error
    assert mine.read_bytes() == (data / "mine.csv").read_bytes() == events_file.read_bytes()
    assert titles.exists()


def test_outputs_spoil_neither_the_model_nor_each_other(
    run: Run, model_directory: Path, events_file: Path, tmp_path: Path
) -> None:
    inside, target = model_directory / "config.json", tmp_path / "figures"
    before = inside.read_bytes()
    for words in (
        ["evaluate", model_directory, events_file, "--output", inside],
        ["recommend", model_directory, "--input", events_file, "--output", inside],
        ["report", model_directory, "--out", inside],
        ["export", model_directory, "--out", model_directory / "model.pt2"],
    ):
        assert "lies in" in run(*words).error
    assert inside.read_bytes() == before
    words = ["evaluate", model_directory, events_file, "--output", target, "--csv", target]
    assert "is to be written twice" in run(*words).error
    assert not target.exists()


def test_figures_of_a_data_set_go_where_a_file_is(
    run: Run, model_directory: Path, events_file: Path, tmp_path: Path
) -> None:
    data, figures = tmp_path / "data", tmp_path / "figures.json"
    assert run("prepare", events_file, "--out", data).status == 0
    for _ in range(2):
        words = ["evaluate", model_directory, data, "--all-new", "--json", "--output", figures]
        assert run(*words).status == 0
    refused = run("evaluate", model_directory, data, "--output", data / "dataset.json")
    assert "is what is read" in refused.error


def test_an_index_is_removed_from_a_model_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text("{}")
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert "no model there" in run("index", folder, "--remove").error
    assert (tmp_path / "index.json").exists()


@pytest.mark.parametrize(
    "words",
    [
        *(["inspect", ""], ["train", "", "--out", "m"], ["train", "x.csv", "--out", ""]),
        *(["train", "x.csv", "--out", "m", "--titles", ""], ["evaluate", "", "x.csv"]),
        *(["index", ""], ["serve", "--store", ""], ["bench", "", "--out", "b"], ["keys", ""]),
        *(["recommend", "m", "--input", "", "--output", "o.csv"], ["report", "m", ""]),
        *(["push", "", "file:///m"], ["export", "", "--out", "m.pt2"], ["demo", "--out", ""]),
    ],
)
def test_an_empty_path_is_not_the_folder_here(
    run: Run, model_directory: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(model_directory)
    found = run(*words)
    assert found.status == 2
    assert "it is empty; name a place" in found.error


def test_a_folder_can_be_replaced_from_inside(
    run: Run,
    events_file: Path,
    small_options: list[str],
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["bin/clusterseq"])
    monkeypatch.setenv("PATH", "")
    found = run("train", events_file, "--out", ".", *small_options)
    assert found.status == 0, found.err
    assert 'cd "$PWD" enters the new one' in found.out
    assert run("inspect", here).status == 0


def test_what_an_encoding_lacks_spoils_nothing() -> None:
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "PYTHONIOENCODING": "ascii"}
    words = [sys.executable, "-m", "clusterseq", "help", "push"]
    shown = [
        subprocess.run([*words, *more], env=environment, capture_output=True, check=True).stdout
        for more in ([], ["--json"])
    ]
    assert b"gs://?, az://?" in shown[0]
    assert "gs://…, az://…" in json.loads(shown[1].decode("ascii"))["text"]


@pytest.mark.parametrize(
    ("option", "value"), [("--seed", 2**64 - 1), ("--seed", 2**63), ("--threads", 99_999_999_999)]
)
def test_numbers_beyond_what_can_be_had_are_refused(run: Run, option: str, value: int) -> None:
    found = run("train", "x.csv", "--out", "m", option, value)
    assert found.status == 2
    assert option in found.error


def test_untimed_events_ask_for_another_split(run: Run, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user,item\na,x\na,y\nb,x\n")
    found = run("train", tmp_path / "events.csv", "--out", tmp_path / "model")
    assert "use --split random" in found.error


def test_what_would_spoil_the_training_is_told_before_it(
    run: Run, events_file: Path, small_options: list[str], tmp_path: Path
) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear")
    words = ["train", events_file, *small_options, "--out"]
    for taken in (tmp_path / "letters", tmp_path / "letters" / "dear.txt"):
        found = run(*words, taken)
        assert "isn't replaced" in found.error
        assert "epoch" not in found.err
    found = run(*words, tmp_path / "model", "--k", 99)
    assert "none of 42 people has more than k = 99" in found.error
    assert "epoch" not in found.err
    assert "name another place" in run(*words, "/proc/nowhere/model").error
    words = ["train", "nowhere.csv", "--out", tmp_path / "model", "--profile"]
    assert "dear.txt: can't be a folder" in run(*words, tmp_path / "letters" / "dear.txt").error


@pytest.mark.parametrize("command", ["train", "update", "prepare", "bench", "demo", "pull"])
def test_the_root_of_all_folders_is_never_replaced(
    run: Run, model_directory: Path, events_file: Path, command: str
) -> None:
    given: dict[str, list[object]] = {"update": [model_directory, events_file], "demo": []}
    given["pull"] = [model_directory.as_uri()]
    found = run(command, *given.get(command, [events_file]), "--out", "/")
    assert found.status == 2
    assert found.err.endswith("clusterseq help output tells more\n")


def test_debug_shows_where_an_error_comes_from(run: Run) -> None:
    for words in (["--debug", "inspect", "nowhere"], ["inspect", "nowhere", "--debug"]):
        found = run(*words)
        assert found.status == 2
        assert "Traceback" in found.err
        assert found.err.splitlines()[-2].startswith("clusterseq: error: nowhere")


@pytest.mark.parametrize(("where", "status"), [(">&-", 0), ("> /dev/full", 2)])
def test_output_that_cannot_be_written_is_no_riddle(
    model_directory: Path, where: str, status: int
) -> None:
    words = [sys.executable, "-m", "clusterseq", "inspect", str(model_directory)]
    command = f"{shlex.join(words)} {where}"
    found = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert found.returncode == status, found.stderr
    assert ("No space left" in found.stderr) == (status == 2)
    assert "unforeseen" not in found.stderr


def test_what_nobody_foresaw_is_one_line_and_status_one(
    run: Run, model_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(directory: object) -> None:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr("clusterseq.learning.checkpoint.load_checkpoint", fail)
    found = run("inspect", model_directory)
    assert found.status == 1
    expected = "ZeroDivisionError: two lines; --debug shows where it comes from"
    assert found.error == expected


def test_ctrl_c_is_status_130(
    run: Run, model_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(directory: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("clusterseq.learning.checkpoint.load_checkpoint", stop)
    found = run("inspect", model_directory)
    assert (found.status, found.out, found.err) == (130, "", "clusterseq: stopped\n")


def test_ctrl_c_may_come_before_anything_is_imported(tmp_path: Path) -> None:
    stop = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
    (tmp_path / "typer.py").write_text(stop)  # which the command line imports first of all
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{SOURCE}"}
    words = [sys.executable, "-m", "clusterseq", "config"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "clusterseq: stopped\n")
    project = tomllib.loads((SOURCE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["scripts"] == {"clusterseq": "clusterseq.__main__:main"}


def test_a_reader_that_leaves_is_no_error() -> None:
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    words = [sys.executable, "-m", "clusterseq", "config"]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            words, env=environment, stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_damaged_model_is_one_line(run: Run, model_directory: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(model_directory, tmp_path / "model")
    (copy / "manifest.json").unlink()
    for words in (["inspect", copy], ["recommend", copy, "--items", "i03"]):
        found = run(*words)
        assert found.status == 2
        assert "no manifest.json in it" in found.error


def test_report_writes_what_was_asked(
    run: Run, model_directory: Path, events_file: Path, tmp_path: Path
) -> None:
    target = tmp_path / "r.html"
    told = run("report", model_directory, "--out", target)
    assert (told.status, told.out) == (0, "")
    assert f"The report is in {target}" in told.err
    assert target.read_text().startswith("<!doctype html>")
    as_json = tmp_path / "r.json"
    words = ["report", model_directory, events_file, "--format", "json", "--out", as_json]
    assert run(*words, "--json").json == {"out": str(as_json), "format": "json"}
    assert json.loads(as_json.read_text())["adaptation"]
    refused = run("report", model_directory, "--format", "pdf")
    assert (refused.status, "give html, md or json" in refused.err) == (2, True)


def test_report_tells_of_a_bench(run: Run, events_file: Path, tmp_path: Path) -> None:
    out, target = tmp_path / "bench", tmp_path / "r.md"
    models = "popularity,session-knn"
    run("bench", events_file, "--models", models, "--seeds", "0", "--out", out)
    told = run("report", out, "--format", "md", "--out", target)
    assert told.status == 0, told.err
    assert "| session-knn | 1 |" in target.read_text()
    refused = run("report", out, events_file)
    assert (refused.status, "leave EVENTS out" in refused.err) == (2, True)


def test_the_shell_completes_commands_and_options() -> None:
    for words, expected in (("clusterseq tr", "train"), ("clusterseq train --pre", "--preset")):
        asked = {
            "_CLUSTERSEQ_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        done = subprocess.run(
            [sys.executable, "-m", "clusterseq"],
            env={**os.environ, **asked},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.split() == [expected]
