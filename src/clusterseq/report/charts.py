"""The charts of a report, each from the figures that it shows.

Knows nothing about: where figures come from, pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from clusterseq.report.adaptation import AtStep
from clusterseq.report.by_length import AtLength
from clusterseq.report.clusters import Placed
from clusterseq.report.data_profile import DataProfile, Popularity
from clusterseq.showing.drawing import BLUE, COLOURS, GREY, ORANGE, panels
from clusterseq.using.comparison import CLUSTERSEQ

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = (4.6, 3.3)
MARKERS = ("o", "s", "^", "D")
STAGES = {"teacher": "the teacher", "pretrain": "pre-training", "meta": "meta-training"}


def data(profile: DataProfile | None, popularity: Popularity) -> Figure:
    """How long histories are, and how much of all events popular items have."""
    figure, all_axes = panels(1 if profile is None else 2, PANEL)
    if profile is not None:
        _bars(all_axes[0], profile.lengths, "events of a user", "users")
    shares, held = zip(*popularity.curve, strict=True)
    all_axes[-1].plot([100 * share for share in shares], [100 * part for part in held], "o-")
    all_axes[-1].set_xscale("log")
    all_axes[-1].set(
        xlabel="most touched items, % of the catalogue", ylabel="their share of events, %"
    )
    return figure


def training(epochs: Sequence[dict[str, Any]]) -> Figure:
    """Loss, and what validation users say, over the epochs of each stage."""
    stages = [stage for stage in STAGES if any(epoch["stage"] == stage for epoch in epochs)]
    figure, all_axes = panels(len(stages), PANEL)
    for stage, axes in zip(stages, all_axes, strict=True):
        stage_epochs = [epoch for epoch in epochs if epoch["stage"] == stage]
        numbers = [epoch["epoch"] for epoch in stage_epochs]
        axes.plot(
            numbers,
            [epoch["loss"] for epoch in stage_epochs],
            "o-",
            color=GREY,
            label="loss, known users",
        )
        measured = [epoch.get("validation_log_likelihood") for epoch in stage_epochs]
        if all(value is not None for value in measured):
            losses = [-float(value) for value in measured if value is not None]
            axes.plot(numbers, losses, "D-", color=ORANGE, label="loss, validation users")
        axes.set(title=STAGES[stage], xlabel="epoch", ylabel="nats", xticks=numbers)
        axes.legend(frameon=False, fontsize=8)
    return figure


def accuracy(models: dict[str, dict[str, Any]], own: str) -> Figure:
    """MRR of each model with its interval, full catalogue and among 100; our own stands out."""
    titles = {"full": "full catalogue", "sampled": "among 100 items"}
    figure, all_axes = panels(2, (PANEL[0], 0.9 + 0.3 * len(models)))
    for (ranking, title), axes in zip(titles.items(), all_axes, strict=True):
        for row, (name, figures) in enumerate(models.items()):
            low, high = figures[ranking]["mrr_ci95"]
            colour = ORANGE if name == own else BLUE
            axes.plot([low, high], [row, row], color=colour, linewidth=2)
            axes.plot([figures[ranking]["mrr"]], [row], "o", color=colour, markersize=8)
        axes.set(title=title, xlabel="MRR", yticks=range(len(models)), yticklabels=list(models))
        axes.set_ylim(-0.7, len(models) - 0.3)
    all_axes[1].set_yticklabels([])
    return figure


def lengths(found_at: Sequence[AtLength]) -> Figure:
    """MRR over how many items a person has shown, with the interval of ours."""
    figure, (axes,) = panels(1, (2 * PANEL[0], PANEL[1]))
    for index, name in enumerate(dict.fromkeys(point.model for point in found_at)):
        points = [point for point in found_at if point.model == name]
        colour = ORANGE if name == CLUSTERSEQ else (GREY, BLUE)[index % 2]
        ks = [point.k for point in points]
        marker = MARKERS[index % len(MARKERS)]
        axes.plot(ks, [point.mrr for point in points], marker=marker, color=colour, label=name)
        if name == CLUSTERSEQ:
            low, high = [point.low for point in points], [point.high for point in points]
            axes.fill_between(ks, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set(xlabel="items shown", ylabel="MRR, full catalogue", ylim=(0, None))
    axes.set_xticks(sorted({point.k for point in found_at}))
    axes.legend(frameon=False, fontsize=8)
    return figure


def adaptation(curve: Sequence[AtStep], learnt: int) -> Figure:
    """MRR and loss over steps of the inner loop; what was learnt is to the left of the line."""
    figure, all_axes = panels(2, PANEL)
    steps = [point.steps for point in curve]
    for axes, values, name in (
        (all_axes[0], [point.mrr for point in curve], "MRR, full catalogue"),
        (all_axes[1], [point.loss for point in curve], "loss, nats"),
    ):
        axes.plot(steps, values, "o-", color=ORANGE)
        axes.axvline(learnt, color=GREY, linestyle=":", linewidth=1)
        axes.set(xlabel="steps of adaptation", ylabel=name, xticks=steps)
    return figure


def cluster_map(placed: Placed) -> Figure:
    """People in the plane where items differ most, by cluster, and how sure assignments are."""
    figure, all_axes = panels(2, (PANEL[0], 4.2))
    axes = all_axes[0]
    clusters = sorted({cluster for _, _, cluster in placed.points})
    for cluster in clusters:
        members = [(x, y) for x, y, assigned in placed.points if assigned == cluster]
        xs, ys = zip(*members, strict=True)
        colour, marker = COLOURS[cluster % len(COLOURS)], MARKERS[cluster % len(MARKERS)]
        axes.scatter(xs, ys, s=7, color=colour, marker=marker, alpha=0.55, label=str(cluster))
    axes.set(title="known users by their first three items", xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.legend(title="cluster", frameon=False, fontsize=7, title_fontsize=7, markerscale=1.6)
    below = [0.0, *placed.certainty]
    shares = [100 * (upper - lower) for upper, lower in zip(below[1:], below, strict=False)]
    _bars(
        all_axes[1],
        {f"≤ {bound / 10:g}": share for bound, share in enumerate(shares, start=1)},
        "largest share of a cluster",
        "users, %",
    )
    return figure


def groups(models: dict[str, dict[str, Any]]) -> Figure:
    """MRR of each group of people, ours beside the best simple model."""
    figure, (axes,) = panels(1, (2 * PANEL[0], PANEL[1]))
    names = [name for name, group in models[CLUSTERSEQ]["groups"].items() if group["users"]]
    for index, (model, figures) in enumerate(models.items()):
        values = [figures["groups"].get(name, {}).get("full", {}).get("mrr") for name in names]
        colour = ORANGE if model == CLUSTERSEQ else (GREY, BLUE)[index % 2]
        shift = (index - (len(models) - 1) / 2) * 0.8 / len(models)
        positions = [position + shift for position in range(len(names))]
        heights = [value or 0.0 for value in values]
        axes.bar(positions, heights, width=0.8 / len(models), color=colour, label=model)
    axes.set(ylabel="MRR, full catalogue")
    axes.set_xticks(range(len(names)), names, rotation=20)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _bars(axes: Axes, heights: dict[str, Any], xlabel: str, ylabel: str) -> None:
    axes.bar(range(len(heights)), list(heights.values()), color=BLUE)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_xticks(range(len(heights)), list(heights), rotation=45, fontsize=8)
    axes.grid(axis="x", visible=False)
