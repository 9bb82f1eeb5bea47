"""Graphs of the interactions, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from clusterseq.data import graph
from clusterseq.data.graph import HOPS, REACH, SmoothingGraph, incidence, profiles, transitions
from clusterseq.data.sequences import Sequences

ROWS = [[0, 1, 2, 3, 0, 4, 5, 1], [2, 2, 1], [], [5], [4, 0]]
N_ITEMS = 8


@pytest.fixture
def known() -> Sequences:
    return Sequences.from_rows(ROWS)


def transitions_by_hand() -> np.ndarray:
    weights = np.zeros((N_ITEMS, N_ITEMS))
    for row in ROWS:
        for later in range(len(row)):
            for earlier in range(max(0, later - REACH), later):
                weights[row[earlier], row[later]] += 1 / (later - earlier)
    return weights


def test_transitions_stay_within_a_person_and_in_reach(known: Sequences) -> None:
    assert_allclose(transitions(known, N_ITEMS).toarray(), transitions_by_hand(), rtol=1e-6)


def test_smoothing_is_symmetric_and_normalised(known: Sequences) -> None:
    both = transitions_by_hand() + transitions_by_hand().T
    roots = np.divide(1, np.sqrt(both.sum(1)), where=both.sum(1) > 0, out=np.zeros(N_ITEMS))
    graph = SmoothingGraph.of(transitions(known, N_ITEMS)).edges.toarray()
    assert_allclose(graph, roots[:, None] * both * roots, rtol=1e-5)
    assert np.abs(np.linalg.eigvalsh(graph)).max() == pytest.approx(1, abs=1e-5)


def test_incidence_counts_nobody_twice(known: Sequences) -> None:
    expected = np.zeros((len(ROWS), N_ITEMS))
    for user, row in enumerate(ROWS):
        expected[user, row] = 1
    assert_allclose(incidence(known, N_ITEMS).toarray(), expected)


def test_profiles_are_means_of_means(known: Sequences) -> None:
    embedding = np.random.default_rng(0).normal(size=(N_ITEMS, 3)).astype(np.float32)
    sets = [sorted(set(row)) for row in ROWS]
    vectors = embedding.astype(np.float64)
    for _ in range(HOPS):
        users = np.array([vectors[s].mean(0) if s else np.zeros(3) for s in sets])
        owners = [[u for u, s in enumerate(sets) if item in s] for item in range(N_ITEMS)]
        vectors = np.array([users[o].mean(0) if o else np.zeros(3) for o in owners])
    counts = np.array([len(o) for o in owners])
    vectors = vectors - counts @ vectors / counts.sum()
    assert_allclose(profiles(known, embedding), vectors, rtol=1e-4, atol=1e-6)


def test_people_without_a_common_item_stay_apart() -> None:
    known = Sequences.from_rows([[0, 1], [1, 2], [3, 4], [4, 5]])
    found = profiles(known, np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32))
    between = np.linalg.norm(found[:3].mean(0) - found[3:].mean(0))
    within = np.linalg.norm(found[:3] - found[:3].mean(0), axis=1).max()
    assert within < between / 4


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rows", [[], [[]], [[], [1]]])
def test_hardly_any_events_give_finite_graphs(rows: list[list[int]]) -> None:
    known = Sequences.from_rows(rows)
    assert transitions(known, 3).nnz == SmoothingGraph.of(transitions(known, 3)).edges.nnz == 0
    assert np.isfinite(profiles(known, np.ones((3, 2), dtype=np.float32))).all()


def test_only_mutual_neighbours_stay_where_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Item 0 is beside all others, ever less often; 1 and 2 are beside each other, too.
    rows = [[0, other] for other in range(1, 6) for _ in range(7 - other)] + [[1, 2]]
    known = Sequences.from_rows(rows)
    whole = SmoothingGraph.of(transitions(known, 6)).edges.toarray()
    assert (whole[0] > 0).sum() == 5
    monkeypatch.setattr(graph, "NEIGHBOURS", 3)
    some = SmoothingGraph.of(transitions(known, 6)).edges.toarray()
    assert_allclose(some, some.T, rtol=1e-6)
    assert (some[0] > 0).nonzero()[0].tolist() == [1, 2, 3]
    assert some[1, 2] > 0
    assert not some[4:].any()


def test_of_a_dense_graph_fewer_neighbours_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[0, other] for other in range(1, 6) for _ in range(7 - other)] + [[1, 2]]
    directed = transitions(Sequences.from_rows(rows), 6)  # twelve edges of six items
    whole = SmoothingGraph.of(directed).edges.toarray()
    for enough, left in ((2, 12), (1, 2)):
        monkeypatch.setattr(graph, "ENOUGH", enough)
        assert (SmoothingGraph.of(directed).edges.toarray() > 0).sum() == left
    assert (whole > 0).sum() == 12
