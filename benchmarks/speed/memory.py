"""How much more memory a piece of work makes this process hold.

Knows nothing about: the work.
"""

from __future__ import annotations

import resource
from collections.abc import Callable


def peak_mb() -> float:
    """The most that this process has ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def growth_mb(work: Callable[[], object]) -> float:
    """By how much the peak rises; work that fits under an earlier peak grows by nothing."""
    before = peak_mb()
    work()
    return peak_mb() - before
