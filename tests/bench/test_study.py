"""Studies: all that come along can be run, mistakes in a file are told, and one is run for real."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from clusterseq.bench.datasets import SPLITS
from clusterseq.bench.models import chosen
from clusterseq.bench.own import OWN
from clusterseq.bench.study import Study, names, read_study
from clusterseq.bench.study_data import USERS, find
from clusterseq.cli import main
from clusterseq.config import Config
from clusterseq.errors import ConfigError
from clusterseq.presets import PRESETS

TINY = "train.pretrain_epochs=0 train.meta_epochs=0 model.dim=4 model.members=1"
FILE = f"""
title = "Clusters"
question = "How many?"
axis = "clusters"
seeds = [0]
k = [3]
data = ["events:random", "nowhere:random"]
reading = "Nothing can be read from this."

[models]
"2" = "clusterseq {TINY} model.clusters=2"
"4" = "clusterseq {TINY} model.clusters=4"
"""


def study_file(folder: Path, text: str = FILE) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", names())
def test_every_study_asks_what_can_be_answered(name: str) -> None:
    study = read_study(name)
    assert study.question.endswith("?") or study.question.endswith(".")
    models = chosen(study.models.values(), PRESETS)
    assert len(models) == len(study.models) == len(study.entries), "each label is another model"
    assert OWN in study.entries.values(), "the default is what the others are compared with"
    assert all(text.rpartition(":")[2] in SPLITS for text in study.data)
    assert len(set(study.data)) == len(study.data)


def test_what_changes_nothing_is_the_default() -> None:
    text = f"clusterseq model.clusters={Config().model.clusters}"
    assert list(chosen([text], PRESETS)) == [OWN]
    assert list(chosen(["clusterseq model.clusters=3"], PRESETS)) != [OWN]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("title = ", "not TOML"),
        (FILE.replace("axis =", "axes ="), '"axes" is unknown'),
        (FILE.replace('axis = "clusters"', ""), '"axis" is missing'),
        (FILE.replace("seeds = [0]", "seeds = 0"), '"seeds" is missing or not a list'),
        (FILE.replace("axis =", 'ranking = "half"\naxis ='), "neither full nor sampled"),
        (FILE.replace("seeds = [0]", "seeds = []"), '"seeds" is empty'),
        (FILE.replace("seeds = [0]", "seeds = [-1]"), "seeds = -1 can't be used"),
        (FILE.replace("k = [3]", "k = [3.5]"), "k = 3.5 can't be used"),
        (FILE.replace('"events:random"', '"events"'), "'events' names no split"),
        (FILE.replace('"events:random"', "3"), "data 3 names no split"),
        (FILE.replace(f'"clusterseq {TINY} model.clusters=2"', "2"), "model 2 is no text"),
        (FILE.split('"2" =')[0], '"models" is empty'),
    ],
)
def test_a_mistake_in_a_file_is_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_study(study_file(tmp_path, text))


def test_the_documents_show_a_study(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "bench.md").read_text(encoding="utf-8")
    study = read_study(study_file(tmp_path, page.split("```toml\n")[1].split("```")[0]))
    assert list(study.entries) == ["whole", "no memory", "session kNN"]


def test_a_file_of_other_characters_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(FILE.replace("How many?", "Größe?").encode("latin-1"))
    with pytest.raises(ConfigError, match=r"mine\.toml: not TOML"):
        read_study(str(path))


def test_a_label_is_one_model(tmp_path: Path) -> None:
    text = FILE.replace(f'"clusterseq {TINY} model.clusters=2"', '"classical"')
    with pytest.raises(ConfigError, match='models; give "2" one of them'):
        _ = read_study(study_file(tmp_path, text)).entries


def test_an_unknown_study_is_told() -> None:
    with pytest.raises(ConfigError, match='did you mean "clusters"'):
        read_study("cluster")


def test_data_are_looked_for_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "beauty_5core.csv").write_text("")
    found, missing = find(read_study("ablation"), tmp_path, tmp_path)
    assert [one.name for one in found] == ["movietweetings", "beauty_5core"]
    assert missing == ["amazon_grocery_5core"]
    assert find(read_study("ablation"), None, tmp_path)[1] == [
        "amazon_grocery_5core",
        "beauty_5core",
    ]


def test_planted_people_are_the_same_every_time(tmp_path: Path) -> None:
    frames = []
    for place in ("a", "b"):
        ((one,), missing) = find(read_study("planted"), None, tmp_path / place)
        assert missing == []
        frames.append(pl.read_parquet(one.path))
    assert frames[0].equals(frames[1])
    assert frames[0]["user"].n_unique() == USERS


@pytest.fixture(scope="module")
def outcome(events_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study]:
    folder = tmp_path_factory.mktemp("study")
    name = study_file(folder)
    words = ["experiment", name, "--data", str(events_file.parent), "--out", str(folder / "out")]
    assert main(words) == 0
    return folder / "out", read_study(name)


def test_a_study_ends_in_a_table_a_chart_and_figures(outcome: tuple[Path, Study]) -> None:
    out, study = outcome
    page = (out / "mine.md").read_text()
    assert page.startswith("## Clusters\n\nHow many?\n")
    assert [line.split(" | ")[0] for line in page.splitlines() if line[:3] in ("| 2", "| 4")] == [
        "| 2",
        "| 4",
    ]
    assert "Nothing can be read from this." in page
    assert "clusterseq experiment" in page
    drawn = (out / "mine.svg").read_text()
    assert ">minor<" in drawn
    assert ">clusters<" in drawn
    figures = json.loads((out / "mine.json").read_text())
    (board,) = figures["results"]
    assert {entry["model"] for entry in board["entries"]} == set(study.entries.values())


def test_a_study_that_is_done_is_not_done_again(
    outcome: tuple[Path, Study], events_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = outcome
    before = {path.name: path.stat().st_mtime_ns for path in (out / "rows").iterdir()}
    name = str(out.parent / "mine.toml")
    words = ["experiment", name, "--data", str(events_file.parent), "--out", str(out), "--json"]
    assert main(words) == 0
    told = capsys.readouterr()
    assert "2 of 2 are done already" in told.err
    assert told.err.count("mine.md") == 1
    assert "Left out, since --data has no such file: nowhere" in told.err
    assert json.loads(told.out)["study"] == "mine"
    assert before == {path.name: path.stat().st_mtime_ns for path in (out / "rows").iterdir()}


def test_studies_share_a_folder_and_show_their_own_alone(
    outcome: tuple[Path, Study], events_file: Path
) -> None:
    out, _ = outcome
    other = FILE.replace('"2" =', '"3" =').replace("clusters=2", "clusters=3")
    (out.parent / "other.toml").write_text(other)
    name = str(out.parent / "other.toml")
    words = ["experiment", name, "--data", str(events_file.parent), "--out", str(out)]
    assert main(words) == 0
    (board,) = json.loads((out / "other.json").read_text())["results"]
    labels = {entry["model"].rpartition("=")[2] for entry in board["entries"]}
    assert labels == {"3", "4"}


def test_made_up_people_are_studied_in_a_new_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    planted = FILE.replace('["events:random", "nowhere:random"]', '["planted:random"]')
    name = study_file(tmp_path, planted)
    assert main(["experiment", name, "--seeds", "0;1"]) == 2
    assert not (tmp_path / "experiments").exists()
    assert main(["experiment", name]) == 0, capsys.readouterr().err
    assert (tmp_path / "experiments" / "mine.md").exists()


def test_a_study_of_which_nothing_can_be_judged_says_why(
    events_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = FILE.split('"2" =')[0] + 'huge = "clusterseq train.learning_rate=1e30"'
    words = ["experiment", study_file(tmp_path, text), "--data", str(events_file.parent)]
    assert main([*words, "--out", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert "Nothing could be judged" in told
    assert "failed: clusterseq train.learning_rate=1e30 on events (random), seed 0" in told


def test_without_data_and_without_a_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["experiment", study_file(tmp_path), "--out", str(tmp_path / "o")]) == 2
    assert "name their folder with --data" in capsys.readouterr().err
    assert main(["experiment"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{name} " in listed for name in names())
