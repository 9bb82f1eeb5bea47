"""People who ask at about the same time are served in one batch, by a thread of its own.

A batch of one costs nearly as much as one of sixteen: the catalogue is read from memory once for
all. Those who come while a batch is under way wait for the next one, so batches grow with the load
by themselves; before each there is a moment for more to come. Where more wait than fit in one, the
newest are served first, and whoever nobody waits for any more is not served at all: in their order
of arrival all would be served too late.

Knows nothing about: HTTP, models.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


class OverloadedError(Exception):
    """Too many are waiting; come back later."""


class Batcher(Generic[Work, Result]):
    """Gathers work that comes one by one, and has it done together."""

    def __init__(
        self,
        serve: Callable[[Sequence[Work]], Sequence[Result]],
        *,
        at_once: int,
        gather_ms: float,
        waiting: int,
    ) -> None:
        self._serve, self._at_once = serve, at_once
        self._gather, self._waiting = gather_ms / 1000, waiting
        self._queue: deque[tuple[Work, asyncio.Future[Result]]] = deque()
        self._under_way: set[asyncio.Future[Result]] = set()
        self._alive = 0
        """How many in the queue somebody waits for."""
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ranking")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to serve, in the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Serve everybody who waits, and end."""
        while self._alive or self._under_way:
            await asyncio.sleep(self._gather)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown(wait=True)

    def __len__(self) -> int:
        """How many wait."""
        return self._alive

    def submit(self, work: Sequence[Work]) -> list[asyncio.Future[Result]]:
        """Put all of some work in line, or none of it.

        Raises:
            OverloadedError: there is no room for it.
        """
        if self._alive + len(work) > self._waiting:
            raise OverloadedError(f"{self._alive} people are waiting already")
        while self._queue and self._queue[0][1].done():
            self._queue.popleft()
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Result]] = [loop.create_future() for _ in work]
        self._queue.extend(zip(work, futures, strict=True))
        self._alive += len(work)
        self._arrived.set()
        return futures

    def forget(self, future: asyncio.Future[Result]) -> None:
        """Nobody waits for this any more: if its turn has not come yet, it never will."""
        if not future.done() and future not in self._under_way:
            future.cancel()
            self._alive -= 1

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            # Also where some wait already: meanwhile the answers of the last batch are sent, which
            # would contend with the next one for Python's lock.
            if self._alive < self._at_once:
                await asyncio.sleep(self._gather)
            batch = self._next()
            if not batch:
                continue
            work, futures = [job for job, _ in batch], [future for _, future in batch]
            self._under_way.update(futures)
            try:
                results = await loop.run_in_executor(self._thread, self._serve, work)
            except Exception as error:  # theirs to be told, and the next ones must not suffer
                _fail(futures, error)
            else:
                _deliver(futures, results)
            self._under_way.clear()

    def _next(self) -> list[tuple[Work, asyncio.Future[Result]]]:
        """The newest in line, as many as are served at once, in the order in which they came."""
        batch: list[tuple[Work, asyncio.Future[Result]]] = []
        while self._queue and len(batch) < self._at_once:
            work, future = self._queue.pop()
            if not future.done():
                batch.append((work, future))
        self._alive -= len(batch)
        if not self._queue:
            self._arrived.clear()
        return batch[::-1]


def _deliver(futures: Sequence[asyncio.Future[Result]], results: Sequence[Result]) -> None:
    for future, result in zip(futures, results, strict=True):
        if not future.done():
            future.set_result(result)


def _fail(futures: Sequence[asyncio.Future[Result]], error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
