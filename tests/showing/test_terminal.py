"""Progress: bars on a terminal, lines elsewhere, and nothing for what is over at once."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from clusterseq.learning.training_log import CompositeWatcher, TrainingLog
from clusterseq.showing.terminal import Bar, TrainingScreen, screen


@pytest.fixture
def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100, highlight=False)


@pytest.fixture
def pipe() -> Console:
    return Console(file=io.StringIO(), force_terminal=False, width=100)


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def train_a_little(screen: TrainingScreen) -> None:
    for done in range(3):
        screen.step("pretrain", done, 10)
    screen.epoch(
        {"stage": "pretrain", "epoch": 1, "loss": 0.123456, "validation_mrr": 0.5, "seconds": 61.28}
    )
    screen.step("meta", 1, 1)


def test_epochs_are_lines_where_there_is_no_terminal(pipe: Console) -> None:
    with TrainingScreen(pipe) as screen:
        train_a_little(screen)
    assert text(pipe) == "pre-training epoch 1: loss 0.1235, validation mrr 0.5000, 61.3 s\n"


def test_an_epoch_says_whether_it_is_kept_and_what_was_better(pipe: Console) -> None:
    with TrainingScreen(pipe) as screen:
        screen.epoch({"stage": "meta", "epoch": 1, "kept": True, "best": -7.5})
        screen.epoch({"stage": "meta", "epoch": 2, "kept": False, "best": -7.5})
    assert text(pipe).splitlines() == [
        "meta-training epoch 1: kept",
        "meta-training epoch 2: not kept, best -7.5000",
    ]


def test_a_terminal_shows_a_bar_per_stage_which_ends_full(terminal: Console) -> None:
    with TrainingScreen(terminal) as screen:
        train_a_little(screen)
    shown = text(terminal)
    assert "pre-training epoch 1: loss" in shown
    last = shown[shown.rindex("pre-training  ") :]
    assert "100%" in last.split("\n")[0], "a stage that ends early is done all the same"
    assert "meta-training" in last


def test_a_bar_waits_two_seconds(terminal: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("clusterseq.showing.terminal.time.monotonic", lambda: clock[0])
    with Bar("evaluating", terminal) as bar:
        bar(1, 4)
        assert text(terminal) == ""
        clock[0] += 2.1
        bar(2, 4)
        bar(4, 4)
    assert "evaluating" in text(terminal)
    assert "100%" in text(terminal)


def test_lines_come_seldom_and_not_at_the_end(
    pipe: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("clusterseq.showing.terminal.time.monotonic", lambda: clock[0])
    with Bar("recommending", pipe) as bar:
        for done in range(1, 31):
            clock[0] += 1
            bar(1000 * done, 30_000)
    assert text(pipe).splitlines() == [
        f"recommending: {done},000 of 30,000" for done in (2, 12, 22)
    ]


def test_every_epoch_is_kept_as_it_comes_and_told_to_everyone(tmp_path: Path) -> None:
    first, second = TrainingLog(tmp_path / "1.jsonl"), TrainingLog(tmp_path / "2.jsonl")
    together = CompositeWatcher(first, second)
    together.step("pretrain", 1, 2)
    for epoch in (1, 2):
        together.epoch({"stage": "pretrain", "epoch": epoch})
        for name in ("1.jsonl", "2.jsonl"):
            lines = (tmp_path / name).read_text().splitlines()
            assert [json.loads(line)["epoch"] for line in lines] == list(range(1, epoch + 1))


def test_an_epoch_that_is_run_again_is_kept_once(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "log.jsonl")
    for epoch, loss in ((1, 3.0), (2, 2.0), (3, 1.0), (2, 2.5)):
        log.epoch({"stage": "meta", "epoch": epoch, "loss": loss})
    kept = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(one["epoch"], one["loss"]) for one in kept] == [(1, 3.0), (2, 2.5)]


def test_no_title_commands_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table()
    table.add_row("\x1b[31mred\x1b[0m", "a\u202eb", "two\nlines")
    screen().print(table)
    screen().print("\x9b2J", "\x07")
    shown = capsys.readouterr().out
    assert not set(shown) & {"\x1b", "\x9b", "\x07", "\u202e"}
    assert "red" in shown
    assert "two" in shown
