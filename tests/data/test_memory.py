"""The neighbour memory: what is kept, how much of it, and whose sequences it holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from clusterseq.data import memory as memory_module
from clusterseq.data.ledger import counted
from clusterseq.data.memory import KINDS, Memory, Sums
from clusterseq.data.sequences import Sequences
from clusterseq.learning.folds import make_folds

N_ITEMS = 9
ROWS = [[0, 1, 2, 3], [2, 1, 4], [5, 0, 5, 1], [6, 7], [3], [1, 0, 7, 2, 6, 4]]


@pytest.fixture
def memory() -> Memory:
    return Memory.build(Sequences.from_rows(ROWS), N_ITEMS)


def test_tensors_come_back(memory: Memory) -> None:
    again = Memory.from_tensors(memory.tensors())
    assert again.n_items == memory.n_items == N_ITEMS
    assert all(torch.equal(t, memory.tensors()[name]) for name, t in again.tensors().items())


def test_the_matrix_shares_the_entries(memory: Memory) -> None:
    """A copy of them would be most of a service's memory, and go into every file."""
    matrix, before = memory.matrix, memory.tensors()
    assert np.shares_memory(matrix.indices, memory.items.numpy())
    assert np.shares_memory(matrix.data, memory.weights.numpy())
    assert memory.tensors().keys() == before.keys() == {"starts", "items", "weights"}


def rows(memory: Memory) -> list[Tensor]:
    """The weights of each row, ascending."""
    sizes = memory.starts.diff().tolist()
    return [row.sort().values for row in memory.weights.split_with_sizes(sizes)]


def test_only_the_newest_of_a_person_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "MOST_SHARED", 2)
    sums, newest = (
        Sums.of(Sequences.from_rows(people), N_ITEMS) for people in (ROWS, [r[-2:] for r in ROWS])
    )
    assert (sums.shared != newest.shared).nnz == 0
    assert sums.transitions.sum() > newest.transitions.sum(), "what follows what, all tell"


def test_only_the_strongest_of_a_row_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rows(Memory.build(Sequences.from_rows(ROWS), N_ITEMS))
    assert max(map(len, whole)) > 2
    monkeypatch.setattr(memory_module, "ROW_LIMIT", 2)
    bounded = rows(Memory.build(Sequences.from_rows(ROWS), N_ITEMS))
    assert len(bounded) == len(KINDS) * N_ITEMS
    for some, everything in zip(bounded, whole, strict=True):
        torch.testing.assert_close(some, everything[-2:])


def test_a_fold_remembers_the_learners_of_the_other_folds_alone() -> None:
    # Items 2 u and 2 u + 1 are person u's alone, so the memory tells whose sequences it holds.
    users = 23
    known = Sequences.from_rows([[2 * user, 2 * user + 1] for user in range(users)])
    learners = np.arange(3, users)
    folds = make_folds(
        known,
        learners,
        2 * users,
        folds=5,
        memory=True,
        generator=np.random.default_rng(0),
    )
    assert sorted(np.concatenate([fold.users for fold in folds])) == learners.tolist()
    for fold in folds:
        assert fold.memory is not None
        remembered = set((fold.memory.items // 2).tolist())
        assert remembered == set(learners.tolist()) - set(fold.users.tolist())


def test_folds_hold_those_who_can_learn() -> None:
    known: Sequences = Sequences.from_rows([[1, 2], [3], [], [4, 5]])
    folds = make_folds(
        known,
        np.arange(4),
        6,
        folds=2,
        memory=False,
        generator=np.random.default_rng(0),
    )
    assert sorted(np.concatenate([fold.users for fold in folds])) == [0, 3]
    assert all(fold.memory is None for fold in folds)


def test_later_people_are_added_as_if_they_had_been_there(memory: Memory) -> None:
    """Catalogue 0 … 8 grows to 12, in which the former item i is called 11 − i."""
    later = [[1, 11, 3], [8, 9, 2, 9]]
    known = Sequences.from_rows(ROWS)
    counts, people = counted(known, N_ITEMS)
    places = 11 - np.arange(N_ITEMS, dtype=np.int32)
    renamed = [[int(places[item]) for item in row] for row in ROWS]
    expected = Memory.build(Sequences.from_rows(renamed + later), 12)
    sums = Sums.recovered(memory, counts, people).moved(places, 12)
    together = sums.plus(Sums.of(Sequences.from_rows(later), 12))
    found = together.memory(*counted(Sequences.from_rows(renamed + later), 12))
    assert torch.equal(found.starts, expected.starts)
    assert torch.equal(found.items, expected.items)
    torch.testing.assert_close(found.weights, expected.weights)
