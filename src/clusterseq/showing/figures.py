"""How figures are written, where there may be none.

Knows nothing about: what they say, tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NONE = "–"
METRICS = ("mrr", "hr@10", "ndcg@10")
"""Those of a model that are shown."""


def figure(value: float | None, digits: int = 4) -> str:
    """A number with so many digits.

    >>> figure(0.04231), figure(1234.5, 0), figure(None)
    ('0.0423', '1,234', '–')
    """
    return NONE if value is None else f"{value:,.{digits}f}"


def judged(figures: Mapping[str, Any], metric: str) -> str:
    """A metric with its interval, as an evaluation tells them.

    >>> judged({"mrr": 0.04231, "mrr_ci95": [0.0368, 0.0482]}, "mrr")
    '0.0423 [0.0368, 0.0482]'
    """
    return with_interval(figures[metric], figures[f"{metric}_ci95"])


def with_interval(mean: float | None, interval: Sequence[float] | None) -> str:
    """A figure and the two ends of its interval.

    >>> with_interval(0.04231, (0.0368, 0.0482)), with_interval(None, None)
    ('0.0423 [0.0368, 0.0482]', '–')
    """
    if mean is None or interval is None:
        return NONE
    low, high = interval
    return f"{mean:.4f} [{low:.4f}, {high:.4f}]"
