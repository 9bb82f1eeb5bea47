"""Counts of items: what is fresh, and that people counted later are as if counted at once."""

from __future__ import annotations

import numpy as np
import pytest

from clusterseq.data.ledger import HALF_LIVES, Ledger
from clusterseq.data.sequences import Sequences


def test_freshness_is_a_log_ratio_with_pseudo_events() -> None:
    known = Sequences(np.array([0, 1, 0], np.int32), np.array([0, 100, 70]), np.array([0, 2, 3]))
    span = 100 - np.quantile([0, 70, 100], 0.01)
    found = Ledger.of(known, 3).freshness()
    assert found.shape == (3, len(HALF_LIVES))
    for half_life, column in zip(HALF_LIVES, found.T, strict=True):
        old, latest, late = 0.5 ** (np.array([100, 0, 30]) / (half_life * span))
        mean = (old + late + latest) / 3
        expected = [(old + late + 0.1) / (2 * mean + 0.1), (latest + 0.1) / (mean + 0.1), 1.0]
        np.testing.assert_allclose(column, np.log(expected), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("times", [[0, 0, 0, 0], [0, 1, 0, 1], [0, 1, 2, 3]])
def test_without_a_shared_clock_nothing_is_fresh(times: list[int]) -> None:
    known = Sequences(np.array([0, 1, 1, 2], np.int32), np.array(times), np.array([0, 2, 4]))
    np.testing.assert_allclose(Ledger.of(known, 3).freshness(), 0, atol=1e-6)


def people(items: list[int], times: list[int], lengths: list[int]) -> Sequences:
    return Sequences(np.array(items, np.int32), np.array(times), np.cumsum([0, *lengths]))


def test_later_events_age_the_former_ones() -> None:
    early = people([0, 1, 1, 1], [0, 80, 20, 100], [2, 2])
    late = people([0, 2, 1, 0], [100, 150, 120, 160], [2, 2])
    before, ledger = Ledger.of(early, 3), Ledger.of(early, 3).plus(late)
    assert (ledger.counts.tolist(), ledger.people.tolist()) == ([3, 4, 1], [3, 3, 1])
    assert (ledger.newest, ledger.span) == (160, before.span)
    for half_life, column in zip(HALF_LIVES, ledger.recent.T, strict=True):
        weights = 0.5 ** (np.array([160, 80, 140, 60, 60, 10, 40, 0]) / (half_life * before.span))
        expected = np.bincount([0, 1, 1, 1, 0, 2, 1, 0], weights)
        np.testing.assert_allclose(column, expected, rtol=1e-9)
    older = Ledger.of(late, 3).plus(early)
    assert older.newest == 160
    assert older.recent[0, 0] >= Ledger.of(late, 3).recent[0, 0]


def test_without_a_clock_in_either_nothing_is_fresh() -> None:
    clocked = people([0, 1, 1], [1000, 1005, 1003], [2, 1])
    ordered = people([1, 0, 0], [0, 1, 2], [1, 2])
    for one, other in ((clocked, ordered), (ordered, clocked)):
        ledger = Ledger.of(one, 2).plus(other)
        assert (ledger.counts.tolist(), ledger.people.tolist()) == ([3, 3], [2, 3])
        np.testing.assert_allclose(ledger.freshness(), 0, atol=1e-6)
        np.testing.assert_allclose(ledger.plus(clocked).freshness(), 0, atol=1e-6)


@pytest.mark.parametrize(("time", "clocked"), [(1050, True), (1001, True), (900, False)])
def test_one_person_among_others_keeps_the_clock(time: int, clocked: bool) -> None:
    """One person's times tell no clock by themselves, but lie where others' do or long before."""
    ledger = Ledger.of(people([0, 1, 1, 1], [1000, 1080, 1020, 1100], [2, 2]), 3)
    assert (ledger.plus(people([2], [time], [1])).span > 0) == clocked


def test_one_person_later_keeps_the_clock() -> None:
    """People who come one after another say nothing against a clock that is known."""
    known = people([0, 1, 1, 1], [1000, 1080, 1020, 1100], [2, 2])
    ledger = Ledger.of(known, 3).plus(people([2, 2], [1110, 1120], [2]))
    assert ledger.span == Ledger.of(known, 3).span
    assert (ledger.freshness()[2] > ledger.freshness()[0]).all()


def test_a_clock_that_is_years_ahead_ages_nobody_else() -> None:
    known = people([0, 1, 1, 1], [1000, 1080, 1020, 1100], [2, 2])
    ahead = people([2, 2, 0], [1110, 1130, 90_000], [1, 2])
    usual = people([2, 2, 0], [1110, 1130, 1130], [1, 2])
    found, expected = (Ledger.of(known, 3).plus(later) for later in (ahead, usual))
    assert found.newest == 1130
    np.testing.assert_array_equal(found.recent, expected.recent)


def test_moved_to_a_larger_catalogue() -> None:
    ledger = Ledger.of(people([0, 1, 1], [0, 5, 3], [2, 1]), 2)
    moved = ledger.moved(np.array([2, 0], np.int32), 4)
    assert moved.counts.tolist() == [2, 0, 1, 0]
    np.testing.assert_array_equal(moved.recent[[2, 0]], ledger.recent)
    np.testing.assert_array_equal(moved.freshness()[[2, 0]], ledger.freshness())
