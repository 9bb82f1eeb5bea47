"""``--json``: every command has it, and prints one object and nothing else."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from clusterseq import cli
from clusterseq.config import Config
from clusterseq.reading.events import read_events
from clusterseq.using import demo
from clusterseq.using.experiment import Experiment
from tests.service.serving import PATIENCE

Ask = Callable[..., Any]


@pytest.fixture
def ask(capfd: pytest.CaptureFixture[str]) -> Ask:
    """What a command prints, all of it."""

    def one(*words: object) -> Any:
        capfd.readouterr()
        assert cli.main([*map(str, words), "--json"]) == 0, capfd.readouterr().err
        return json.loads(capfd.readouterr().out)

    return one


@pytest.fixture
def model(model_directory: Path, tmp_path: Path) -> Path:
    return shutil.copytree(model_directory, tmp_path / "model")


def test_every_command_has_it() -> None:
    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    assert len(commands) == len(cli.COMMANDS)
    for name, command in commands.items():
        assert any("--json" in one.opts for one in command.params), name


def test_config(ask: Ask) -> None:
    assert ask("config", "--preset", "paper")["model"]["dim"] == 256


def test_keys(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "keys.jsonl"
    made = ask("keys", path, "--add", "shop", "--scopes", "read,events")
    assert made["key"].startswith("cs_")
    listed = {"name": "shop", "scopes": ["read", "events"]}
    assert made == {**listed, "key": made["key"]}
    assert ask("keys", path) == {"keys": [listed]}


def test_export(ask: Ask, events_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "shop.inter"
    assert ask("export", events_file, "--out", out) == {"out": str(out), "events": 1_499}
    assert out.exists()


def test_an_index_that_is_not_there_is_not_removed(ask: Ask, model: Path) -> None:
    assert ask("index", model, "--remove") == {"removed": None}


def test_recommending_to_a_file(ask: Ask, model: Path, events_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "recs.csv"
    told = ask("recommend", model, "--input", events_file, "--output", out, "--k", 2)
    assert told == {"out": str(out), "users": 300, "rows": 600, "coverage": 1.0}


def test_lists_of_what_there_is(ask: Ask) -> None:
    studies = ask("experiment")["studies"]
    assert {"name", "title"} == set(studies[0])
    models = ask("bench", "--list")["models"]
    assert {"name", "group", "about", "grid"} == set(models[0])
    assert cli.main(["bench", "--json", "--list"]) == 0, "in any order"


def test_training(ask: Ask, events_file: Path, small_options: list[str], tmp_path: Path) -> None:
    out = tmp_path / "trained"
    told = ask("train", events_file, "--out", out, *small_options)
    assert (told["out"], told["items"]) == (str(out), 60)
    assert told["test"] == json.loads((out / "metrics.json").read_text())["test"]
    everyone = ask("train", events_file, "--out", out, "--split", "none", *small_options)
    assert (everyone["test"], everyone["known_users"]) == (None, 300)


def test_tuning(ask: Ask, events_file: Path, small_options: list[str], tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    out = tmp_path / "search"
    words = ["--out", out, "--trials", 1, "--range", "model.scale=5|10", *small_options]
    told = ask("tune", events_file, *words)
    assert (told["out"], told["trials"]) == (str(out), 1)
    assert told["best"]["model.scale"] in (5.0, 10.0)
    assert told["validation_log_likelihood"] < 0


def test_the_demo(
    ask: Ask, events_file: Path, small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def smaller(out: Path, **_: object) -> Experiment:
        return Experiment(read_events(events_file), out, small)

    monkeypatch.setattr(demo, "experiment", smaller)
    told = ask("demo", "--out", tmp_path / "demo")
    assert told["test"]["users"] > 0
    assert [one["group"] for one in told["newcomers"]] == ["minor", "in between", "major"]
    assert len(told["newcomers"][0]["recommended"]["items"]) == 10


def test_serving(model: Path, tmp_path: Path) -> None:
    words = ["serve", str(model), "--port", "0", "--store", "memory:", "--json"]
    command = [sys.executable, "-m", "clusterseq", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            assert told["pid"] == process.pid
            with urllib.request.urlopen(f"{told['url']}/readyz", timeout=PATIENCE) as answer:
                assert json.load(answer)["status"] == "ready"
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == b"", "nothing else"
    assert process.returncode == 0


def test_a_port_that_is_taken_is_told_before_the_model_is_loaded(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert cli.main(["serve", "nowhere", "--port", str(port), "--json"]) == 2
    *_, line = capfd.readouterr().err.splitlines()
    told = json.loads(line)
    assert told["message"].startswith(f"http://127.0.0.1:{port}: Address already in use; give")
