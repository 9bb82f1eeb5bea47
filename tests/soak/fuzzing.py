"""Cases by the thousand: how a good file is spoilt, how many times, and what may come of it.

Case number n is always the same one: its draws come from a generator seeded by n. That is a tenth
of the time of a library that also shrinks what it finds.

Knows nothing about: what is fuzzed.
"""

from __future__ import annotations

import copy
import faulthandler
import random
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clusterseq.errors import ClusterSeqError

PATIENCE_S = 60
"""A case that takes longer ends the process with a traceback, wherever it hangs."""
MOST_MEMORY = 2**29
"""Bytes by which the process may grow while a target is fuzzed."""

PIECES = (
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xe9", b"\xc3\xa9"),
    *(b'"', b'""', b"'", b"\\", b",", b"\t", b";", b"|", b"\n", b"\r", b"\r\n", b"\n\n", b" "),
    *(b"-1", b"0", b"1e999", b"-1e17", b"0.5", b"NaN", b"inf", b"9" * 19, b"9" * 40, b"1" * 5_000),
    *(b"null", b"true", b"{", b"}", b"[", b"]", b"[" * 2_000, b'{"a":' * 500, b"\\ud800", b"="),
    *(b"2013-13-45", b"0000-00-00", b"9999-12-31", b"1900-01-01T00:00:00+99:99", b"..", b"/"),
)
"""What has broken readers before."""

SCALARS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 61, 2**31, 2**63, -(2**63), 2**70, 10**400, 10**4000),
    *(0.5, -0.5, 1e308, 1e-300, float("inf"), float("nan"), "", "a", "\ud800", "x" * 10_000),
    *("../../etc/passwd", "/dev/zero", [], {}, [0], [[[]]], {"a": 1}, [None, "b"]),
)
"""What somebody may write where another value belongs."""


def mutated(data: bytes, draws: random.Random) -> bytes:
    """The data with up to five bytes or pieces inserted, replaced, deleted, repeated or cut off.

    Some are left as they are: what isn't spoilt must be read.
    """
    for _ in range(draws.choice((0, 1, 1, 1, 2, 3, 5))):
        at, size = draws.randint(0, len(data)), draws.randint(1, 16)
        piece = (
            draws.choice(PIECES) if draws.random() < 0.7 else draws.randbytes(draws.randint(1, 4))
        )
        data = draws.choice(
            (
                data[:at] + piece + data[at:],
                data[:at] + piece + data[at + len(piece) :],
                data[:at] + piece + data[at + size :],
                data[:at] + data[at + size :],
                data[:at] + data[at : at + size] * 3 + data[at:],
                data[: max(at, 1)] if draws.random() < 0.3 else data,
            )
        )
    return data


def mutated_json(values: Any, draws: random.Random) -> Any:
    """A copy of nested dictionaries and lists with up to three values set, added or deleted."""
    values = copy.deepcopy(values)
    for _ in range(draws.choice((0, 1, 1, 1, 2, 3))):
        spots = _spots(values)
        if not spots:
            break
        owner, name = draws.choice(spots)
        change, value = draws.random(), copy.deepcopy(draws.choice(SCALARS))
        if change < 0.2:
            del owner[name]
        elif change < 0.3 and isinstance(owner, dict):
            owner[draws.choice((f"{name}x", "", "\ud800", "../x"))] = value
        else:
            owner[name] = value
    return values


def _spots(values: Any) -> list[tuple[Any, Any]]:
    """Every place inside of nested dictionaries and lists."""
    found: list[tuple[Any, Any]] = []
    if isinstance(values, dict | list):
        names = list(values) if isinstance(values, dict) else range(len(values))
        for name in names:
            found += [(values, name), *_spots(values[name])]
    return found


@dataclass
class Tally:
    """What became of the cases."""

    good: int = 0
    refused: int = 0

    def attempt(self, action: Callable[[], object]) -> None:
        """Count one case: it ends well or in a typed error that says something."""
        try:
            action()
        except ClusterSeqError as error:
            if not str(error).strip():
                raise AssertionError("an error says nothing") from error
            self.refused += 1
        else:
            self.good += 1


def fuzz(
    case: Callable[[Tally, random.Random], None],
    cases: int,
    record_property: Callable[[str, object], None],
) -> None:
    """Run so many cases: none may hang or fail, memory is bounded, and both ends must occur."""
    tally, before, begun = Tally(), _peak(), time.perf_counter()
    for number in range(cases):
        if number % 100 == 0:
            faulthandler.dump_traceback_later(PATIENCE_S, exit=True)
        try:
            case(tally, random.Random(number))
        except BaseException as error:
            error.add_note(f"in case {number}")
            raise
    faulthandler.cancel_dump_traceback_later()
    seconds, grown = time.perf_counter() - begun, _peak() - before
    assert tally.good, "some cases are read"
    assert tally.refused, "some cases are refused"
    record_property("fuzzed", (tally.good, tally.refused, round(seconds, 1), grown // 2**20))
    assert grown < MOST_MEMORY


def _peak() -> int:
    """Bytes of memory that the process held at most until now."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
