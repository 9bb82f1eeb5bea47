"""Models and data of the sizes that the benchmark names.

Knows nothing about: time.
"""

from __future__ import annotations

import torch

from clusterseq.config import ModelConfig
from clusterseq.graph import freshness, smoothing
from clusterseq.memory import Memory
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.sequences import Sequences


def model_of(
    known: Sequences, n_items: int, *, members: int, dim: int, inner_steps: int = 3
) -> ClusterSeq:
    """An untrained model of the default preset, but for its width, with everything that it reads.

    Weights don't change times, so nothing is trained.
    """
    config = ModelConfig(n_items=n_items, members=members, dim=dim, inner_steps=inner_steps)
    model = ClusterSeq(config)
    model.items.set_graph(smoothing(known, n_items))
    assert model.items.freshness is not None, "the default preset has it"
    model.items.freshness.copy_(torch.from_numpy(freshness(known, n_items)))
    model.memory = Memory.build(known, n_items)
    return model
