"""Models and data of the sizes that the benchmark names.

Knows nothing about: time.
"""

from __future__ import annotations

from clusterseq.config import ModelConfig
from clusterseq.data.ledger import Ledger
from clusterseq.data.memory import Sums
from clusterseq.data.sequences import Sequences
from clusterseq.learning.trainer import remember, start_biases
from clusterseq.model.clusterseq import ClusterSeq


def size_of(config: ModelConfig) -> tuple[int, int]:
    """Members, and the width of each."""
    return config.members, config.dim


def model_of(
    known: Sequences, n_items: int, *, members: int, dim: int, inner_steps: int = 3
) -> ClusterSeq:
    """An untrained model of the default preset, but for its width, with everything that it reads.

    Nothing is trained: weights don't change times. Scores must differ as those of a trained model
    do, though, or rough ones would tell little; popular items make them, where training starts.
    """
    config = ModelConfig(n_items=n_items, members=members, dim=dim, inner_steps=inner_steps)
    model = ClusterSeq(config)
    start_biases(model, known.counts(n_items))
    remember(model, Sums.of(known, n_items), Ledger.of(known, n_items))
    return model
