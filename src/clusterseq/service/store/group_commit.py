"""Group commit: what several threads want written at the same time is written as one.

A commit waits for the disk, however little it writes. So whoever gets the turn does for all who
wait what they wait for, and they share the wait (DeWitt et al. 1984).

Knows nothing about: what is written, and to what.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


class GroupCommit(Generic[Work, Result]):
    """Brings together the work of several threads.

    >>> commits = GroupCommit(lambda works: [len(work) for work in works])
    >>> commits.do("abc")
    3
    """

    def __init__(self, write: Callable[[Sequence[Work]], Sequence[Result]]) -> None:
        """``write`` does several works at once, or none of them, and gives the result of each."""
        self._write = write
        self._turn, self._line = Lock(), Lock()
        self._waiting: list[tuple[Work, Future[Result]]] = []

    def do(self, work: Work) -> Result:
        """Have it done, with whatever else is waiting; an error is that of all of them."""
        done: Future[Result] = Future()
        with self._line:
            self._waiting.append((work, done))
        with self._turn:
            # Whoever had the turn before may have done this, too; then others wait here, or nobody.
            with self._line:
                group, self._waiting = self._waiting, []
            self._do(group)
        return done.result()

    def _do(self, group: Sequence[tuple[Work, Future[Result]]]) -> None:
        if not group:
            return
        try:
            results = self._write([work for work, _ in group])
        except BaseException as error:
            for _, done in group:
                done.set_exception(error)
            return
        for (_, done), result in zip(group, results, strict=True):
            done.set_result(result)
