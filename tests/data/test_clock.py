"""Ages of events, and the data that have none."""

from __future__ import annotations

import numpy as np
import pytest

from clusterseq.data.clock import ages, has_clock, last_ages
from clusterseq.data.sequences import Sequences


def people(*times: list[int]) -> Sequences:
    """Everyone touches item 0 at the times given."""
    flat = np.array([time for row in times for time in row], dtype=np.int64)
    offsets = np.cumsum([0, *(len(row) for row in times)])
    return Sequences(np.zeros(len(flat), dtype=np.int32), flat, offsets)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (people([0, 1, 2], [0, 1]), False),
        (people([0, 1, 2], [3, 4]), False),
        (people([3, 4], [0, 1, 2]), False),
        (people([0, 1, 4], [3, 5]), True),
        (people([0, 5], [], [5, 9]), True),
        (people([7]), False),
        (people([], []), False),
    ],
    ids=["positions", "rows", "rows upside down", "shared", "touching", "one", "none"],
)
def test_a_clock_is_told_from_mere_order(known: Sequences, expected: bool) -> None:
    assert has_clock(known) is expected


def test_ages_are_shares_of_the_span() -> None:
    known = people(list(range(0, 1000, 2)), list(range(1, 1001, 2)))
    assert ages(known)[[0, 250, 499, -1]] == pytest.approx(
        [age / (999 - 9.99) for age in (999, 499, 1, 0)]
    )


def test_people_are_as_old_as_their_last_event() -> None:
    known = people([0, 50], [], [20, 100], [60])
    span = 100 - np.quantile(known.times, 0.01)
    assert last_ages(known).tolist() == pytest.approx([50 / span, np.inf, 0, 40 / span])


def test_where_there_is_no_clock_all_are_equally_old() -> None:
    known = people([0, 1, 2], [], [0, 1])
    assert ages(known).tolist() == [0] * 5
    assert last_ages(known).tolist() == [0, np.inf, 0]
