"""Packed histories: every true item once, longest history first, and back again."""

from __future__ import annotations

import pytest
import torch

from clusterseq.data.histories import Histories
from clusterseq.data.packing import Packing

ROWS = [[1, 2], [], [3, 4, 5, 6], [7], [8, 9]]


@pytest.fixture(params=["mixed", "even", "single", "with nobody"])
def histories(request: pytest.FixtureRequest) -> Histories:
    rows = {
        "mixed": ROWS,
        "even": [[1, 2, 3], [4, 5, 6]],
        "single": [[1, 2, 3]],
        "with nobody": [[1, 2], [], [3, 4]],
    }
    return Histories.from_lists(rows[str(request.param)])


def test_first_items_come_first_and_the_longest_history_before_all() -> None:
    packing = Packing.of(Histories.from_lists(ROWS))
    assert packing.sizes == [4, 3, 1, 1]
    packed = packing.pack(Histories.from_lists(ROWS).items)
    assert packed.tolist() == [3, 1, 8, 7, 4, 2, 9, 5, 6]


def test_what_is_packed_comes_back(histories: Histories) -> None:
    packing = Packing.of(histories)
    packed = packing.pack(histories.items)
    assert len(packed) == int(histories.lengths.sum()) == sum(packing.sizes)
    values = torch.stack([packed, 10 * packed], dim=1).float()
    padded = packing.unpack(values)
    assert torch.equal(padded[..., 0], (histories.items * histories.mask).float())
    assert torch.equal(padded[..., 1], 10 * padded[..., 0])


def test_everybodys_steps_stand_in_a_row(histories: Histories) -> None:
    packing = Packing.of(histories)
    packed = packing.pack(histories.items).float()[None, :, None]
    rows = packing.side_by_side(packed)
    order = histories.lengths.argsort(descending=True, stable=True)
    order = order[histories.lengths[order] > 0]
    expected = (histories.items * histories.mask)[order].float()
    assert torch.equal(rows[0, :, :, 0], expected)
    assert torch.equal(packing.in_turn(rows), packed)


@pytest.mark.parametrize("rows", [[], [[]], [[], []]])
def test_nobody_has_nothing(rows: list[list[int]]) -> None:
    packing = Packing.of(Histories.from_lists(rows))
    assert packing.sizes == []
    assert packing.unpack(torch.empty(0, 3)).shape == (len(rows), 1, 3)
