"""Whether a training fits into memory, told before it starts and not by the system that ends it.

What is added up is the least: the arrays that are there all the time, not what comes and goes
beside them. A training that is let through may still not fit; one that is refused never would.

Knows nothing about: data, what is learnt, how much memory there is.
"""

from __future__ import annotations

from clusterseq.config import ModelConfig
from clusterseq.errors import TrainingError
from clusterseq.machine.room import memory_limit

NUMBER = 4
STATES = 5
"""Parameters, gradients, two moments, and the best epoch's parameters."""
EVENT = 4 + 8 + 8
"""Bytes of an event: item and time, and the item once more in the windows of pre-training."""


def least(config: ModelConfig, n_items: int, events: int, *, shares: int = 1) -> int:
    """Bytes that a process of a training holds all the time.

    Of an item table in several shares it holds one, but all of the rows once it is meta-trained.

    >>> least(ModelConfig(members=1, dim=64), n_items=1_000_000, events=0) // 2**20
    1495
    >>> least(ModelConfig(members=1, dim=64), n_items=1_000_000, events=0, shares=2) // 2**20
    885
    """
    numbers = int(max(1.0, STATES / shares) * config.width)
    if config.clustering:
        numbers += config.width + config.clusters
    return NUMBER * numbers * n_items + EVENT * events


def require_room(config: ModelConfig, n_items: int, events: int, *, shares: int = 1) -> None:
    """Refuse a training that can't fit.

    Raises:
        TrainingError: it takes more than there is.
    """
    needed, available = least(config, n_items, events, shares=shares), memory_limit()
    if available is not None and needed > available:
        raise TrainingError(
            f"{n_items:,} items × {config.width} take {needed / 2**30:,.1f} GiB at least while "
            f"they are trained, and there are {available / 2**30:,.1f}; leave out rare items "
            "(--set data.min_item_events=5) or take a narrower model (--set model.dim=32)",
            code="memory",
        )
