"""A section of a report: a title, a sentence that says what to see, a chart and a table.

Knows nothing about: what reports there are, pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of text under some columns; the first one names the row."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    prose: bool = False
    """Whether cells hold words, which may go on in a next line."""


@dataclass(frozen=True, eq=False)
class Section:
    """One subject."""

    title: str
    sees: str
    """What to see in it."""
    chart: Figure | None = None
    table: Table | None = None
