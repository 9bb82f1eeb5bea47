"""The history store as requests use it: in threads of its own, and with an end to waiting.

A store that hangs would otherwise hold every thread of the process, and those who wait for it would
grow in number; so nobody waits for longer than a limit, and whatever needs no store goes on. Who
reads doesn't wait for who writes.

Knows nothing about: what keeps the histories, HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from clusterseq.service.store.protocol import Event, HistoryStore, StoreError

READERS = WRITERS = 8
"""How many may read at once, and how many may write."""

Given = ParamSpec("Given")
Found = TypeVar("Found")


class AsyncStore:
    """A history store for an event loop."""

    def __init__(self, store: HistoryStore, seconds: float) -> None:
        self._store, self._seconds = store, seconds
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reading")
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="writing")

    async def append(self, user: str, events: Sequence[Event]) -> int:
        """Keep events of a user; once this has returned, they are safe."""
        return await self._in_time(self._writers, self._store.append, user, events)

    async def history(self, user: str) -> list[Event]:
        """Events of a user, oldest first."""
        return await self._in_time(self._readers, self._store.history, user)

    async def ping(self) -> None:
        """Do nothing if the store answers."""
        await self._in_time(self._readers, self._store.ping)

    async def erase(self, user: str) -> int:
        """Erase a user, however long it takes: the whole file may have to be rewritten."""
        return await asyncio.wrap_future(self._writers.submit(self._store.erase, user))

    async def purge(self) -> int:
        """Forget who has expired, however long it takes."""
        return await asyncio.wrap_future(self._writers.submit(self._store.purge))

    async def close(self) -> None:
        """Finish what is under way, and close the store."""
        for pool in (self._readers, self._writers):
            await asyncio.to_thread(pool.shutdown)
        self._store.close()

    async def _in_time(
        self,
        pool: ThreadPoolExecutor,
        call: Callable[Given, Found],
        *given: Given.args,
        **named: Given.kwargs,
    ) -> Found:
        """What a call gives; what has not begun by the end of the time is not begun any more.

        Raises:
            StoreError: the store can't do it, or takes too long. It may have done it all the same.
        """
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.wrap_future(pool.submit(call, *given, **named))
        except TimeoutError:
            raise StoreError(
                f"the history store has not answered within {self._seconds:g} s"
            ) from None
