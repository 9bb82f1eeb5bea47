"""How progress looks: bars on a terminal, plain lines where there is none.

Knows nothing about: what takes the time, results.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

PATIENCE_S = 2.0
"""What is over sooner gets no bar."""
LINE_EVERY_S = 10.0
"""How often a line tells of progress where there is no terminal."""
STAGES = {
    "prepare": "preparing",
    "teacher": "teacher",
    "pretrain": "pre-training",
    "meta": "meta-training",
    "update": "updating",
    "evaluate": "evaluating",
}


CONTROLS = {
    code: "\ufffd"
    for code in (*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    if chr(code) not in "\n\t"
}
"""What moves the cursor, sets colours or turns the direction of text: no title may do that."""


class Screen(Console):
    """A console that shows text as it is, and lets none of it command the terminal."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Text without what isn't seen."""
        return super().render_str(text.translate(CONTROLS), **options)


def screen(*, stderr: bool = False) -> Console:
    """Standard output or standard error; wider than usual where nobody's window limits it."""
    stream = sys.stderr if stderr else sys.stdout
    wide = stream is None or (not stream.isatty() and "COLUMNS" not in os.environ)
    width = 120 if wide else None
    # No markup: a title such as [rec] is text, not a style.
    return Screen(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def note(line: str) -> None:
    """Say something beside the results: on standard error, as one line however long it is."""
    screen(stderr=True).print(line, soft_wrap=True)


def bars(console: Console) -> Progress:
    """Bars with the share done and the time past and to come; they vanish when all is over."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )


class Bar:
    """Shows how far one thing is, once it has taken two seconds; call it with (done, total)."""

    def __init__(self, label: str, console: Console | None = None) -> None:
        self._label = label
        self._console = console or screen(stderr=True)
        self._bars: Progress | None = None
        self._due = time.monotonic() + PATIENCE_S

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def __call__(self, done: int, total: int) -> None:
        """``done`` of ``total`` are behind us."""
        if self._bars:
            self._bars.update(self._bars.task_ids[0], completed=done, total=total)
        elif done == total or time.monotonic() < self._due:
            return
        elif self._console.is_terminal:
            self._bars = bars(self._console)
            self._bars.add_task(self._label, completed=done, total=total)
            self._bars.start()
        else:
            self._console.print(f"{self._label}: {done:,} of {total:,}")
            self._due = time.monotonic() + LINE_EVERY_S


class Bars(ExitStack):
    """Shows how far each of several things is, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self._label = ""

    def step(self, label: str, done: int, total: int) -> None:
        """``done`` of ``total`` of what the label names are behind us."""
        if label != self._label:
            self.close()
            self._label, self._bar = label, self.enter_context(Bar(label))
        self._bar(done, total)


class TrainingScreen:
    """Shows a training: a bar per stage on a terminal, and a line per epoch everywhere."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or screen(stderr=True)
        self._bars = bars(self._console)
        self._stage = ""

    def __enter__(self) -> TrainingScreen:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._finish()
        if self._console.is_terminal:
            self._bars.stop()

    def step(self, stage: str, done: int, total: int) -> None:
        """Move the stage's bar, or begin the next one's."""
        if not self._console.is_terminal:
            return
        if stage != self._stage:
            self._finish()
            self._stage = stage
            self._bars.add_task(f"{STAGES.get(stage, stage):13}", total=total)
        self._bars.update(self._bars.task_ids[-1], completed=done, total=total)

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Print what the epoch has come to."""
        stage = STAGES.get(record["stage"], record["stage"])
        unsaid = {"stage", "epoch", *(["best"] if record.get("kept") else [])}
        figures = [_figure(name, record[name]) for name in record if name not in unsaid]
        self._console.print(f"{stage} epoch {record['epoch']}: {', '.join(figures)}")

    def _finish(self) -> None:
        """A stage that stopped early is done all the same."""
        for task in self._bars.tasks[-1:]:
            self._bars.update(task.id, completed=task.total)


def _figure(name: str, value: object) -> str:
    if name == "seconds" and isinstance(value, int | float):
        return f"{value:.1f} s"
    if name == "kept":  # the stage ends with it if nothing better comes
        return "kept" if value else "not kept"
    text = f"{value:.4f}" if isinstance(value, float) else str(value)
    return f"{name.replace('_', ' ')} {text}"
