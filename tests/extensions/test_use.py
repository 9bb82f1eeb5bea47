"""What a package brings is used wherever our own is: benched, served, read, trained and loaded."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import polars as pl
import pytest

from clusterseq import cli
from clusterseq.bench.models import chosen
from clusterseq.bench.results import TABLE
from clusterseq.config import Config
from clusterseq.errors import CheckpointError, ConfigError
from clusterseq.learning.checkpoint import load_checkpoint
from clusterseq.overrides import changed, with_assignments
from clusterseq.presets import PRESETS
from clusterseq.reading.events import read_events
from clusterseq.using.experiment import Experiment
from clusterseq.using.recommender import Recommender
from clusterseq.values import from_dict
from tests.extensions.test_examples import write_events
from tests.service.serving import serving, settings_of

PARTS = ("model.encoder=mean", "model.clusterer=directions", "model.conditioner=shift")


@pytest.mark.usefixtures("installed")
def test_a_baseline_is_benched(
    events_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bench", "--list"]) == 0
    assert "successors (classical): What came right after." in capsys.readouterr().out
    words = [str(events_file), "--models", "successors", "--seeds", "0", "--out", str(tmp_path)]
    assert cli.main(["bench", *words]) == 0
    row = pl.read_parquet(tmp_path / TABLE).row(0, named=True)
    assert (row["model"], row["status"]) == ("successors", "done")
    assert len(json.loads(row["trials"])) == 3
    assert row["full_mrr"] > 0.02


@pytest.mark.usefixtures("installed")
def test_another_version_of_a_baseline_is_benched_anew() -> None:
    model = chosen(["successors"], PRESETS)["successors"]
    assert model.settings["package"] == "clusterseq-examples 0.1"
    newer = dataclasses.replace(model, origin="clusterseq-examples 0.2")
    assert newer.digest != model.digest


@pytest.mark.usefixtures("installed")
def test_a_store_is_served(model_directory: Path) -> None:
    with serving(settings_of(model_directory, "dict:served")) as service:
        for item in ("i03", "i05"):
            body = {"user": "ann", "item": item}
            assert service.client.post("/v1/events", json=body).status_code == 200
        kept = service.client.get("/v1/users/ann").json()["events"]
        assert [event["item"] for event in kept] == ["i03", "i05"]
        assert service.recommend(user="ann", k=3)["items"]
    with pytest.raises(ConfigError, match="2 processes need a store that they share"):
        settings_of(model_directory, "dict:served", processes=2)


@pytest.mark.usefixtures("installed")
def test_a_reader_is_read_by_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_events(tmp_path / "shop.sqlite3")
    (tmp_path / "notes.md").write_text("no events")
    for source in (tmp_path, tmp_path / "shop.sqlite3", f"sqlite3://{tmp_path}/shop.sqlite3"):
        assert cli.main(["inspect", str(source), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["events"] == 6


@pytest.fixture(scope="module")
def foreign(
    events_file: Path, small: Config, installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A model whose parts are all somebody else's."""
    directory = tmp_path_factory.mktemp("models") / "foreign"
    Experiment(read_events(events_file), directory, with_assignments(small, PARTS)).run()
    return directory


def test_a_model_of_foreign_parts_is_trained_saved_and_used(
    foreign: Path, installed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_checkpoint(foreign).model
    names = {type(part).__name__ for part in model.modules()}
    assert {"MeanEncoder", "Directions", "Shift"} <= names
    assert bool(model.state_dict()["conditioner.shifts"].any()), "it was trained"
    found = Recommender.load(foreign).recommend(["i03", "i05"], k=5)
    assert len({int(str(one)[1:]) // 30 for one in found.ids}) == 1, "of the person's kind"
    assert cli.main(["inspect", str(foreign)]) == 0
    assert "model.encoder = mean" in capsys.readouterr().out


def test_without_its_package_a_model_says_what_it_lacks(
    foreign: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(installed)])
    with pytest.raises(CheckpointError, match=r'encoder "mean" is unknown here.*be installed'):
        load_checkpoint(foreign)


@pytest.mark.usefixtures("installed")
def test_the_doctor_lists_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["doctor"])
    said = capsys.readouterr().out
    assert 'extension: the encoder "mean" of clusterseq-examples 0.1' in said
    assert said.count("of clusterseq-examples") == 6


def test_our_own_parts_are_not_named_so_that_old_digests_stay() -> None:
    for config in PRESETS.values():
        assert not {"encoder", "clusterer", "conditioner"} & set(config.to_dict()["model"])
    other = with_assignments(Config(), PARTS)
    assert from_dict(Config, other.to_dict()) == other
    assert [*changed(other)] == [one.partition("=")[0] for one in PARTS]
