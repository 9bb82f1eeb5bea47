"""What the events look like: how long histories are, and how much of everything is popular.

Knows nothing about: models, drawing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Integer

from clusterseq.data.dataset import Data, dataset_of
from clusterseq.data.split import Split

LENGTHS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100)
"""Where the classes of history lengths begin."""
SHARES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
"""Shares of the catalogue whose events are counted."""


@dataclass(frozen=True)
class DataProfile:
    """Figures of a data set and of its split."""

    events: int
    users: int
    items: int
    known_users: int
    """Those who were trained on."""
    new_users: int
    """Those of the test."""
    coverage: float
    """Share of the new users' events whose items were trained on."""
    tied_share: float
    """Share of events at the same time as another of their user."""
    first: str | None
    """The earliest time; None if there is none."""
    last: str | None
    lengths: dict[str, int]
    """Users by how many events they have, in classes."""


@dataclass(frozen=True)
class Popularity:
    """How unequal the catalogue is."""

    curve: list[tuple[float, float]]
    """For some shares of the catalogue, most touched first, their share of all events."""
    gini: float
    """0 if all items are touched equally often, near 1 if one has it all."""


def profile(events: Data, split: Split) -> DataProfile:
    """The figures of events and of how they were split."""
    report = events.report.to_dict()
    lengths = dataset_of(events).sequences.lengths
    return DataProfile(
        events=report["events"],
        users=report["users"],
        items=report["items"],
        known_users=len(split.known),
        new_users=len(split.test),
        coverage=split.coverage,
        tied_share=report["tied_share"],
        first=report["first"],
        last=report["last"],
        lengths=classes(lengths),
    )


def classes(lengths: Integer[np.ndarray, " users"]) -> dict[str, int]:
    """Users in classes of history lengths.

    >>> classes(np.array([1, 1, 6, 400]))["5–6"]
    1
    """
    counts = np.histogram(lengths, [*LENGTHS, np.inf])[0].tolist()
    ends = [*(start - 1 for start in LENGTHS[1:]), None]
    names = [
        f"{start}+" if end is None else str(start) if start == end else f"{start}–{end}"
        for start, end in zip(LENGTHS, ends, strict=True)
    ]
    return dict(zip(names, counts, strict=True))


def popularity(item_counts: Integer[np.ndarray, " items"]) -> Popularity:
    """How unequally events fall on items.

    >>> popularity(np.array([5, 5])).gini
    0.0
    """
    counts = np.sort(np.asarray(item_counts, dtype=np.float64))[::-1]
    cumulative = np.cumsum(counts) / max(1.0, counts.sum())
    sizes = [max(1, round(share * len(counts))) for share in SHARES]
    curve = [
        (share, float(cumulative[size - 1])) for share, size in zip(SHARES, sizes, strict=True)
    ]
    ranks = np.arange(len(counts), 0, -1)  # the least touched item has rank 1
    gini = 2 * float(ranks @ counts) / max(1.0, len(counts) * counts.sum()) - 1 - 1 / len(counts)
    return Popularity(curve, float(round(abs(gini), 6)))
