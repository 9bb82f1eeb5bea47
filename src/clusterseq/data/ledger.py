"""What has been counted of each item, kept so that more people's events can be added later.

``freshness`` follows from it: how recent the attention to an item is, as the logarithm of its
discounted over its expected events. One column for each of ``HALF_LIVES``, in which an event's
weight halves: what is new this week and what is new this season. Zero is average; a few
pseudo-events keep rare items near it. Where people share no clock (``clock``), all are average.

Knows nothing about: models, raw ids, files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64

from clusterseq.data.clock import EARLY, ages, has_clock, span_of
from clusterseq.data.graph import incidence
from clusterseq.data.sequences import Sequences

Counted: TypeAlias = Int64[np.ndarray, " items"]
"""How many there are of each item."""
HALF_LIVES = (0.05, 0.15, 0.5)
"""Shares of the time spanned by the first events counted."""
PSEUDO_EVENTS = 0.1


@dataclass(frozen=True, eq=False)
class Ledger:
    """Counts of some people's events.

    >>> known = Sequences(np.int32([0, 0, 1, 1]), np.array([0, 5, 4, 9]), np.array([0, 2, 4]))
    >>> fresh = Ledger.of(known, 3).freshness()
    >>> bool((fresh[0] < 0).all()), bool((fresh[1] > 0).all()), fresh[2].tolist()
    (True, True, [0.0, 0.0, 0.0])
    """

    counts: Counted
    """Events of each item."""
    people: Counted
    """People who touched it."""
    recent: Float64[np.ndarray, "items spans"]
    """Its events, each discounted by age."""
    newest: int
    """Time of the newest event, in microseconds since the epoch."""
    span: float
    """Microseconds spanned when counting began; 0 where people share no clock."""

    @classmethod
    def of(cls, known: Sequences, n_items: int) -> Ledger:
        """Count some people's events."""
        counts, people = counted(known, n_items)
        event_ages = ages(known)
        recent = [_discounted(known, n_items, event_ages / half_life) for half_life in HALF_LIVES]
        clocked = has_clock(known)
        return cls(
            counts,
            people,
            np.stack(recent, axis=1),
            int(known.times.max()) if clocked else 0,
            span_of(known) if clocked else 0.0,
        )

    def moved(self, places: Int32[np.ndarray, " items"], n_items: int) -> Ledger:
        """The same in a larger catalogue, where item ``i`` is called ``places[i]``."""
        counts, people = np.zeros((2, n_items), dtype=np.int64)
        recent = np.zeros((n_items, len(HALF_LIVES)))
        counts[places], people[places], recent[places] = self.counts, self.people, self.recent
        return Ledger(counts, people, recent, self.newest, self.span)

    def plus(self, known: Sequences) -> Ledger:
        """With other people's events beside; half-lives stay as long as they are.

        >>> times, offsets = np.array([0, 8, 2, 10]), np.array([0, 2, 4])
        >>> known = Sequences(np.int32([0, 1, 0, 1]), times, offsets)
        >>> later = Sequences(known.items, times + 10, offsets)
        >>> Ledger.of(known, 2).plus(later).counts.tolist()
        [4, 4]
        """
        n_items = len(self.counts)
        counts, people = (
            old + new
            for old, new in zip((self.counts, self.people), counted(known, n_items), strict=True)
        )
        # A few people may come one after another; their events then still lie where others' do.
        clocked = has_clock(known) or int(known.times.max()) > self.newest - self.span
        if not (self.span and clocked):
            undiscounted = np.repeat(counts[:, None].astype(np.float64), len(HALF_LIVES), axis=1)
            return Ledger(counts, people, undiscounted, 0, 0.0)
        newest = max(self.newest, _newest(known, self.span))
        event_ages = np.maximum(0, newest - known.times)
        columns = []
        for column, half_life in zip(self.recent.T, HALF_LIVES, strict=True):
            unit = half_life * self.span
            decay = 0.5 ** ((newest - self.newest) / unit)
            fresh = _discounted(known, n_items, event_ages / unit)
            columns.append(decay * column + fresh)
        return Ledger(counts, people, np.stack(columns, axis=1), newest, self.span)

    def freshness(self) -> Float32[np.ndarray, "items spans"]:
        """How recent the attention to each item is."""
        mean = self.recent.sum(axis=0) / max(1, int(self.counts.sum()))
        expected = self.counts[:, None] * mean
        logs = np.log((self.recent + PSEUDO_EVENTS) / (expected + PSEUDO_EVENTS))
        freshness: Float32[np.ndarray, "items spans"] = logs.astype(np.float32)
        return freshness


def counted(known: Sequences, n_items: int) -> tuple[Counted, Counted]:
    """Events and people of each item."""
    touched = incidence(known, n_items)
    return known.counts(n_items), np.bincount(touched.indices, minlength=n_items)


def _newest(known: Sequences, span: float) -> int:
    """The time of the newest event, but for a few of clocks that are far ahead: measured by those
    all others would be old, and so would be all that ever come."""
    early, late = np.quantile(known.times, [EARLY, 1 - EARLY], method="lower")
    bound = late + max(span, late - early)
    return int(known.times[known.times <= bound].max())


def _discounted(
    known: Sequences, n_items: int, half_lives: Float64[np.ndarray, " events"]
) -> Float64[np.ndarray, " items"]:
    """Events of each item; one that is so many half-lives old counts 2 to the power of −that."""
    return np.bincount(known.items, 0.5**half_lives, minlength=n_items)
