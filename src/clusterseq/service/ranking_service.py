"""Where people's rankings come from: what is remembered, what is on its way, or a new batch.

It also holds the engine that is in use, and swaps it for another one between two batches: who was
in line with the old one is served by it, and nobody is sent away.

Knows nothing about: HTTP, users, what becomes of a ranking.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from clusterseq.errors import ConfigError
from clusterseq.service.batcher import Batcher
from clusterseq.service.engine import Codes, Engine, Person
from clusterseq.service.limits import Limits
from clusterseq.service.ranking import DEPTH, Ranking
from clusterseq.service.ranking_cache import RankingCache

Key: TypeAlias = tuple[str, Codes, int | None]


@dataclass(frozen=True)
class Job:
    """A person, and the engine that was in use when they came."""

    engine: Engine
    person: Person


@dataclass(frozen=True)
class Question:
    """Why some items are recommended to a person."""

    engine: Engine
    person: Person
    items: Sequence[int]


@dataclass(frozen=True)
class Served:
    """What somebody is told, and how it came about."""

    ranking: Ranking
    """The ranking."""
    cached: bool = False
    """Whether it was remembered."""
    fallback: bool = False
    """Whether it is what is popular, for want of time."""


class RankingService:
    """Serves rankings to whoever asks, by the engine in use."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        if limits.k > DEPTH:
            raise ConfigError(f"limit k = {limits.k}: a ranking holds {DEPTH} items; give less")
        self.engine, self.limits = engine, limits
        self._remembered = RankingCache(limits.remembered)
        self._coming: dict[Key, asyncio.Future[Ranking]] = {}
        self._askers: Counter[asyncio.Future[Ranking]] = Counter()
        self.batcher: Batcher[Job, Ranking] = Batcher(
            _serve, at_once=limits.at_once, gather_ms=limits.gather_ms, waiting=limits.waiting
        )
        self.reasons: Batcher[Question, list[dict[str, Any]]] = Batcher(
            _explain, at_once=1, gather_ms=1.0, waiting=limits.waiting
        )

    def start(self) -> None:
        """Begin to serve, in the running event loop."""
        self.batcher.start()
        self.reasons.start()

    async def stop(self) -> None:
        """Serve everybody who waits, and end."""
        await self.batcher.stop()
        await self.reasons.stop()

    def use(self, engine: Engine) -> None:
        """Serve by another engine from now on; what was remembered is forgotten."""
        self.engine = engine
        self._remembered.forget()

    async def ask(self, engine: Engine, people: Sequence[Person]) -> list[Served]:
        """A ranking for each person; what is popular for those whose turn doesn't come in time.

        The engine is the one that the people are told in the terms of: another may be in use since.

        Raises:
            OverloadedError: too many are waiting; nobody of these was put in line.
        """
        rankings = [self._recall(engine, person) for person in people]
        missing = [index for index, ranking in enumerate(rankings) if ranking is None]
        if not missing:
            return [Served(ranking, cached=True) for ranking in rankings if ranking]
        futures = self._order(engine, [people[index] for index in missing])
        batches = -(-len(futures) // self.limits.at_once)
        self._askers.update(futures)
        try:
            await asyncio.wait(futures, timeout=batches * self.limits.deadline_ms / 1000)
        finally:
            self._stop_waiting(futures)
        asked = dict(zip(missing, futures, strict=True))
        return [
            Served(ranking, cached=True) if ranking is not None else _outcome(engine, asked[index])
            for index, ranking in enumerate(rankings)
        ]

    async def why(
        self, engine: Engine, person: Person, items: Sequence[int]
    ) -> list[dict[str, Any]]:
        """Why of each item, as JSON holds it; none where the turn doesn't come in time.

        Raises:
            OverloadedError: too many are waiting.
        """
        (future,) = self.reasons.submit([Question(engine, person, items)])
        try:
            await asyncio.wait([future], timeout=self.limits.deadline_ms / 1000)
        finally:
            self.reasons.forget(future)
        return future.result() if future.done() and not future.cancelled() else []

    def _stop_waiting(self, futures: Sequence[asyncio.Future[Ranking]]) -> None:
        """Somebody waits no longer; what nobody waits for needs no turn."""
        self._askers.subtract(futures)
        for future in futures:
            if not self._askers[future]:
                del self._askers[future]
                self.batcher.forget(future)

    def _recall(self, engine: Engine, person: Person) -> Ranking | None:
        key = _key(engine, person)
        return None if key is None else self._remembered.recall(key)

    def _order(self, engine: Engine, people: Sequence[Person]) -> list[asyncio.Future[Ranking]]:
        """Put people in line, but for those who ask what somebody else waits for already."""
        keys = [_key(engine, person) for person in people]
        first = {key: index for index, key in reversed([*enumerate(keys)])}
        new = [
            index
            for index, key in enumerate(keys)
            if key is None or (index == first[key] and not self._is_coming(key))
        ]
        futures = self.batcher.submit([Job(engine, people[index]) for index in new])
        submitted = dict(zip(new, futures, strict=True))
        for index, future in submitted.items():
            key = keys[index]
            if key is not None:
                self._coming[key] = future
                future.add_done_callback(partial(self._arrived, key))
        return [
            submitted[index] if key is None or index in submitted else self._coming[key]
            for index, key in enumerate(keys)
        ]

    def _is_coming(self, key: Key | None) -> bool:
        return key in self._coming and not self._coming[key].cancelled()

    def _arrived(self, key: Key, future: asyncio.Future[Ranking]) -> None:
        if self._coming.get(key) is future:
            del self._coming[key]
        if future.cancelled() or future.exception() is not None:
            return
        if key[0] == self.engine.version:
            self._remembered.keep(key, future.result())


def _explain(questions: Sequence[Question]) -> list[list[dict[str, Any]]]:
    return [
        question.engine.whys(question.items, question.person.codes, question.person.steps)
        for question in questions
    ]


def _key(engine: Engine, person: Person) -> Key | None:
    """What a ranking is remembered by; one with a choice of its own isn't."""
    filtered = person.allowed is not None or person.refused
    return None if filtered else (engine.version, person.codes, person.steps)


def _serve(jobs: Sequence[Job]) -> list[Ranking]:
    """One batch; whoever came before a new model is served by the old one."""
    results: dict[int, Ranking] = {}
    for engine in dict.fromkeys(job.engine for job in jobs):
        indices = [index for index, job in enumerate(jobs) if job.engine is engine]
        rankings = engine.rank([jobs[index].person for index in indices])
        results.update(zip(indices, rankings, strict=True))
    return [results[index] for index in range(len(jobs))]


def _outcome(engine: Engine, future: asyncio.Future[Ranking]) -> Served:
    """What came in time, or what is popular; an error is the asker's to tell."""
    if future.done() and not future.cancelled():
        return Served(future.result())
    return Served(engine.popular, fallback=True)
