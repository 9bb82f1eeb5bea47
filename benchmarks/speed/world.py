"""Generated people of any number: popular items are touched often, and some follow others.

Knows nothing about: models, files.
"""

from __future__ import annotations

import numpy as np

from clusterseq.data.sequences import Sequences

POPULARITY = 0.8
"""Exponent of the Zipf law of how often items are touched."""
FOLLOWING = 0.3
"""Share of events that are the successor of the event before."""


def people(users: int, items: int, *, mean_length: float = 9.0, seed: int = 0) -> Sequences:
    """Sequences of at least five events; a beauty shop's have nine on average."""
    draws = np.random.default_rng(seed)
    lengths = 5 + draws.geometric(1 / max(1.0, mean_length - 4), users) - 1
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    touched = popular(int(offsets[-1]), items, draws)
    follows = draws.random(len(touched)) < FOLLOWING
    follows[0] = False
    places = np.flatnonzero(follows)
    touched[places] = (touched[places - 1] * 7 + 1) % items
    return Sequences(touched.astype(np.int32), np.arange(len(touched)), offsets)


def popular(events: int, items: int, draws: np.random.Generator) -> np.ndarray:
    """Items drawn by a bounded Zipf law, by inverting its distribution."""
    shares = np.cumsum(np.arange(1, items + 1, dtype=np.float64) ** -POPULARITY)
    found: np.ndarray = np.searchsorted(shares, draws.random(events) * shares[-1])
    return found.astype(np.int64)
