"""Whether a training fits into memory, told before it starts and not by the system that ends it.

What is added up is the least: the arrays that are there all the time, not what comes and goes
beside them. A training that is let through may still not fit; one that is refused never would.

Knows nothing about: data, how models learn.
"""

from __future__ import annotations

import os
from pathlib import Path

from clusterseq.config import ModelConfig
from clusterseq.errors import TrainingError

CGROUPS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where a container's bound stands."""
NUMBER = 4
STATES = 5
"""Parameters, gradients, two moments, and the best epoch's parameters."""
EVENT = 4 + 8 + 8
"""Bytes of an event: item and time, and the item once more in the windows of pre-training."""


def there_is() -> int | None:
    """Bytes of this machine's memory, or of what a container or this process may take.

    None where nobody tells.
    """
    try:
        bytes_there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    for path in CGROUPS:
        try:
            bytes_there = min(bytes_there, int(path.read_text()))
        except (OSError, ValueError):  # no such bound, or "max"
            continue
    return min(bytes_there, _allowed(bytes_there))


def _allowed(otherwise: int) -> int:
    """Bytes of addresses that the process may have, as ``ulimit -v`` sets it."""
    try:
        import resource
    except ImportError:  # not on Windows
        return otherwise
    bound = resource.getrlimit(resource.RLIMIT_AS)[0]
    return otherwise if bound == resource.RLIM_INFINITY else bound


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


def require(config: ModelConfig, n_items: int, events: int, *, shares: int = 1) -> None:
    """Refuse a training that can't fit.

    Raises:
        TrainingError: it takes more than there is.
    """
    needed, room = least(config, n_items, events, shares=shares), there_is()
    if room is not None and needed > room:
        raise TrainingError(
            f"{n_items:,} items × {config.width} take {needed / 2**30:,.1f} GiB at least while "
            f"they are trained, and there are {room / 2**30:,.1f}; leave out rare items "
            "(--set data.min_item_events=5) or take a narrower model (--set model.dim=32)",
            code="memory",
        )
