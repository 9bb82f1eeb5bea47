"""From a ranking to an answer: filters, names, reasons, and what is counted.

Knows nothing about: HTTP, where rankings come from.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from clusterseq.reading.vocab import UNKNOWN, RawId
from clusterseq.service.context import Context
from clusterseq.service.engine import Engine, Person
from clusterseq.service.messages import Filters
from clusterseq.service.ranking import Ranking
from clusterseq.service.ranking_service import Served


@dataclass(frozen=True)
class Asked:
    """Somebody, in the terms of one engine."""

    person: Person
    """What they touched, and what there is to choose from."""
    touched: int
    """How often they touched something."""
    unknown: list[RawId]
    """What they touched that the model doesn't know, once each."""
    refused: set[int]
    """What may not be recommended to them."""


@dataclass(frozen=True, eq=False)
class ResolvedFilters:
    """The filters of a request in item indices, looked up once for everybody in it."""

    engine: Engine
    """Whose indices they are."""
    excluded: set[int]
    """Items never to recommend."""
    allowed: Bool[Tensor, " items"] | None
    """The items to choose from, less those; None for all."""
    k: int
    """How many items, at most the catalogue."""

    @classmethod
    def of(cls, engine: Engine, wanted: Filters) -> ResolvedFilters:
        """What a request says; unknown ids in it change nothing."""
        excluded, allowed = _known(engine, wanted.exclude), None
        if wanted.only is not None:
            allowed = torch.zeros(engine.n_items, dtype=torch.bool)
            allowed[list(_known(engine, wanted.only) - excluded)] = True
        return cls(engine, excluded, allowed, min(wanted.k, engine.n_items))

    def best(self, served: Served, refused: set[int]) -> list[tuple[int, float]] | None:
        """What is recommended of a ranking; None where it doesn't reach so far."""
        ranking = self._popular if served.fallback else served.ranking
        return ranking.best(self.k, refused)

    @cached_property
    def _popular(self) -> Ranking:
        """What is popular of all that there is to choose from."""
        popular = self.engine.popular
        return popular if self.allowed is None else popular.within(self.allowed.numpy())


async def recommend(
    context: Context,
    histories: Sequence[Sequence[RawId]],
    wanted: Filters,
    *,
    explain: bool = False,
    store_ms: float = 0.0,
) -> list[dict[str, Any]]:
    """An answer for each history, as JSON holds it.

    Raises:
        OverloadedError: too many are waiting.
    """
    started, engine = time.perf_counter(), context.engine
    filters = ResolvedFilters.of(engine, wanted)
    everybody = [_asked(engine, history, wanted, filters) for history in histories]
    answers: list[dict[str, Any]] = []
    for asked, (served, best) in zip(
        everybody, await _served(context, engine, everybody, filters), strict=True
    ):
        if answers:  # a batch takes a second, and others have a turn meanwhile
            await asyncio.sleep(0)
        known = len(asked.person.codes)
        context.metrics.served(served, known, asked.touched - known)
        if engine is context.engine:  # an answer of the model before counts for no catalogue
            context.metrics.shown([item for item, _ in best], engine.n_items)
        answer = _answer(engine, served, asked, best)
        if explain and best and not served.fallback:
            await _add_reasons(context, engine, answer, asked.person, best)
        answers.append(answer)
    total = 1000 * (time.perf_counter() - started) + store_ms
    for answer in answers:
        answer["timing_ms"] |= {"total": round(total, 3), "store": round(store_ms, 3)}
    return answers


async def _served(
    context: Context, engine: Engine, everybody: Sequence[Asked], filters: ResolvedFilters
) -> list[tuple[Served, list[tuple[int, float]]]]:
    """A ranking for each person that reaches far enough, and what is recommended of it."""
    served = await context.rankings.ask(engine, [asked.person for asked in everybody])
    best = [
        filters.best(result, asked.refused) for result, asked in zip(served, everybody, strict=True)
    ]
    short = [index for index, pairs in enumerate(best) if pairs is None]
    if short:
        deeper = [_deeper(everybody[index]) for index in short]
        for index, result in zip(short, await context.rankings.ask(engine, deeper), strict=True):
            served[index], best[index] = result, filters.best(result, everybody[index].refused)
    return [(result, pairs or []) for result, pairs in zip(served, best, strict=True)]


def _answer(
    engine: Engine,
    served: Served,
    asked: Asked,
    best: Sequence[tuple[int, float]],
) -> dict[str, Any]:
    ranking = served.ranking
    rows: list[dict[str, Any]] = [
        {"item": engine.ids[item], "title": engine.title(item), "score": round(score, 6)}
        for item, score in best
    ]
    shares = [round(share, 6) for share in ranking.shares]
    fresh = not (served.cached or served.fallback)
    return {
        "items": rows,
        "cluster": max(range(len(shares)), key=shares.__getitem__) if shares else None,
        "clusters": shares,
        "position": ranking.position,
        "ignored_items": asked.unknown,
        "recommendation_id": uuid.uuid4().hex,
        "fallback": served.fallback,
        "cached": served.cached,
        "model_version": engine.version,
        "timing_ms": {
            "adapt": round(ranking.adapt_ms, 3) if fresh else 0.0,
            "score": round(ranking.score_ms, 3) if fresh else 0.0,
        },
    }


async def _add_reasons(
    context: Context,
    engine: Engine,
    answer: dict[str, Any],
    person: Person,
    best: Sequence[tuple[int, float]],
) -> None:
    """Say why of each item, if there is time; others are answered meanwhile."""
    started = time.perf_counter()
    whys = await context.rankings.why(engine, person, [item for item, _ in best])
    for row, why in zip(answer["items"], whys, strict=False):
        row["why"] = why
    answer["timing_ms"]["explain"] = round(1000 * (time.perf_counter() - started), 3)


def _asked(
    engine: Engine, history: Sequence[RawId], wanted: Filters, filters: ResolvedFilters
) -> Asked:
    codes, unknown = engine.codes(history)
    seen = set(codes) if wanted.filter_seen else set()
    # All steps are the same as none said, and are remembered as one.
    all_steps = wanted.steps is None or wanted.steps >= engine.inner_steps
    # With a choice of its own a ranking is remembered by nobody, and may leave out what was seen.
    refused = frozenset() if filters.allowed is None else frozenset(seen)
    person = Person(codes, None if all_steps else wanted.steps, filters.allowed, refused)
    return Asked(person, len(history), unknown, filters.excluded | seen)


def _deeper(asked: Asked) -> Person:
    """The same person, with what is refused taken out before the ranking is cut."""
    return dataclasses.replace(asked.person, refused=frozenset(asked.refused))


def _known(engine: Engine, ids: Sequence[RawId]) -> set[int]:
    return set(engine.items.encode(ids).tolist()) - {UNKNOWN} if ids else set()
