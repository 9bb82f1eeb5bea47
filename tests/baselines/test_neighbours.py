"""Neighbours, pairs and sums against plain loops."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from clusterseq.baselines.neighbours import Neighbours, Pairs, newest_of_row
from clusterseq.data.sequences import Sequences

ROWS = [[3, 1, 3], [0], [], [2, 2, 1, 0]]


def test_everyone_keeps_each_item_once_at_its_latest_place() -> None:
    people = Neighbours.of(Sequences.from_rows(ROWS), 4, newest_first=np.array([3, 2, 0, 1]))
    assert [row.tolist() for row in people.sequences] == [[2, 1, 0], [], [1, 3], [0]]
    assert people.places.tolist() == [2, 3, 4, 2, 3, 1]
    assert people.who_touched.toarray().tolist() == [
        [1, 0, 0, 1],
        [1, 0, 1, 0],
        [1, 0, 0, 0],
        [0, 0, 1, 0],
    ]


def test_touches_are_those_of_each_pair_in_turn() -> None:
    people = Neighbours.of(Sequences.from_rows(ROWS), 4, newest_first=np.arange(4))
    pairs = Pairs(np.array([0, 0, 1, 4]), np.array([3, 1, 2, 0]), np.ones(4))
    which, events = people.touches(pairs)
    assert which.tolist() == [0, 0, 0, 1, 3, 3]
    assert people.sequences.items[events].tolist() == [2, 1, 0, 0, 1, 3]


def test_the_nearest_are_kept_and_of_equally_near_ones_the_newer() -> None:
    generator = np.random.default_rng(0)
    dense = generator.integers(0, 4, (20, 30)).astype(float)
    pairs = Pairs.nearest(sparse.csr_array(dense), k=4)
    for row, values in enumerate(dense):
        order = sorted(np.flatnonzero(values), key=lambda column: (-values[column], column))[:4]
        assert pairs.neighbours[pairs.people == row].tolist() == order
        assert pairs.similarity[pairs.people == row].tolist() == values[order].tolist()


def test_the_newest_of_an_empty_row_are_nobody() -> None:
    assert newest_of_row(sparse.csr_array((3, 5)), m=2).toarray().tolist() == [[0] * 5] * 3
