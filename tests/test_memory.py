"""The neighbour memory, against neighbours counted one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.testing import assert_close

from clusterseq import memory as memory_module
from clusterseq.histories import Histories
from clusterseq.memory import KINDS, NO_ITEMS, Memory
from clusterseq.metatrain import make_folds
from clusterseq.sequences import Sequences
from tests.synthetic import from_rows

N_ITEMS = 9
ROWS = [[0, 1, 2, 3], [2, 1, 4], [5, 0, 5, 1], [6, 7], [3], [1, 0, 7, 2, 6, 4]]
HISTORIES = [[0, 1], [2], [1, 5, 1], [], [7, 6, 0, 3], [8]]


@pytest.fixture
def memory() -> Memory:
    return Memory.build(from_rows(ROWS), N_ITEMS, NO_ITEMS)


def recency(history: list[int]) -> dict[int, float]:
    """Linear recency of each item; one that comes twice counts twice."""
    weights: dict[int, float] = {}
    for step, item in enumerate(history):
        weights[item] = weights.get(item, 0) + (step + 1) / len(history)
    return weights


def rules_by_hand(history: list[int]) -> np.ndarray:
    votes = np.zeros(N_ITEMS)
    for item, weight in recency(history).items():
        count = sum(row.count(item) for row in ROWS)
        for row in ROWS:
            for place, first in enumerate(row):
                for later in range(place + 1, min(place + 6, len(row))):
                    if first == item:
                        votes[row[later]] += weight / (later - place) / (count + 20)
    return votes


def neighbours_by_hand(history: list[int]) -> np.ndarray:
    """V-SkNN with everybody as a neighbour: Σ_s sim(history, s) · [j ∈ s] / √|s|, discounted."""
    sets = [set(row) for row in ROWS]
    touched = np.array([sum(item in s for s in sets) for item in range(N_ITEMS)])
    votes = np.zeros(N_ITEMS)
    for item, weight in recency(history).items():
        for session in sets:
            if item in session:
                similarity = weight / np.sqrt(len(session)) / (touched[item] + 10) ** 0.5
                for other in session - {item}:
                    votes[other] += similarity / (touched[other] + 10) ** 0.7
    return votes


def test_catalogue_is_what_the_loops_count(memory: Memory) -> None:
    found = memory.catalogue(Histories.from_lists(HISTORIES)).numpy()
    assert_allclose(found[:, :, 0], [rules_by_hand(h) for h in HISTORIES], rtol=1e-4, atol=1e-7)
    expected = [neighbours_by_hand(h) for h in HISTORIES]
    assert_allclose(found[:, :, 1], expected, rtol=1e-4, atol=1e-7)


def test_each_kind_speaks_or_is_silent(memory: Memory) -> None:
    heard = memory.catalogue(Histories.from_lists(HISTORIES))
    assert (heard >= 0).all()
    assert (heard[:3].sum(dim=1) > 0).all()
    assert not heard[3].any(), "somebody without history"
    assert not heard[5].any(), "an item nobody touched"


def test_a_single_coincidence_is_less_than_a_habit() -> None:
    memory = Memory.build(from_rows([[0, 1]] + [[2, 3]] * 30), N_ITEMS, NO_ITEMS)
    once, often = memory.catalogue(Histories.from_lists([[0], [2]]))
    assert (often[3] > 3 * once[1]).all()


def test_what_a_prefix_says_is_what_the_catalogue_hears_from_it() -> None:
    anchors = torch.tensor([8, 0, 4, 1])
    memory = Memory.build(from_rows(ROWS), N_ITEMS, anchors)
    at_anchors = memory.at_anchors(Histories.from_lists(HISTORIES))
    at_next = memory.at_next(Histories.from_lists(HISTORIES))
    assert at_anchors.shape == (len(HISTORIES), 3, len(anchors), len(KINDS))
    assert at_next.dtype == at_anchors.dtype == torch.float32
    for person, history in enumerate(HISTORIES):
        for prefix in range(1, len(history)):
            said = memory.catalogue(Histories.from_lists([history[:prefix]]))[0]
            assert_close(at_anchors[person, prefix - 1], said[anchors])
            assert_close(at_next[person, prefix - 1], said[history[prefix]])
    assert at_next.any()


def test_one_item_has_no_prefix(memory: Memory) -> None:
    histories = Histories.from_lists([[2], []])
    assert memory.at_anchors(histories).shape == (2, 0, 0, len(KINDS))
    assert memory.at_next(histories).shape == (2, 0, len(KINDS))


def test_tensors_come_back(memory: Memory) -> None:
    tensors = memory.tensors()
    assert set(tensors) == {f"{k}.{p}" for k in KINDS for p in ("data", "indices", "indptr")}
    again = Memory.from_tensors(tensors, N_ITEMS, NO_ITEMS)
    histories = Histories.from_lists(HISTORIES)
    assert torch.equal(again.catalogue(histories), memory.catalogue(histories))


def test_only_the_strongest_of_a_row_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    known = from_rows(ROWS)
    whole = Memory.build(known, N_ITEMS, NO_ITEMS)
    monkeypatch.setattr(memory_module, "ROW_LIMIT", 2)
    bounded = Memory.build(known, N_ITEMS, NO_ITEMS)
    everybody = Histories.from_lists([[item] for item in range(N_ITEMS)])
    for one, whole_one in zip(
        bounded.catalogue(everybody), whole.catalogue(everybody), strict=True
    ):
        assert ((one > 0).sum(dim=0) <= 2).all()
        assert_close(one.sort(dim=0).values[-2:], whole_one.sort(dim=0).values[-2:])


def test_nobody_remembers_nothing() -> None:
    memory = Memory.build(from_rows([]), N_ITEMS, NO_ITEMS)
    assert not memory.catalogue(Histories.from_lists(HISTORIES)).any()


def test_a_fold_remembers_the_learners_of_the_other_folds_alone() -> None:
    # Items 2 u and 2 u + 1 are person u's alone, so the memory tells whose sequences it holds.
    users = 23
    known = from_rows([[2 * user, 2 * user + 1] for user in range(users)])
    learners = np.arange(3, users)
    folds = make_folds(
        known,
        learners,
        2 * users,
        folds=5,
        memory=True,
        anchors=NO_ITEMS,
        generator=np.random.default_rng(0),
    )
    assert sorted(np.concatenate([fold.users for fold in folds])) == learners.tolist()
    for fold in folds:
        assert fold.memory is not None
        for votes in fold.memory.votes:
            remembered = set((votes.items[votes.weights > 0] // 2).tolist())
            assert remembered == set(learners.tolist()) - set(fold.users.tolist())


def test_folds_hold_those_who_can_learn() -> None:
    known: Sequences = from_rows([[1, 2], [3], [], [4, 5]])
    folds = make_folds(
        known,
        np.arange(4),
        6,
        folds=2,
        memory=False,
        anchors=NO_ITEMS,
        generator=np.random.default_rng(0),
    )
    assert sorted(np.concatenate([fold.users for fold in folds])) == [0, 3]
    assert all(fold.memory is None for fold in folds)
