"""The graphs of the training interactions: which items follow each other, and who touched what.

``transitions`` and ``SmoothingGraph`` serve the item table (one hop of graph convolution over items
that are near each other in sequences); ``profiles`` is the convolution over the user–item graph of
section 3.2.4, without weights or non-linearities as in LightGCN (He et al. 2020, arXiv 2002.02126)
but by plain means, whose outcome for items is all that a new person's representation needs.

Knows nothing about: models, training, new users.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from scipy import sparse

from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences

REACH = 5
"""Pairs further apart than this in a sequence say nothing about each other."""
NEIGHBOURS = 4_000
"""Most items beside each in the smoothing graph."""
ENOUGH = 300
"""The same where items have more than so many on average: of many millions of people everything is
beside everything, and a step of training would read it all. It learns as well from these."""
HOPS = 2
"""Passes over the user–item graph that make an item's profile."""


def transitions(known: Sequences, n_items: int) -> sparse.csr_array:
    """Directed item × item weights: the sum of 1 / distance over pairs at most five apart.

    >>> known = Sequences(np.int32([0, 1, 2]), np.arange(3), np.array([0, 3]))
    >>> transitions(known, 3).toarray().tolist()
    [[0.0, 1.0, 0.5], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    total = sparse.csr_array((n_items, n_items), dtype=np.float32)
    users = known.user_of_event
    for distance in range(1, REACH + 1):
        same_user = users[:-distance] == users[distance:]
        first, second = known.items[:-distance][same_user], known.items[distance:][same_user]
        weights = np.full(len(first), 1 / distance, dtype=np.float32)
        total = total + sparse.csr_array((weights, (first, second)), shape=total.shape)
    return total.tocsr()


@dataclass(frozen=True, eq=False)
class SmoothingGraph:
    """The transition graph without directions, symmetrically normalised: D^-½ (R + Rᵀ) D^-½."""

    edges: sparse.csr_array
    """Items × items."""
    roots: Float32[np.ndarray, " items"]
    """D^-½, 0 for items beside nothing."""

    @classmethod
    def of(cls, directed: sparse.csr_array) -> SmoothingGraph:
        """An edge stays if it is among the strongest ``NEIGHBOURS`` of both ends, or ``ENOUGH``.

        >>> known = Sequences(np.int32([0, 1]), np.arange(2), np.array([0, 2]))
        >>> SmoothingGraph.of(transitions(known, 3)).edges.toarray().tolist()
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
        """
        undirected = _mutual((directed + directed.T).tocsr())
        roots = _inverse_root(undirected.sum(axis=1))
        return cls(_scaled(undirected, roots, roots), roots)

    def part_of(self, people: Histories) -> sparse.csr_array:
        """What some of the graph's people have put into its edges.

        Of an edge that was weak and didn't stay, too, which is next to nothing.

        >>> known = Sequences.from_rows([[0, 1], [0, 1], [0, 1], [0, 1], [2, 3]])
        >>> graph = SmoothingGraph.of(transitions(known, 4))
        >>> rest = graph.edges - graph.part_of(Histories.from_lists([[0, 1], [2, 3]]))
        >>> rest.toarray().tolist()[0], rest.toarray().tolist()[2]
        ([0.0, 0.75, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0])
        """
        items = people.items[people.mask].numpy(force=True).astype(np.int32)
        offsets = np.concatenate([[0], people.lengths.numpy(force=True).cumsum()])
        directed = transitions(Sequences(items, np.arange(len(items)), offsets), len(self.roots))
        return _scaled((directed + directed.T).tocsr(), self.roots, self.roots)


def _mutual(graph: sparse.csr_array) -> sparse.csr_array:
    """A symmetric graph without the edges that are weak for one of their ends."""
    limit = ENOUGH if graph.nnz > ENOUGH * graph.shape[0] else NEIGHBOURS
    hubs = np.flatnonzero(np.diff(graph.indptr) > limit)
    if not len(hubs):
        return graph
    mask = graph.copy()
    mask.data[:] = 1
    for item in hubs:
        row = slice(graph.indptr[item], graph.indptr[item + 1])
        weak = np.argsort(-graph.data[row], kind="stable")[limit:]
        mask.data[row.start + weak] = 0
    mask.eliminate_zeros()
    mutual: sparse.csr_array = graph.multiply(mask).multiply(mask.T).tocsr()
    return mutual


def incidence(known: Sequences, n_items: int) -> sparse.csr_array:
    """Users × items, one where the user touched the item, however often."""
    cells = (known.user_of_event, known.items)
    touched = sparse.csr_array(
        (np.ones(len(known.items), dtype=np.float32), cells), shape=(len(known), n_items)
    )
    touched.data[:] = 1
    return touched


def profiles(
    known: Sequences, embedding: Float32[np.ndarray, "items dim"]
) -> Float32[np.ndarray, "items dim"]:
    """Item representations two hops (items → users → items, twice) away from the items' own.

    Each hop is a plain mean, and the items' own vectors are left out: they tell single items apart,
    which splits a large group of people before it finds a small one. They are centred by how often
    items are touched, since what all people share tells no one apart.
    """
    touched = incidence(known, len(embedding))
    counts = np.asarray(touched.sum(axis=0), dtype=np.float32)
    to_users = _scaled(touched, _inverse(touched.sum(axis=1)), np.ones_like(counts))
    to_items = _scaled(touched.T.tocsr(), _inverse(counts), np.ones(len(known), dtype=np.float32))
    propagated = embedding
    for _ in range(HOPS):
        propagated = to_items @ (to_users @ propagated)
    centre = counts @ propagated / max(float(counts.sum()), 1.0)
    centred: Float32[np.ndarray, "items dim"] = (propagated - centre).astype(np.float32)
    return centred


def _inverse(degrees: np.ndarray) -> Float32[np.ndarray, " n"]:
    degrees = np.asarray(degrees, dtype=np.float32)
    inverse = np.where(degrees > 0, 1 / np.maximum(degrees, 1e-12), 0)
    single: Float32[np.ndarray, " n"] = inverse.astype(np.float32)
    return single


def _inverse_root(degrees: np.ndarray) -> Float32[np.ndarray, " n"]:
    roots: Float32[np.ndarray, " n"] = np.sqrt(_inverse(degrees))
    return roots


def _scaled(
    matrix: sparse.csr_array, rows: Float32[np.ndarray, " n"], columns: Float32[np.ndarray, " m"]
) -> sparse.csr_array:
    scaled: sparse.csr_array = sparse.diags_array(rows) @ matrix @ sparse.diags_array(columns)
    return scaled.tocsr()
