"""Recommendations: for one person, and for many at once.

Knows nothing about: how rankings come about.
"""

from __future__ import annotations

import time

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from clusterseq.reading.vocab import RawId
from clusterseq.service.answers import recommend
from clusterseq.service.context import Context
from clusterseq.service.messages import (
    BatchAnswer,
    BatchRequest,
    Filters,
    Recommendations,
    RecommendRequest,
)
from clusterseq.service.problems import ProblemError


def router(context: Context) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1", tags=["recommend"], dependencies=context.needs("read"))

    @routes.post("/recommend", response_model=Recommendations)
    async def recommend_one(request: RecommendRequest) -> JSONResponse:
        """Adapt to a person and rank the catalogue for them.

        Send what they touched, oldest first, or who they are, if their events were sent before.
        Somebody without history gets what suits people on the whole. Unknown items are ignored.
        """
        _bound(context, request)
        history, store_ms = await _history(context, request)
        answers = await recommend(
            context, [history], request, explain=request.explain, store_ms=store_ms
        )
        return JSONResponse(answers[0])

    @routes.post("/recommend:batch", response_model=BatchAnswer)
    async def recommend_many(request: BatchRequest) -> JSONResponse:
        """The next items for each of many histories; filters hold for all of them."""
        _bound(context, request)
        context.bound("histories", len(request.histories), context.limits.batch)
        for history in request.histories:
            context.bound_ids("history", history, context.limits.history)
        return JSONResponse({"results": await recommend(context, request.histories, request)})

    return routes


def _bound(context: Context, filters: Filters) -> None:
    limits = context.limits
    context.bound("k", filters.k, limits.k)
    context.bound_ids("exclude", filters.exclude, limits.filters)
    context.bound_ids("only", filters.only or [], limits.filters)


async def _history(context: Context, request: RecommendRequest) -> tuple[list[RawId], float]:
    """What the person touched, and the milliseconds of reading it."""
    if (request.history is None) == (request.user is None):
        raise ProblemError(422, "Whom to recommend to?", "give either history or user")
    if request.history is not None:
        context.bound_ids("history", request.history, context.limits.history)
        return list(request.history), 0.0
    started = time.perf_counter()
    events = await context.store.history(request.user or "")
    seconds = time.perf_counter() - started
    context.metrics.phases.labels("store").observe(seconds)
    return [event.item for event in events], 1000 * seconds
