"""What a model costs: learnt numbers, milliseconds per newcomer, memory.

Knows nothing about: accuracy, how a model comes about, files of results.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from torch import nn

from clusterseq.data.histories import Histories
from clusterseq.data.sequences import Sequences
from clusterseq.judging.scorer import Scorer

AT_LEAST, AT_MOST = 50, 200
"""How many newcomers are timed."""
WARMING = 5
STATUS = Path("/proc/self/status")


def newcomer_ms(scorer: Scorer, people: Sequences, k: int) -> tuple[float, int]:
    """Median milliseconds to score the catalogue for one newcomer, and how many were timed.

    Where fewer than 50 people have more than ``k`` events, they are gone through several times.
    """
    users = np.flatnonzero(people.lengths > k).tolist()
    timed = max(AT_LEAST, min(len(users), AT_MOST))
    histories = [Histories.from_lists([people[user][:k]]) for user in users[:timed]]
    for history in itertools.islice(itertools.cycle(histories), WARMING):
        scorer.score(history)
    seconds = []
    for history in itertools.islice(itertools.cycle(histories), timed):
        started = time.perf_counter()
        scorer.score(history).cpu()  # an accelerator is waited for
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds), timed


def learnt_parameters(scorer: object) -> int | None:
    """How many numbers gradients have trained, in the scorer and in what it is made of.

    None for a model that counts or remembers and holds no network.
    """
    homes = {"clusterseq", _package(scorer)}
    networks = list(_networks(scorer, set(), homes))
    if not networks:
        return None
    distinct = {id(p): p.numel() for network in networks for p in network.parameters()}
    return sum(distinct.values())


def peak_mb() -> float | None:
    """The most memory that this process has ever held, in MiB; None where nobody tells."""
    if STATUS.exists():  # on Linux
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    if sys.platform == "win32":
        return None
    import resource

    # On Linux this one would count what the parent process held when it started this one.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _package(thing: object) -> str:
    """Whose code makes an object what it is."""
    return type(thing).__module__.partition(".")[0]


def _networks(thing: object, seen: set[int], homes: set[str]) -> list[nn.Module]:
    """The networks that an object is or holds, as parts or, by objects of ``homes``, as attributes.

    ``homes`` are packages; what other libraries' objects hold is no part of a scorer.
    """
    if id(thing) in seen:
        return []
    seen.add(id(thing))
    if isinstance(thing, nn.Module):
        return [thing]
    if isinstance(thing, dict):
        parts = list(thing.values())
    elif isinstance(thing, list | tuple):
        parts = list(thing)
    elif _package(thing) in homes:
        parts = list(getattr(thing, "__dict__", {}).values())
    else:
        return []
    return [network for part in parts for network in _networks(part, seen, homes)]
