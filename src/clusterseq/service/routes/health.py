"""Whether the service lives, whether it can serve, and its numbers.

Knows nothing about: what it serves.
"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from clusterseq.service.context import Context
from clusterseq.service.messages import Health
from clusterseq.service.problems import ProblemError

NUMBERS_GONE = (
    "somebody has cleared away the temporary folder in which the processes of this service count; "
    "send it SIGHUP, so that they begin anew, and name a folder that is left alone by TMPDIR"
)


def router(context: Context) -> APIRouter:
    """The routes, which ask for no key: balancers and Prometheus have none."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz", response_model=Health)
    async def healthz() -> JSONResponse:
        """Whether the process lives."""
        return JSONResponse({"status": "alive", "model_version": context.engine.version})

    @routes.get("/readyz", response_model=Health)
    async def readyz() -> JSONResponse:
        """Whether it can serve: a model is loaded and the store answers."""
        await context.store.ping()
        return JSONResponse({"status": "ready", "model_version": context.engine.version})

    @routes.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Numbers for Prometheus."""
        text = context.metrics.text()
        if text is None:
            raise ProblemError(503, "Numbers gone", NUMBERS_GONE)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return routes
