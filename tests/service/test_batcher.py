"""Gathering work: together what comes together, all or none, and errors to whom they belong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence

import pytest

from clusterseq.service.batcher import Batcher, OverloadedError


class Squares:
    """Work that keeps in mind how it came."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        assert self.gate.wait(10)
        self.batches.append(list(numbers))
        if 13 in numbers:
            raise ValueError("thirteen")
        return [number**2 for number in numbers]


def run(
    test: Callable[[Batcher[int, int]], Awaitable[None]], squares: Squares, **options: float
) -> None:
    """Run a test with a batcher of its own, which ends in order."""

    async def whole() -> None:
        limits = {"at_once": 4, "gather_ms": 5.0, "waiting": 10} | options
        batcher: Batcher[int, int] = Batcher(
            squares,
            at_once=int(limits["at_once"]),
            gather_ms=limits["gather_ms"],
            waiting=int(limits["waiting"]),
        )
        batcher.start()
        try:
            await test(batcher)
        finally:
            squares.gate.set()
            await batcher.stop()

    asyncio.run(whole())


def test_what_comes_together_is_done_together_and_told_apart() -> None:
    squares = Squares()

    async def test(batcher: Batcher[int, int]) -> None:
        futures = [batcher.submit([number])[0] for number in (1, 2, 3)]
        assert await asyncio.gather(*futures) == [1, 4, 9]

    run(test, squares)
    assert squares.batches == [[1, 2, 3]]


def test_no_go_is_larger_than_it_may_be() -> None:
    squares = Squares()

    async def test(batcher: Batcher[int, int]) -> None:
        assert await asyncio.gather(*batcher.submit(range(10))) == [n**2 for n in range(10)]
        assert len(batcher) == 0

    run(test, squares)
    assert [len(batch) for batch in squares.batches] == [4, 4, 2]


def test_where_more_wait_than_a_go_takes_the_newest_come_first() -> None:
    squares = Squares()

    async def test(batcher: Batcher[int, int]) -> None:
        squares.gate.clear()
        first = batcher.submit([0])
        while len(batcher):
            await asyncio.sleep(0)
        later = batcher.submit(range(1, 10))
        squares.gate.set()
        await asyncio.gather(*first, *later)

    run(test, squares)
    assert squares.batches == [[0], [6, 7, 8, 9], [2, 3, 4, 5], [1]]


def test_what_nobody_waits_for_is_not_done_and_takes_no_room() -> None:
    squares = Squares()

    async def test(batcher: Batcher[int, int]) -> None:
        squares.gate.clear()
        (first,) = batcher.submit([0])
        while len(batcher):
            await asyncio.sleep(0)
        for future in [first, *batcher.submit(range(1, 11))]:
            batcher.forget(future)
        assert len(batcher) == 0
        later = batcher.submit(range(21, 31))
        batcher.forget(later[3])
        batcher.forget(later[3])
        squares.gate.set()
        assert await first == 0, "what is under way is finished"
        await asyncio.gather(*(future for future in later if not future.cancelled()))

    run(test, squares)
    done = sorted(number for batch in squares.batches for number in batch)
    assert done == [0, 21, 22, 23, 25, 26, 27, 28, 29, 30]


def test_all_of_some_work_is_taken_or_none() -> None:
    squares = Squares()

    async def test(batcher: Batcher[int, int]) -> None:
        squares.gate.clear()
        first = batcher.submit(range(8))
        with pytest.raises(OverloadedError, match="8 people are waiting"):
            batcher.submit(range(3))
        second = batcher.submit(range(2))
        squares.gate.set()
        await asyncio.gather(*first, *second)

    run(test, squares)
    assert sum(map(len, squares.batches)) == 10


def test_an_error_is_told_to_those_whom_it_hit_and_to_nobody_else() -> None:
    squares = Squares()

    async def test(batcher: Batcher[int, int]) -> None:
        futures = batcher.submit([1, 13, 2, 3, 4])
        found = await asyncio.gather(*futures, return_exceptions=True)
        assert [type(each) for each in found] == [int] + [ValueError] * 4
        assert await batcher.submit([5])[0] == 25

    run(test, squares)


def test_who_waits_when_it_ends_is_served() -> None:
    squares, results = Squares(), []

    async def test(batcher: Batcher[int, int]) -> None:
        for future in batcher.submit(range(10)):
            future.add_done_callback(lambda done: results.append(done.result()))

    run(test, squares)
    assert sorted(results) == [n**2 for n in range(10)]
