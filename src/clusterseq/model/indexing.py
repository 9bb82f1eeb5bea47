"""An index of a model's catalogue, with sample people who tell how many lists to look at.

Knows nothing about: how an index finds items, files.
"""

from __future__ import annotations

import numpy as np
import torch

from clusterseq.data.histories import Histories
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.index import Index, needed_faiss
from clusterseq.model.ranker import Ranker

SAMPLES, STEPS = 500, 3
"""Sample people, and items of each."""


def index_of(model: ClusterSeq, threads: int = 0) -> Index:
    """Index the items of a model.

    Sample people walk the transition graph from an item drawn by popularity, as people do; whoever
    comes to an end starts again elsewhere.

    Raises:
        ConfigError: Faiss is not installed.
        DataError: there are too few items.
    """
    faiss = needed_faiss()
    if threads:
        torch.set_num_threads(threads)
        faiss.omp_set_num_threads(threads)
    ranker = Ranker(model)
    people = ranker.adapt(Histories.from_lists(_walks(model, np.random.default_rng(0))))
    columns = np.ascontiguousarray(ranker.catalogue.items.columns.numpy(force=True))
    return Index.build(columns, people.preferences.queries.numpy(force=True))


def _walks(model: ClusterSeq, generator: np.random.Generator) -> list[list[int]]:
    popularity = np.exp(model.items.bias.numpy(force=True).astype(np.float64))
    starts = generator.choice(model.n_items, (SAMPLES, STEPS), p=popularity / popularity.sum())
    if model.config.smoothing == 0:
        return [row.tolist() for row in starts]
    bounds = model.items.graph_starts.numpy(force=True)
    graph_items = model.items.graph_items.numpy(force=True)
    walks = []
    for row in starts:
        walk = [int(row[0])]
        for restart in row[1:]:
            neighbours = graph_items[bounds[walk[-1]] : bounds[walk[-1] + 1]]
            walk.append(int(generator.choice(neighbours)) if len(neighbours) else int(restart))
        walks.append(walk)
    return walks
