"""The C library's memory: a service holds little for long, and should not hold on to the rest.

Each thread gets an arena of its own by default, which keeps what its largest batch has ever needed:
twice the memory of a catalogue of 100,000 items after a minute. Only glibc is spoken to.

Knows nothing about: models, Python's own memory.
"""

from __future__ import annotations

import ctypes
import gc
import sys

ARENA_MAX = -8
"""Number of the setting in glibc's ``malloc.h``."""


def share_one_arena() -> None:
    """Let all threads take memory from the same place.

    To be called before there are any: how many places there may be is settled with the second one.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(ARENA_MAX, 1)


def trim_heap() -> None:
    """Return what is free to the system: loading takes twice what serving does."""
    gc.collect()
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
