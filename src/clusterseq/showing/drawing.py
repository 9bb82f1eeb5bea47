"""Figures that look alike, and their bytes: the same for the same numbers, with no date or chance.

Colours are Okabe and Ito's, which stay apart for colour-blind eyes. Needs matplotlib.

Knows nothing about: what is drawn.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from clusterseq.machine.extras import require_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, GREEN, PINK, ORANGE = "#0072B2", "#009E73", "#CC79A7", "#D55E00"
AMBER, SKY, GREY = "#E69F00", "#56B4E9", "#6B7280"
COLUMNS = 2
"""Panels that stand side by side at most."""
COLOURS = (BLUE, ORANGE, GREEN, PINK, AMBER, SKY, GREY, "#332288")


def panels(count: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure of some panels, each of so many inches.

    Raises:
        ConfigError: matplotlib isn't installed.
    """
    with require_extra("report", "a chart"):
        from matplotlib.figure import Figure
    columns = min(count, COLUMNS)
    rows = -(-count // columns)
    figure = Figure(figsize=(columns * size[0], rows * size[1]), layout="constrained")
    all_axes = [figure.add_subplot(rows, columns, index) for index in range(1, count + 1)]
    for axes in all_axes:
        axes.grid(alpha=0.3, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, all_axes


def rendered(figure: Figure, kind: str) -> bytes:
    """The figure as SVG or PNG."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "clusterseq", "svg.fonttype": "none"}):
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(buffer, format=kind, dpi=160, metadata=metadata)
    return buffer.getvalue()
