"""From a ranking to an answer: filters, names, reasons, and what is counted.

Knows nothing about: HTTP, where rankings come from.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

import torch

from clusterseq.service.context import Context
from clusterseq.service.desk import Served
from clusterseq.service.engine import Codes, Engine, Person
from clusterseq.service.messages import Filters
from clusterseq.vocab import UNKNOWN, RawId


async def recommend(
    context: Context, histories: Sequence[Sequence[RawId]], wanted: Filters, store_ms: float = 0.0
) -> list[dict[str, Any]]:
    """An answer for each history, as JSON holds it.

    Raises:
        OverloadedError: too many are waiting.
    """
    begun, engine = time.perf_counter(), context.engine
    read = [engine.codes(history) for history in histories]
    refused = [_refused(engine, codes, wanted) for codes, _ in read]
    people = [
        Person(codes, _steps(engine, wanted), _allowed(engine, wanted, bad))
        for (codes, _), bad in zip(read, refused, strict=True)
    ]
    served = await _reaching(context, people, refused, wanted.k)
    answers = []
    for one, (codes, unknown), bad in zip(served, read, refused, strict=True):
        context.metrics.served(one, len(codes), len(unknown))
        answers.append(_answer(context, one, codes, unknown, bad, wanted))
    total = 1000 * (time.perf_counter() - begun) + store_ms
    for answer in answers:
        answer["timing_ms"] |= {"total": round(total, 3), "store": round(store_ms, 3)}
    return answers


async def _reaching(
    context: Context, people: Sequence[Person], refused: Sequence[set[int]], k: int
) -> list[Served]:
    """Rankings that reach far enough after all that is refused."""
    served = await context.desk.ask(people)
    short = [
        place
        for place, one in enumerate(served)
        if one.ranking.best(min(k, context.engine.n_items), refused[place]) is None
    ]
    if not short:
        return served
    deeper = [
        Person(people[place].codes, people[place].steps, _without(context.engine, refused[place]))
        for place in short
    ]
    for place, one in zip(short, await context.desk.ask(deeper), strict=True):
        served[place] = one
    return served


def _answer(
    context: Context,
    served: Served,
    codes: Codes,
    unknown: list[RawId],
    refused: set[int],
    wanted: Filters,
) -> dict[str, Any]:
    engine, ranking = served.engine, served.ranking
    best = ranking.best(min(wanted.k, engine.n_items), refused) or []
    if served.fallback and wanted.only is not None:
        chosen = set(engine.items.encode(wanted.only).tolist()) - refused
        pairs = zip(ranking.items.tolist(), ranking.scores.tolist(), strict=True)
        best = [(item, score) for item, score in pairs if item in chosen][: wanted.k]
    items = [item for item, _ in best]
    context.metrics.shown(items, engine.n_items)
    rows: list[dict[str, Any]] = [
        {"item": engine.ids[item], "title": engine.title(item), "score": round(score, 6)}
        for item, score in best
    ]
    if wanted.explain and items and codes:
        for row, why in zip(rows, engine.nearest(items, codes), strict=True):
            row["why"] = why
    shares = [round(share, 6) for share in ranking.shares]
    fresh = not (served.cached or served.fallback)
    return {
        "items": rows,
        "cluster": max(range(len(shares)), key=shares.__getitem__) if shares else None,
        "clusters": shares,
        "position": ranking.position,
        "ignored_items": unknown,
        "recommendation_id": uuid.uuid4().hex,
        "fallback": served.fallback,
        "cached": served.cached,
        "model_version": engine.version,
        "timing_ms": {
            "adapt": round(ranking.adapt_ms, 3) if fresh else 0.0,
            "score": round(ranking.score_ms, 3) if fresh else 0.0,
        },
    }


def _steps(engine: Engine, wanted: Filters) -> int | None:
    """All steps are the same as none said, and are remembered as one."""
    return None if wanted.steps is None or wanted.steps >= engine.max_steps else wanted.steps


def _refused(engine: Engine, codes: Codes, wanted: Filters) -> set[int]:
    """What may not be recommended."""
    refused: set[int] = set()
    if wanted.exclude:
        refused = set(engine.items.encode(wanted.exclude).tolist()) - {UNKNOWN}
    return refused | set(codes) if wanted.filter_seen else refused


def _allowed(engine: Engine, wanted: Filters, refused: set[int]) -> torch.Tensor | None:
    """The items to choose from, where there is a choice."""
    if wanted.only is None:
        return None
    chosen = set(engine.items.encode(wanted.only).tolist()) - refused - {UNKNOWN}
    mask = torch.zeros(engine.n_items, dtype=torch.bool)
    mask[list(chosen)] = True
    return mask


def _without(engine: Engine, refused: set[int]) -> torch.Tensor:
    mask = torch.ones(engine.n_items, dtype=torch.bool)
    mask[list(refused)] = False
    return mask
