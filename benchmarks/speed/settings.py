"""Models and data of the sizes that the benchmark names.

Knows nothing about: time.
"""

from __future__ import annotations

from clusterseq.config import ModelConfig
from clusterseq.data.ledger import Ledger
from clusterseq.data.memory import Sums
from clusterseq.data.sequences import Sequences
from clusterseq.learning.trainer import remember
from clusterseq.model.clusterseq import ClusterSeq


def size_of(config: ModelConfig) -> tuple[int, int]:
    """Members, and the width of each."""
    return config.members, config.dim


def model_of(
    known: Sequences, n_items: int, *, members: int, dim: int, inner_steps: int = 3
) -> ClusterSeq:
    """An untrained model of the default preset, but for its width, with everything that it reads.

    Weights don't change times, so nothing is trained.
    """
    config = ModelConfig(n_items=n_items, members=members, dim=dim, inner_steps=inner_steps)
    model = ClusterSeq(config)
    remember(model, Sums.of(known, n_items), Ledger.of(known, n_items))
    return model
