"""Batches of histories: padding, cutting, prefixes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clusterseq.data.histories import Histories

ROWS = st.lists(st.lists(st.integers(0, 99), max_size=8), max_size=6)


def rows_of(histories: Histories) -> list[list[int]]:
    """The true items of every row."""
    pairs = zip(histories.items.tolist(), histories.lengths.tolist(), strict=True)
    return [items[:length] for items, length in pairs]


@given(ROWS)
def test_from_lists_keeps_the_rows_and_pads_with_zeros(rows: list[list[int]]) -> None:
    histories = Histories.from_lists(rows)
    assert len(histories) == len(rows)
    assert rows_of(histories) == rows
    assert histories.items.dtype == histories.lengths.dtype == torch.int64
    assert not histories.items[~histories.mask].any()
    assert histories.mask.sum(dim=1).tolist() == [len(row) for row in rows]


@given(ROWS, st.integers(1, 10))
def test_last_keeps_the_newest(rows: list[list[int]], steps: int) -> None:
    cut = Histories.from_lists(rows).last(steps)
    assert rows_of(cut) == [row[-steps:] for row in rows]
    assert not cut.items[~cut.mask].any()


def test_rows_are_chosen_by_slice_and_by_index() -> None:
    histories = Histories.from_lists([[1, 2], [3], []])
    assert rows_of(histories[1:]) == [[3], []]
    assert rows_of(histories[torch.tensor([2, 0])]) == [[], [1, 2]]


def test_to_a_device_changes_nothing_else() -> None:
    assert rows_of(Histories.from_lists([[1, 2], []]).to("cpu")) == [[1, 2], []]


@pytest.mark.parametrize("rows", [[], [[]], [[], []]])
def test_nothing_still_has_a_column(rows: list[list[int]]) -> None:
    assert Histories.from_lists(rows).items.shape == (len(rows), 1)
