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
