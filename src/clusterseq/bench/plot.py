"""Two charts: accuracy against training time, and accuracy against how much of a person is shown.

Every group has a colour and a marker of its own. Needs matplotlib, which the extra
clusterseq[bench] installs.

Knows nothing about: how figures came about, tables.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clusterseq.bench.own import OWN
from clusterseq.bench.summary import Board, Entry, Summary
from clusterseq.machine.files import write_whole
from clusterseq.showing.drawing import BLUE, GREEN, ORANGE, PINK, panels, rendered

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"classical": BLUE, "neural": GREEN, "meta": PINK, "ours": ORANGE}
MARKERS = {"classical": "o", "neural": "s", "meta": "^", "ours": "D"}
PANEL = (5.2, 4.2)
"""Inches of a panel."""
USUAL_K = 3
LABEL = (0.3, 0.04)
"""Room of a label, as shares of the panel's width and height."""
FORMATS = ("svg", "png")


def write_charts(directory: Path, summary: Summary) -> list[Path]:
    """Draw the charts that the summary has figures for, as SVG and PNG; returns where.

    Raises:
        ConfigError: matplotlib isn't installed.
    """
    paths = []
    for name, figure in charts_of(summary).items():
        for kind in FORMATS:
            paths.append(directory / f"{name}.{kind}")
            write_whole(paths[-1], rendered(figure, kind))
    return paths


def charts_of(summary: Summary) -> dict[str, Figure]:
    """The charts by the names of their files."""
    charts = {}
    shown = [board for board in map(without_ablations, summary.boards) if board.entries]
    if boards := usual_boards(shown):
        charts["accuracy-time"] = accuracy_against_time(boards)
    if curves := several_k(shown):
        charts["k-curve"] = accuracy_against_k(curves)
    return charts


def without_ablations(board: Board) -> Board:
    """A board of what people choose between; what parts are good for is left to the tables."""
    entries = tuple(entry for entry in board.entries if not entry.model.startswith(f"{OWN} "))
    return dataclasses.replace(board, entries=entries)


def usual_boards(boards: Iterable[Board]) -> list[Board]:
    """One board of each data set: at K = 3 if it was judged there, else at the smallest K."""
    usual: dict[tuple[str, str], Board] = {}
    for board in boards:
        key = (board.dataset, board.split)
        if key not in usual or board.k == USUAL_K:
            usual[key] = board
    return list(usual.values())


def several_k(boards: Iterable[Board]) -> list[list[Board]]:
    """The boards of each data set that was judged at two K or more."""
    curves: dict[tuple[str, str], list[Board]] = {}
    for board in boards:
        curves.setdefault((board.dataset, board.split), []).append(board)
    return [curve for curve in curves.values() if len(curve) > 1]


def accuracy_against_time(boards: Sequence[Board]) -> Figure:
    """A panel per data set, a labelled point per model; up and left is better."""
    figure, all_axes = panels(len(boards), PANEL)
    for board, axes in zip(boards, all_axes, strict=True):
        for entry in board.entries:
            _point(axes, entry)
        axes.set_xscale("log")
        axes.margins(x=0.25, y=0.12)
        axes.set(title=board.title, xlabel="training time, s", ylabel="MRR, full catalogue")
        _label(axes, board.entries)
    _legend(figure, all_axes[0], {entry.group for board in boards for entry in board.entries})
    return figure


def accuracy_against_k(curves: Sequence[Sequence[Board]]) -> Figure:
    """A panel per data set, a line per model over K."""
    figure, all_axes = panels(len(curves), PANEL)
    for boards, axes in zip(curves, all_axes, strict=True):
        entries = {entry.model: entry for board in boards for entry in board.entries}
        for name, entry in entries.items():
            points = [
                (b.k, e.full["mrr"].mean) for b in boards for e in b.entries if e.model == name
            ]
            ks, values = zip(*points, strict=True)
            axes.plot(
                ks,
                values,
                color=COLOURS[entry.group],
                marker=MARKERS[entry.group],
                linewidth=2.5 if name == OWN else 1,
                markersize=4,
            )
        axes.margins(x=0.25)
        _label_ends(axes, boards[-1])
        title = f"{boards[0].dataset} ({boards[0].split})"
        axes.set(title=title, xlabel="items shown, K", ylabel="MRR, full catalogue")
    return figure


def _point(axes: Axes, entry: Entry) -> None:
    """A marker for the mean; ours is big and has its interval, its variants are hollow."""
    seconds, mrr = _seconds(entry), entry.full["mrr"]
    colour, ours = COLOURS[entry.group], entry.model == OWN
    if ours:
        axes.plot([seconds] * 2, [mrr.low, mrr.high], color=colour, alpha=0.5, linewidth=1.5)
    axes.plot(
        [seconds],
        [mrr.mean],
        linestyle="none",
        marker=MARKERS[entry.group],
        markersize=9 if ours else 5,
        markeredgecolor=colour,
        markerfacecolor=colour if ours or entry.group != "ours" else "white",
    )


def _label(axes: Axes, entries: Sequence[Entry]) -> None:
    """Names beside the points, moved where they would lie on each other."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    width, height = LABEL[0] * math.log(right / left), LABEL[1] * (top - bottom)
    placed: list[tuple[float, float]] = []
    for entry in sorted(entries, key=lambda entry: entry.full["mrr"].mean):
        seconds, mean = _seconds(entry), entry.full["mrr"].mean
        x = math.log(seconds)
        y = next(
            near
            for near in _nearby(mean, height)
            if not any(abs(x - a) < width and abs(near - b) < 0.99 * height for a, b in placed)
        )
        placed.append((x, y))
        axes.annotate(
            entry.model,
            (seconds, mean),
            (seconds * (right / left) ** 0.03, y),
            size=7,
            va="center",
            weight="bold" if entry.model == OWN else "normal",
            color=COLOURS[entry.group],
            arrowprops={"arrowstyle": "-", "linewidth": 0.3, "color": "grey", "shrinkB": 3},
        )


def _label_ends(axes: Axes, board: Board) -> None:
    """Names at the right ends of the lines, moved up where they would lie on each other."""
    bottom, top = axes.get_ylim()
    y = -math.inf
    for entry in reversed(board.entries):
        y = max(entry.full["mrr"].mean, y + 0.75 * LABEL[1] * (top - bottom))
        axes.annotate(
            entry.model,
            (board.k, y),
            (6, 0),
            textcoords="offset points",
            size=6,
            color=COLOURS[entry.group],
        )


def _nearby(value: float, gap: float) -> Iterator[float]:
    """The value, and then ever further ones on both sides of it."""
    yield value
    for steps in itertools.count(1):
        yield from (value + steps * gap, value - steps * gap)


def _legend(figure: Figure, axes: Axes, groups: set[str]) -> None:
    for group in (name for name in COLOURS if name in groups):
        axes.plot([], [], MARKERS[group], color=COLOURS[group], label=group)
    figure.legend(fontsize=8, frameon=False, ncols=len(groups), loc="outside lower center")


def _seconds(entry: Entry) -> float:
    return max(float(entry.costs["train_s"] or 0), 1e-3)
