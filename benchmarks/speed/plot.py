"""A picture of how training grows: seconds and memory over items and people, both in logarithms.

Knows nothing about: how anything was measured.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure as Picture

POINT = re.compile(r"(?P<cost>.+), (?P<size>[\d,]+) (?P<what>items|users), (?P<beside>.+)")
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00")
MARKERS = ("o", "s", "^", "D")


def draw_growth(growth: Mapping[str, Any], path: Path) -> None:
    """Write the picture of a section ``growth``."""
    series = _series(growth)
    picture = Picture(figsize=(10, 4), layout="constrained")
    for axes, ((what, beside), costs) in zip(
        picture.subplots(1, len(series), squeeze=False)[0], series.items(), strict=True
    ):
        for (cost, points), colour, marker in zip(costs.items(), COLOURS, MARKERS, strict=False):
            sizes, values = zip(*points, strict=True)
            unit = "MiB" if cost == "memory" else "s"
            axes.loglog(sizes, values, color=colour, marker=marker, label=f"{cost} [{unit}]")
        axes.set_xlabel(what)
        axes.set_title(f"{what} grow, {beside}")
        axes.grid(visible=True, which="major", alpha=0.3)
        axes.legend()
    picture.savefig(path, metadata={"Date": None})


def _series(growth: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, list[Any]]]:
    """Points of every cost, for each thing that grows."""
    found: dict[tuple[str, str], dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for figure in growth["figures"]:
        if point := POINT.fullmatch(figure["name"]):
            size = int(point["size"].replace(",", ""))
            series = found[point["what"], point["beside"]]
            series[point["cost"]].append((size, figure["value"]))
    return found
