"""The model in use: what it is, its map, and changing it for a new one.

Knows nothing about: what models are made of.
"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from clusterseq.errors import ClusterSeqError
from clusterseq.service import messages
from clusterseq.service.context import Context
from clusterseq.service.problems import ProblemError


def router(context: Context) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1", tags=["model"])
    reading = asyncio.Lock()

    @routes.get("/model", response_model=messages.ModelAnswer, dependencies=context.needs("read"))
    async def model() -> messages.ModelAnswer:
        """The model in use, with its clusters."""
        return messages.ModelAnswer(**context.engine.card)

    @routes.get("/model/map", response_model=messages.MapAnswer, dependencies=context.needs("read"))
    async def places() -> messages.MapAnswer:
        """Popular items on the plane on which people are placed, too."""
        return messages.MapAnswer(points=context.engine.points)

    @routes.post(
        "/model:reload",
        response_model=messages.ModelAnswer,
        dependencies=context.needs("admin"),
    )
    async def reload() -> messages.ModelAnswer:
        """Read the model's directory again and serve what is there from now on.

        Whoever waits is served meanwhile. A model that can't be used is refused, and the old one
        goes on. Where several processes serve, this one answers with the new model and all are
        then replaced one after the other, each once its successor is ready.
        """
        async with reading:
            try:
                engine = await asyncio.to_thread(context.load)
            except ClusterSeqError as error:
                context.metrics.reloads.labels("refused").inc()
                reason = str(error).replace(str(context.model), "model").split("; ")[0]
                detail = f"{reason}; the model in use goes on"
                raise ProblemError(409, "Model refused", detail) from error
            context.rankings.use(engine)
            context.replace_others()
        context.metrics.reloads.labels("taken").inc()
        context.metrics.new_model()
        return messages.ModelAnswer(**engine.card)

    return routes
