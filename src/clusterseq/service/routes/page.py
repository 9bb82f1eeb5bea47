"""The page and the documentation: plain files, each at an address of its own.

There is no catch-all, so that a wrong method on a route of the API is told as one.

Knows nothing about: what the files hold.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

FOLDER = Path(str(files("clusterseq.service") / "page"))
ADDRESSES = {"index.html": "/", "docs.html": "/docs"}
"""Of files that aren't at their own name."""


def router() -> APIRouter:
    """The routes, which ask for no key: the page asks for it."""
    routes = APIRouter(include_in_schema=False)
    for path in sorted(FOLDER.iterdir()):
        address = ADDRESSES.get(path.name, f"/{path.name}")
        routes.add_api_route(address, _sender(path))
    return routes


def _sender(path: Path) -> Callable[[], Awaitable[FileResponse]]:
    async def send() -> FileResponse:
        return FileResponse(path, headers={"Cache-Control": "no-cache"})

    return send
