"""Tasks and windows: nothing out of order, nothing missed, nothing twice."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clusterseq.data.sequences import Sequences
from clusterseq.data.tasks import SPREAD, Tasks, draw_tasks, prefixes
from clusterseq.data.windows import Windows


def numbered(lengths: list[int]) -> list[list[int]]:
    """Sequences whose items tell person and place: person u's p-th item is 100 u + p."""
    return [[100 * user + place for place in range(n)] for user, n in enumerate(lengths)]


def rows_of(tasks: Tasks) -> list[list[int]]:
    """Support and target of each task in one list."""
    support = tasks.support
    return [
        [*items[:length], target]
        for items, length, target in zip(
            support.items.tolist(), support.lengths.tolist(), tasks.targets.tolist(), strict=True
        )
    ]


@given(
    st.lists(st.integers(2, 30), min_size=1, max_size=8),
    st.integers(1, 14),
    st.integers(0, 2**32 - 1),
)
def test_tasks_are_in_the_order_of_one_person(lengths: list[int], support: int, seed: int) -> None:
    users = np.arange(len(lengths))[::-1].copy()
    sequences = Sequences.from_rows(numbered(lengths))
    tasks = draw_tasks(sequences, users, np.random.default_rng(seed), support=support)
    assert len(tasks) == len(users)
    assert not tasks.support.items[~tasks.support.mask].any()
    for user, row in zip(users, rows_of(tasks), strict=True):
        assert {item // 100 for item in row} == {user}
        assert row == sorted(set(row)), "in order, each event once"
        assert 2 <= len(row) <= min(support + 1, lengths[user])
        assert row[-1] - row[0] < max(SPREAD, support + 1)
        assert row[-1] - 100 * user < lengths[user]


def test_every_size_and_place_comes_up_and_half_are_consecutive() -> None:
    sequences = Sequences.from_rows(numbered([12]))
    users = np.zeros(4_000, dtype=np.int64)
    rows = rows_of(draw_tasks(sequences, users, np.random.default_rng(0), support=3))
    sizes = Counter(len(row) for row in rows)
    assert set(sizes) == {2, 3, 4}
    assert all(abs(count - 4_000 / 3) < 150 for count in sizes.values())
    assert {row[0] for row in rows} >= set(range(10))
    assert {row[-1] for row in rows} == set(range(1, 12))
    triples = [row for row in rows if len(row) == 3]
    together = sum(row[-1] - row[0] == 2 for row in triples) / len(triples)
    assert 0.5 < together < 0.65


def test_the_scattered_half_is_of_any_of_the_items() -> None:
    sequences = Sequences.from_rows([[0, 1, 2]])
    users = np.zeros(4_000, dtype=np.int64)
    pairs = Counter(
        tuple(row)
        for row in rows_of(draw_tasks(sequences, users, np.random.default_rng(0), support=1))
    )
    # Half are one of two windows, and half any of three pairs.
    expected = {(0, 1): 5 / 12, (0, 2): 1 / 6, (1, 2): 5 / 12}
    assert {pair: n / 4_000 for pair, n in pairs.items()} == pytest.approx(expected, abs=0.03)


def test_the_generator_alone_decides() -> None:
    sequences = Sequences.from_rows(numbered([12, 5, 7]))
    users = np.arange(3)
    first, same, other = (
        rows_of(draw_tasks(sequences, users, np.random.default_rng(seed), support=3))
        for seed in (1, 1, 2)
    )
    assert first == same != other


def test_tasks_are_chosen_by_slice_and_index() -> None:
    tasks = prefixes(
        Sequences.from_rows(numbered([4])), np.random.default_rng(0), longest=9, at_most=9
    )
    assert rows_of(tasks[1:]) == [[0, 1, 2], [0, 1, 2, 3]]
    assert rows_of(tasks[torch.tensor([2])]) == [[0, 1, 2, 3]]


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 6))
def test_prefixes_are_all_there_is_up_to_the_longest(lengths: list[int], longest: int) -> None:
    rows = numbered(lengths)
    tasks = prefixes(
        Sequences.from_rows(rows), np.random.default_rng(0), longest=longest, at_most=1_000
    )
    expected = [row[: n + 1] for row in rows for n in range(1, min(len(row) - 1, longest) + 1)]
    assert rows_of(tasks) == expected


def test_a_draw_of_prefixes_holds_no_prefix_twice() -> None:
    sequences = Sequences.from_rows(numbered([9, 9, 9]))
    whole, some = (
        rows_of(prefixes(sequences, np.random.default_rng(0), longest=5, at_most=n))
        for n in (99, 7)
    )
    assert len(some) == 7
    assert len({tuple(row) for row in some}) == 7
    assert all(row in whole for row in some)


@given(
    st.lists(st.integers(0, 13), max_size=8),
    st.integers(1, 6),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
)
def test_windows_cover_every_next_item_exactly_once(
    lengths: list[int], width: int, size: int, seed: int
) -> None:
    sequences = Sequences.from_rows(numbered(lengths))
    seen = Counter[tuple[int, int]]()
    for batch in Windows.of(sequences, width).batches(size, np.random.default_rng(seed)):
        assert len(batch) <= size
        assert not batch.items[~batch.mask].any()
        for items, length in zip(batch.items.tolist(), batch.lengths.tolist(), strict=True):
            assert 2 <= length <= width + 1
            seen.update(pairwise(items[:length]))
    expected = [pair for row in numbered(lengths) for pair in pairwise(row)]
    assert seen == Counter(expected)


@pytest.mark.parametrize("lengths", [[], [0], [1, 1]])
def test_nobody_with_two_events_gives_no_batch(lengths: list[int]) -> None:
    windows = Windows.of(Sequences.from_rows(numbered(lengths)), 3)
    assert list(windows.batches(4, np.random.default_rng(0))) == []
