"""Every code has a page, every page a code that is used, and what the examples print is real."""

from __future__ import annotations

import ast
import copy
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from clusterseq import cli
from clusterseq.commands.help import CODES, HOME, page
from clusterseq.errors import ClusterSeqError, Code, ConfigError, DataError
from clusterseq.showing.terminal import TrainingScreen
from docs.hooks import error_codes

SOURCE = Path(cli.__file__).parent
MACHINE = ("memory", "model")
"""Whose messages hold numbers of this machine, which pages write as dots."""
SECTIONS = ["Usual causes, and what to do", "Example"]


def main(*words: str) -> int:
    return cli.main(list(words))


def constants(tree: ast.AST, where: type[ast.AST]) -> set[str]:
    """The text in all nodes of a kind."""
    nodes = (node for node in ast.walk(tree) if isinstance(node, where))
    found = (inner for node in nodes for inner in ast.walk(node))
    return {one.value for one in found if isinstance(one, ast.Constant) and type(one.value) is str}


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    pages = {path.name for path in HOME.iterdir() if path.name.endswith(".md")}
    assert pages == {f"{code}.md" for code in CODES}


def test_every_code_is_used() -> None:
    kinds: list[type[ClusterSeqError]] = [ClusterSeqError, *ClusterSeqError.__subclasses__()]
    own: set[str] = {kind.code for kind in kinds}
    given: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        keywords = (node for node in ast.walk(tree) if isinstance(node, ast.keyword))
        for word in keywords:
            if word.arg == "code":
                given |= constants(word, ast.Constant)
    told = constants(ast.parse((SOURCE / "cli.py").read_text(encoding="utf-8")), ast.Return)
    assert own | given | (told & set(CODES)) == set(CODES)


def test_no_code_is_the_name_of_a_command() -> None:
    assert not {command.__name__ for command in cli.COMMANDS} & set(CODES)


def test_ours_are_of_a_kind_and_a_bare_error_is_an_extensions() -> None:
    for path in SOURCE.rglob("*.py"):
        assert "raise ClusterSeqError(" not in path.read_text(encoding="utf-8"), path
    assert ClusterSeqError("mine").code == "extension"
    assert str(DataError("x").code) == "data"
    assert str(DataError("x", code="row").code) == "row"


@pytest.mark.parametrize("code", CODES)
def test_a_page_says_what_it_means_why_and_what_to_do(code: Code) -> None:
    found = page(code)
    assert len(found.title) <= 70, "it stands in a list"
    assert re.findall(r"^## (.*)$", found.text, re.MULTILINE) == SECTIONS
    assert found.text.index("## ") > 40, "it says what the error means"
    assert len(re.findall(r"^- ", found.text, re.MULTILINE)) >= 3
    assert f"## {code} {{ #{code} }}" in error_codes.page()
    assert found.title in error_codes.page()


@pytest.fixture
def folder(
    events_file: Path, model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """What every example finds: events.csv and my-model."""
    shutil.copy(events_file, tmp_path / "events.csv")
    shutil.copytree(model_directory, tmp_path / "my-model")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def interrupt(screen: TrainingScreen, record: Mapping[str, Any]) -> None:
    """Press Ctrl-C after an epoch."""
    os.kill(os.getpid(), signal.SIGINT)


def divide(directory: object) -> None:
    """Make a mistake."""
    raise ZeroDivisionError("division by zero")


@pytest.fixture
def arranged(code: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an example needs that can't be typed: a missing library, Ctrl-C, a mistake of ours."""
    if code == "extra":
        monkeypatch.setitem(sys.modules, "optuna", None)
    elif code == "interrupted":
        monkeypatch.setattr(TrainingScreen, "epoch", interrupt)
    elif code == "unforeseen":
        monkeypatch.setattr("clusterseq.learning.checkpoint.load_checkpoint", divide)


def transcript(code: Code) -> tuple[list[str], str]:
    """What an example types, and what is printed at the end."""
    lines = page(code).text.partition("## Example\n\n")[2].splitlines()
    *typed, printed = (line.removeprefix("    ") for line in lines)
    assert all(line.startswith("$ ") for line in typed)
    return [line.removeprefix("$ ") for line in typed], printed


@pytest.mark.usefixtures("folder", "arranged")
@pytest.mark.parametrize("code", CODES)
def test_an_example_fails_as_the_page_says(code: Code, capfd: pytest.CaptureFixture[str]) -> None:
    typed, printed = transcript(code)
    for line in typed[:-1]:
        subprocess.run(["bash", "-euc", line], check=True)
    name, *words = shlex.split(typed[-1])
    assert name == "clusterseq"
    capfd.readouterr()
    assert main(*words) == page(code).status
    more = [] if code == "interrupted" else [f"clusterseq help {code} tells more"]
    lines = capfd.readouterr().err.splitlines()
    expected = re.escape(printed).replace("…", ".+") if code in MACHINE else re.escape(printed)
    assert re.fullmatch(expected, lines[-1 - len(more)])
    assert lines[len(lines) - len(more) :] == more
    assert main(*words, "--json") == page(code).status
    values = json.loads(capfd.readouterr().err.splitlines()[-1])
    assert (values["code"], values["status"]) == (code, page(code).status)
    told = values["message"] if code == "interrupted" else f"error: {values['message']}"
    assert re.fullmatch(expected, f"clusterseq: {told}")


def test_help_lists_all_codes(capfd: pytest.CaptureFixture[str]) -> None:
    assert main("help") == 0
    listed = capfd.readouterr().out
    assert all(f"\n  {code} " in listed and page(code).title in listed for code in CODES)
    assert main("help", "--json") == 0
    values = json.loads(capfd.readouterr().out)
    assert [one["code"] for one in values["codes"]] == list(CODES)


def test_help_tells_about_a_code_and_about_a_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert main("help", "row") == 0
    assert "--skip-bad" in capfd.readouterr().out
    assert main("help", "row", "--json") == 0
    assert json.loads(capfd.readouterr().out)["title"] == page("row").title
    assert main("inspect", "--help") == 0
    as_always = capfd.readouterr().out
    assert main("help", "inspect") == 0
    assert capfd.readouterr().out == as_always
    assert main("help", "inspect", "--json") == 0
    assert json.loads(capfd.readouterr().out)["text"] in as_always
    assert main("help", "colums") == 2
    assert 'did you mean "columns"?' in capfd.readouterr().err


def test_a_code_goes_along_where_an_error_is_copied_as_between_processes() -> None:
    assert str(copy.copy(ConfigError("none", code="extra")).code) == "extra"
