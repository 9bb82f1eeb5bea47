"""How much memory there is: the machine's, or what a container or a process may take of it.

Knows nothing about: what it is for.
"""

from __future__ import annotations

import os
from pathlib import Path

CGROUPS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where a container's bound stands."""


def memory_limit() -> int | None:
    """Bytes of this machine's memory, or of what a container or this process may take.

    None where nobody tells.
    """
    try:
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    for path in CGROUPS:
        try:
            available = min(available, int(path.read_text()))
        except (OSError, ValueError):  # no such bound, or "max"
            continue
    return min(available, _address_limit(available))


def _address_limit(default: int) -> int:
    """Bytes of addresses that the process may have, as ``ulimit -v`` sets it."""
    try:
        import resource
    except ImportError:  # not on Windows
        return default
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return default if limit == resource.RLIM_INFINITY else limit
