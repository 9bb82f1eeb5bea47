"""A trained model over a larger catalogue: known items keep all they are, new ones borrow it.

A new item starts as the mean of the items beside it in the transition graph, by the weight of each
edge; one that is beside new items only, from those; one that is beside nothing, from all.

Knows nothing about: where new items come from, training, raw ids.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from scipy import sparse
from torch import Tensor

from clusterseq.model.clusterseq import ClusterSeq

PASSES = 2
"""How far from a known item a new one may be and still start from it."""


@torch.no_grad()
def grown(
    model: ClusterSeq,
    places: Int32[np.ndarray, " items"],
    n_items: int,
    transitions: sparse.csr_array,
    counts: Int64[np.ndarray, " grown"],
) -> ClusterSeq:
    """The model with ``n_items`` items, of which its own item ``i`` is called ``places[i]``.

    Graph, freshness and memory are not grown: they follow from what is counted.

    Args:
        transitions: how often one item came after another, in the larger catalogue.
        counts: events of each of its items.
    """
    config = dataclasses.replace(model.config, n_items=n_items)
    larger = ClusterSeq(config)
    known = torch.from_numpy(places.astype(np.int64))
    start = Start(places, n_items, transitions)
    tables = {"items.embedding", "profiles"}
    state = larger.state_dict()
    for name, value in model.state_dict().items():
        if name in tables:
            state[name].copy_(start(value))
        elif name == "items.bias":
            logs = torch.from_numpy(np.log(counts + 1.0)).float()
            state[name].copy_(logs + (value - logs[known]).mean())
            state[name][known] = value
        elif name == "anchors":
            state[name].copy_(_anchors(known[value], len(state[name]), n_items))
        elif name == "cluster_popularity":
            state[name].zero_()
            state[name][:, known] = value
        elif name == "lifts.table":
            state[name].zero_()
            state[name][known] = value
        elif not name.startswith(("items.graph", "items.freshness")):
            state[name].copy_(value)
    return larger


def _anchors(former: Int64[Tensor, " some"], count: int, n_items: int) -> Int64[Tensor, " anchors"]:
    """The former anchors, ascending; where there are more now than there were items, others too."""
    free = torch.ones(n_items, dtype=torch.bool)
    free[former] = False
    return torch.cat([former, free.nonzero()[:, 0]])[:count].sort().values


class Start:
    """Where items start that a model doesn't know."""

    def __init__(
        self, places: Int32[np.ndarray, " items"], n_items: int, transitions: sparse.csr_array
    ) -> None:
        self.places, self.n_items = torch.from_numpy(places.astype(np.int64)), n_items
        self.beside = (transitions + transitions.T).tocsr()

    def __call__(self, rows: Float[Tensor, "items width"]) -> Float[Tensor, "grown width"]:
        """The larger table that some rows of known items make."""
        table = rows.mean(dim=0).repeat(self.n_items, 1)
        settled = torch.zeros(self.n_items, dtype=torch.bool)
        table[self.places], settled[self.places] = rows, True
        for _ in range(PASSES):
            weights = self.beside @ sparse.diags_array(settled.numpy().astype(np.float32))
            sums = torch.from_numpy(np.asarray(weights.sum(axis=1), dtype=np.float32))
            reached = ~settled & (sums > 0)
            means = torch.from_numpy(weights @ table.numpy()) / sums.clamp_min(1e-12)[:, None]
            table[reached] = means[reached].to(table.dtype)
            settled |= reached
        return table
