"""Measured numbers, and how they are taken.

Knows nothing about: what is measured, how it is shown.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number, beside a rival's where there is one."""

    section: str
    """Which part of the benchmark it belongs to."""
    name: str
    """What was measured."""
    value: float
    """The number."""
    unit: str
    """Its unit."""
    rival: str = ""
    """Whom it is compared with."""
    ratio: float | None = None
    """How many times better than the rival it is, or which share of a floor it reaches."""
    target: str = ""
    """What was asked for: a comparison with the value or the ratio, such as ``ratio >= 30``."""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if not self.target:
            return None
        what, relation, bound = self.target.split()
        measured = self.ratio if what == "ratio" else self.value
        if measured is None:
            return None
        return measured >= float(bound) if relation == ">=" else measured <= float(bound)


def seconds(action: Callable[[], object], *, runs: int = 5, warm: int = 1) -> float:
    """Median seconds of an action over several runs, after some that don't count."""
    for _ in range(warm):
        action()
    return statistics.median(_once(action) for _ in range(runs))


def each(actions: list[Callable[[], object]]) -> list[float]:
    """Seconds of every action, ascending, for percentiles."""
    return sorted(map(_once, actions))


def percentile(ordered: list[float], share: float) -> float:
    """The value that this share of an ascending list does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _once(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun
