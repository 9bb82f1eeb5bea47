"""How old training events are, where people share a clock at all.

Data that know only the order of events still carry numbers for times: places in the input, or 0, 1,
2 … within each person. Nobody's number can then be compared with anybody else's, and all events
count as equally old. It shows: either everyone starts at the same time, or everyone's times lie
before or after everyone else's.

Knows nothing about: models, new people.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from clusterseq.data.sequences import Sequences

EARLY = 0.01
"""The span begins after this share of the events, so that a few strays don't stretch it."""


def has_clock(known: Sequences) -> bool:
    """Whether the times of different people can be compared.

    >>> items, offsets = np.zeros(4, dtype=np.int32), np.array([0, 2, 4])
    >>> apart, alike, shared = [0, 1, 2, 3], [0, 1, 0, 1], [0, 5, 3, 9]
    >>> [has_clock(Sequences(items, np.array(t), offsets)) for t in (apart, alike, shared)]
    [False, False, True]
    """
    people = known.select(np.flatnonzero(known.lengths))
    first, last = people.times[people.offsets[:-1]], people.times[people.offsets[1:] - 1]
    order = np.argsort(first, kind="stable")
    interleaved = last[order][:-1] >= first[order][1:]
    return bool(interleaved.any() and first.max() > first.min())


def ages(known: Sequences) -> Float64[np.ndarray, " events"]:
    """The age of every event at the time of the newest, as a share of the time spanned.

    Without a shared clock all are 0.

    >>> known = Sequences(np.int32([0, 1, 0]), np.array([0, 100, 75]), np.array([0, 2, 3]))
    >>> ages(known).round(2).tolist()
    [1.02, 0.0, 0.25]
    """
    if not has_clock(known):
        return np.zeros(len(known.times))
    newest = int(known.times.max())
    shares: Float64[np.ndarray, " events"] = (newest - known.times) / span_of(known)
    return shares


def span_of(known: Sequences) -> float:
    """The time that the events span, in the unit of their times."""
    return max(1.0, int(known.times.max()) - float(np.quantile(known.times, EARLY)))


def last_ages(known: Sequences) -> Float64[np.ndarray, " people"]:
    """The age of everyone's newest event; of people without any, infinite."""
    empty = known.lengths == 0
    youngest = np.append(ages(known), np.inf)[known.offsets[1:] - 1]
    return np.where(empty, np.inf, youngest)
