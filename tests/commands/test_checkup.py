"""The doctor: a healthy machine is told so, and what is wrong is told with its remedy."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from clusterseq.cli import main
from clusterseq.commands.shared import checkup
from clusterseq.commands.shared.checkup import EXTRAS, NEEDED, Finding, examine


def found(what: str, store: str | None = None) -> Finding:
    (one,) = (finding for finding in examine(store) if finding.what == what)
    return one


def test_a_healthy_machine(capsys: pytest.CaptureFixture[str]) -> None:
    names = [one.what for one in examine()]
    assert {*NEEDED, "threads", "memory", "accelerator"} <= set(names)
    assert found("torch").told == torch.__version__
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["findings"]
    assert [one["what"] for one in told] == names
    assert not any(one["state"] == "wrong" for one in told)


def test_too_many_threads_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "_available", lambda: torch.get_num_threads() - 1)
    one = found("threads")
    assert (one.state, "set OMP_NUM_THREADS=" in one.told) == ("wrong", True)


def test_little_memory_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "LEAST_MEMORY", 2**62)
    assert found("memory").state == "note"


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_missing_extra_is_noted(monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
    assert found(f"extra {extra}").state == "fine"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    one = found(f"extra {extra}")
    assert (one.state, f"clusterseq[{extra}]" in one.told) == ("note", True)


def test_a_missing_package_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkup, "NEEDED", ("no-such-package",))
    assert main(["doctor"]) == 1
    assert "BAD  no-such-package: not installed; pip install" in capsys.readouterr().out


def test_stores_are_asked_and_none_is_made(tmp_path: Path) -> None:
    assert found("store", "memory:").state == "fine"
    path = tmp_path / "histories.sqlite"
    assert found("store", str(path)).state == "note"
    assert not path.exists()
    wrong = found("store", "redis://user:secret@127.0.0.1:1/0")
    assert wrong.state == "wrong"
    assert "secret" not in wrong.told
    assert found("store", "ftp://x").state == "wrong"
