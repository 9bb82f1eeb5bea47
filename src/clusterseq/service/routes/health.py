"""Whether the service lives, whether it can serve, and its numbers.

Knows nothing about: what it serves.
"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from clusterseq.service.context import Context
from clusterseq.service.messages import Health


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
        return Response(context.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return routes
