"""A small planted world for tests of learning: who is known, and how well newcomers are foreseen.

Knows nothing about: the scorers.
"""

from __future__ import annotations

import numpy as np

from clusterseq.baselines.peer import Setting
from clusterseq.baselines.popularity import Popularity
from clusterseq.bench.planted import World
from clusterseq.judging.scorer import Scorer

WORLD = World.of((0.5, 0.3, 0.2), own=20, shared=6, generator=np.random.default_rng(0))
KNOWN = WORLD.draw(600, 3, 9, np.random.default_rng(1)).sequences
NEWCOMERS = WORLD.draw(150, 4, 6, np.random.default_rng(2)).sequences
SETTING = Setting(KNOWN, NEWCOMERS, WORLD.n_items)


def gain_over_popularity(scorer: Scorer) -> float:
    """How many times the MRR of popularity a scorer reaches on people it has not seen."""
    return SETTING.mrr(scorer) / SETTING.mrr(Popularity.fit(KNOWN, WORLD.n_items))
