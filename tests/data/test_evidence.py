"""What the memory says to people, against neighbours counted one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.testing import assert_close

from clusterseq.data import evidence as module
from clusterseq.data.evidence import Evidence, places_of
from clusterseq.data.histories import Histories
from clusterseq.data.memory import KINDS, Memory
from clusterseq.data.sequences import Sequences

N_ITEMS = 9
ROWS = [[0, 1, 2, 3], [2, 1, 4], [5, 0, 5, 1], [6, 7], [3], [1, 0, 7, 2, 6, 4]]
HISTORIES = [[0, 1], [2], [1, 5, 1], [], [7, 6, 0, 3], [8]]


@pytest.fixture(params=["looked up", "multiplied"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test with few entries and with many: they are told in two ways."""
    monkeypatch.setattr(module, "FEW_PEOPLE", 100 if request.param == "looked up" else -1)


@pytest.fixture
def memory() -> Memory:
    return Memory.build(Sequences.from_rows(ROWS), N_ITEMS)


def catalogue(memory: Memory, *rows: list[int]) -> torch.Tensor:
    return Evidence(memory, Histories.from_lists(rows)).dense()


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
    rules, sessions = catalogue(memory, *HISTORIES).numpy()
    assert_allclose(rules, [rules_by_hand(h) for h in HISTORIES], rtol=1e-4, atol=1e-7)
    assert_allclose(sessions, [neighbours_by_hand(h) for h in HISTORIES], rtol=1e-4, atol=1e-7)


def test_each_kind_speaks_or_is_silent(memory: Memory) -> None:
    heard = catalogue(memory, *HISTORIES)
    assert (heard >= 0).all()
    assert (heard[:, :3].sum(dim=2) > 0).all()
    assert not heard[:, 3].any(), "somebody without history"
    assert not heard[:, 5].any(), "an item nobody touched"


def test_a_cell_is_told_once_to_each_kind(memory: Memory) -> None:
    sparse = Evidence(memory, Histories.from_lists(HISTORIES)).sparse
    kinds = sparse.owners // len(HISTORIES)
    assert (kinds.diff() >= 0).all(), "all that one kind says stands together"
    assert torch.equal(sparse.owners % len(HISTORIES), sparse.cells // N_ITEMS)
    pairs = torch.stack([sparse.owners, sparse.cells]).T
    assert len(pairs) == len(torch.unique(pairs, dim=0)) > 0


def test_of_some_items_it_says_what_it_says_of_all(memory: Memory) -> None:
    chosen = torch.tensor([1, 2, 5, 7])
    evidence = Evidence(memory, Histories.from_lists(HISTORIES))
    some, expected = evidence.about(chosen), evidence.dense()[:, :, chosen]
    kinds = some.owners // len(HISTORIES)
    assert (kinds.diff() >= 0).all(), "all that one kind says stands together"
    assert torch.equal(some.owners % len(HISTORIES), some.cells // len(chosen))
    found = torch.zeros(len(KINDS), len(HISTORIES) * len(chosen))
    found[kinds, some.cells] = some.values
    assert len(some.cells) == int((expected > 0).sum()) > 0
    assert torch.equal(found.view_as(expected), expected)


def test_sums_are_as_exact_as_all_else(memory: Memory) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        exact = catalogue(memory, *HISTORIES)
    finally:
        torch.set_default_dtype(torch.float32)
    assert exact.dtype == torch.float64
    assert_close(exact.float(), catalogue(memory, *HISTORIES))


def test_a_single_coincidence_is_less_than_a_habit() -> None:
    memory = Memory.build(Sequences.from_rows([[0, 1]] + [[2, 3]] * 30), N_ITEMS)
    heard = catalogue(memory, [0], [2])
    assert (heard[:, 1, 3] > 3 * heard[:, 0, 1]).all()


def test_what_a_prefix_says_is_what_the_catalogue_hears_from_it(memory: Memory) -> None:
    anchors = torch.tensor([8, 0, 4, 1])
    evidence = Evidence(memory, Histories.from_lists(HISTORIES))
    at_anchors = evidence.at_anchors(places_of(anchors, N_ITEMS), len(anchors))
    at_next = evidence.at_next()
    assert at_anchors.shape == (len(HISTORIES), len(KINDS), 3, len(anchors))
    assert at_next.dtype == at_anchors.dtype == torch.float32
    for person, history in enumerate(HISTORIES):
        for prefix in range(1, len(history)):
            said = catalogue(memory, history[:prefix])[:, 0]
            assert_close(at_anchors[person, :, prefix - 1], said[:, anchors])
            assert_close(at_next[person, :, prefix - 1], said[:, history[prefix]])
    assert at_next.any()
    assert at_anchors.any()


def test_one_item_has_no_prefix(memory: Memory) -> None:
    evidence = Evidence(memory, Histories.from_lists([[2], []]))
    places = places_of(torch.tensor([1, 2]), N_ITEMS)
    assert evidence.at_anchors(places, 2).shape == (2, len(KINDS), 0, 2)
    assert evidence.at_next().shape == (2, len(KINDS), 0)


def test_padding_says_nothing(memory: Memory) -> None:
    padded = Histories(torch.tensor([[0, 1, 7, 7], [2, 5, 5, 5]]), torch.tensor([2, 1]))
    found = Evidence(memory, padded).dense()
    assert_close(found, catalogue(memory, [0, 1], [2]))


def test_nobody_remembers_nothing() -> None:
    memory = Memory.build(Sequences.from_rows([]), N_ITEMS)
    evidence = Evidence(memory, Histories.from_lists(HISTORIES))
    assert not evidence.dense().any()
    assert not evidence.at_next().any()
    assert not evidence.at_anchors(torch.arange(N_ITEMS), N_ITEMS).any()
