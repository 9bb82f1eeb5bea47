"""The chart of a study: over numbers a line, over K a line per model, else a row per model.

Knows nothing about: how figures came about, tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clusterseq.bench.own import OWN
from clusterseq.bench.plot import several_k
from clusterseq.bench.study import Study
from clusterseq.bench.study_page import rows
from clusterseq.bench.summary import Board, Entry, Estimate, Summary
from clusterseq.showing.drawing import BLUE, COLOURS, GREEN, GREY, ORANGE, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = (4.6, 3.4)
MARKERS = ("D", "o", "s", "^", "v", "P", "X")


def draw(study: Study, summary: Summary) -> Figure:
    """One panel for each data set."""
    curves = several_k(summary.boards)
    groups: Sequence[Sequence[Board]] = curves or [[board] for board in summary.boards]
    height = PANEL[1] if curves or study.numeric else 1.1 + 0.32 * len(study.models)
    figure, all_axes = panels(len(groups), (PANEL[0], height))
    for boards, axes in zip(groups, all_axes, strict=True):
        title = f"{boards[0].dataset} ({boards[0].split})"
        if len(boards) > 1:
            _over_k(study, boards, axes)
        elif study.numeric:
            _over_numbers(study, boards[0], axes)
        else:
            _row_each(study, boards[0], axes)
        axes.set_title(title, fontsize=10)
    if curves or study.numeric:
        all_axes[0].margins(y=0.25)
        all_axes[0].legend(frameon=False, fontsize=8, loc="upper center", ncols=3)
    return figure


def _over_k(study: Study, boards: Sequence[Board], axes: Axes) -> None:
    for index, (label, name) in enumerate(study.entries.items()):
        points = [
            (board.k, _mrr(study, entry).mean)
            for board in boards
            for entry in board.entries
            if entry.model == name
        ]
        if points:
            ks, values = zip(*sorted(points), strict=True)
            colour = ORANGE if name == OWN else COLOURS[index % len(COLOURS)]
            marker = MARKERS[index % len(MARKERS)]
            axes.plot(ks, values, marker=marker, markersize=4, color=colour, label=label)
    axes.set(xlabel="items shown", ylabel=_name(study), ylim=(0, None))


def _over_numbers(study: Study, board: Board, axes: Axes) -> None:
    labelled = list(rows(study, board))
    xs = range(len(labelled))
    estimates = [_mrr(study, entry) for _, entry in labelled]
    axes.plot(xs, [mrr.mean for mrr in estimates], "D-", color=ORANGE, label="all")
    lows, highs = [mrr.low for mrr in estimates], [mrr.high for mrr in estimates]
    axes.fill_between(xs, lows, highs, color=ORANGE, alpha=0.15, linewidth=0)
    for group, colour, marker in (("minor", BLUE, "v"), ("major", GREEN, "^")):
        values = [_group(study, entry, group) for _, entry in labelled]
        axes.plot(xs, values, marker=marker, linestyle=":", color=colour, label=group)
    axes.set(xlabel=study.axis, ylabel=_name(study))
    axes.set_xticks(xs, [label for label, _ in labelled])


def _row_each(study: Study, board: Board, axes: Axes) -> None:
    labelled = list(rows(study, board))[::-1]
    for row, (_, entry) in enumerate(labelled):
        estimate, colour = _mrr(study, entry), ORANGE if entry.model == OWN else BLUE
        axes.plot([estimate.low, estimate.high], [row, row], color=colour, linewidth=2, alpha=0.6)
        axes.plot([estimate.mean], [row], "o", color=colour)
        axes.plot([_group(study, entry, "minor")], [row], "v", color=GREY, markersize=4)
    axes.set_xlabel(f"{_name(study)}; grey: minor users", fontsize=8)
    axes.set_yticks(range(len(labelled)), [label for label, _ in labelled], fontsize=8)


def _mrr(study: Study, entry: Entry) -> Estimate:
    return (entry.sampled if study.ranking == "sampled" else entry.full)["mrr"]


def _group(study: Study, entry: Entry, name: str) -> float:
    mrr = entry.group_mrr(name, study.ranking)
    return float("nan") if mrr is None else mrr.mean


def _name(study: Study) -> str:
    return "MRR among 100 items" if study.ranking == "sampled" else "MRR, full catalogue"
