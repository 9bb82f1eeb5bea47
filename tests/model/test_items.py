"""The item table: smoothing and its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from clusterseq.data.graph import SmoothingGraph, transitions
from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.model.items import ItemTable

N_ITEMS, DIM = 6, 3
KNOWN = Sequences.from_rows([[0, 1, 2, 0], [3, 1], [2, 4, 1]])


@pytest.fixture
def graph() -> sparse.csr_array:
    return SmoothingGraph.of(transitions(KNOWN, N_ITEMS)).edges


def build(share: float, graph: sparse.csr_array | None = None) -> ItemTable:
    table = ItemTable(
        N_ITEMS, DIM, smoothing=share, freshness=False, generator=torch.Generator().manual_seed(0)
    )
    if graph is not None:
        table.set_graph(graph)
    return table


def test_vectors_mix_an_item_with_its_neighbours(graph: sparse.csr_array) -> None:
    table = build(0.7, graph)
    dense = torch.from_numpy(graph.toarray())
    expected = 0.3 * table.embedding + 0.7 * dense @ table.embedding
    torch.testing.assert_close(table.vectors(), expected)


@pytest.mark.parametrize("share", [0.7, 0.0])
@pytest.mark.parametrize("chosen", [[0, 2, 5], [5], [0, 1, 2, 3, 4, 5]])
def test_some_rows_are_those_of_the_whole_table_and_so_are_their_gradients(
    graph: sparse.csr_array, share: float, chosen: list[int]
) -> None:
    table, rows = build(share, graph), torch.tensor(chosen)
    weights = torch.randn(len(rows), DIM, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(table.vectors(rows), table.vectors()[rows])
    gradients = [
        torch.autograd.grad((part * weights).sum(), table.embedding)[0]
        for part in (table.vectors(rows), table.vectors()[rows])
    ]
    torch.testing.assert_close(*gradients)


def test_an_item_nobody_touched_keeps_its_own_direction(graph: sparse.csr_array) -> None:
    table = build(0.7, graph)
    torch.testing.assert_close(table.vectors()[5], 0.3 * table.embedding[5])


def test_the_gradient_is_that_of_the_dense_product(graph: sparse.csr_array) -> None:
    table = build(0.7, graph)
    weights = torch.from_numpy(np.random.default_rng(0).normal(size=(N_ITEMS, DIM))).float()
    (table.vectors() * weights).sum().backward()  # type: ignore[no-untyped-call]
    expected = 0.3 * weights + 0.7 * torch.from_numpy(graph.toarray()).T @ weights
    torch.testing.assert_close(table.embedding.grad, expected)


def test_without_smoothing_there_is_no_graph() -> None:
    table = build(0.0)
    assert set(table.state_dict()) == {"embedding", "bias"}
    assert table.vectors() is table.embedding


def test_before_a_graph_is_set_there_are_no_neighbours() -> None:
    table = build(0.7)
    torch.testing.assert_close(table.vectors(), 0.3 * table.embedding)


@pytest.mark.parametrize("chosen", [None, [0, 2, 5], [0, 1, 2, 3, 4, 5]])
def test_without_the_edges_of_some_people_the_others_are_left(chosen: list[int] | None) -> None:
    graph = SmoothingGraph.of(transitions(KNOWN, N_ITEMS))
    others = transitions(Sequences.from_rows([[0, 1, 2, 0]]), N_ITEMS)
    rest = graph.roots[:, None] * (others + others.T).toarray() * graph.roots
    leaving, alone = build(0.7, graph.edges), build(0.7, sparse.csr_array(rest))
    part = graph.part_of(Histories.from_lists([[3, 1], [2, 4, 1]]))
    rows = None if chosen is None else torch.tensor(chosen)
    found, expected = leaving.vectors(rows, left_out=part), alone.vectors(rows)
    torch.testing.assert_close(found, expected)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    gradients = [
        torch.autograd.grad((vectors * weights).sum(), table.embedding)[0]
        for table, vectors in ((leaving, found), (alone, expected))
    ]
    torch.testing.assert_close(*gradients)
