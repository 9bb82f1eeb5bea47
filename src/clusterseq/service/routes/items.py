"""The catalogue: to search, and what is like what.

Knows nothing about: people.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query

from clusterseq.reading.vocab import UNKNOWN
from clusterseq.service import messages
from clusterseq.service.context import Context
from clusterseq.service.path_ids import id_of
from clusterseq.service.problems import ProblemError

Most = Annotated[int, Query(ge=1, le=100, description="How many.")]
ItemPath = Annotated[str, Path(min_length=1, max_length=1_000, description="The item's id.")]


def router(context: Context) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1/items", tags=["items"], dependencies=context.needs("read"))

    @routes.get("", response_model=messages.ItemsAnswer)
    async def search(
        query: Annotated[str, Query(max_length=200, description="Part of a title or id.")] = "",
        limit: Most = 20,
    ) -> messages.ItemsAnswer:
        """Items whose title or id holds the words, the most popular first; all without words."""
        rows, total = await asyncio.to_thread(context.engine.item_search.search, query, limit)
        return messages.ItemsAnswer(items=[messages.ListedItem(**row) for row in rows], total=total)

    @routes.get(f"/{id_of('item')}/similar", response_model=messages.SimilarAnswer)
    async def similar(item: ItemPath, k: Most = 10) -> messages.SimilarAnswer:
        """The items nearest to one, whoever asks."""
        engine = context.engine
        code = int(engine.items.encode([item])[0])
        if code == UNKNOWN:
            raise ProblemError(404, "Item unknown", "the model doesn't know that item")
        neighbours = await asyncio.to_thread(engine.similar, code, k)
        return messages.SimilarAnswer(
            items=[messages.Similar(**neighbour) for neighbour in neighbours]
        )

    return routes
