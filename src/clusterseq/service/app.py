"""The application: routes, page, errors, and what surrounds every request, put together.

Knows nothing about: sockets, processes, the command line.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from clusterseq import __version__
from clusterseq.service.access import HEADERS
from clusterseq.service.admission import Admission
from clusterseq.service.context import Context
from clusterseq.service.document import add_document
from clusterseq.service.local import LocalOnly
from clusterseq.service.logs import LOG
from clusterseq.service.middleware import REQUEST_ID, RequestMiddleware
from clusterseq.service.problems import Problem, add_problems
from clusterseq.service.routes import events, health, items, model, page, recommend, users
from clusterseq.service.store.protocol import StoreError

PURGE_SECONDS = 3_600
ABOUT = """Recommends the next item to people the model has never seen, from the first few things \
they touch. Errors are problem details (RFC 9457)."""


def create_app(
    context: Context, *, origins: tuple[str, ...] = (), local_only: bool = False
) -> FastAPI:
    """The application of one service; other ``origins`` may call it from a browser.

    ``local_only`` refuses what comes under another name than this machine's, or by a page of
    another site.
    """

    @asynccontextmanager
    async def serving(app: FastAPI) -> AsyncIterator[None]:
        context.rankings.start()
        purging = asyncio.create_task(_purge(context))
        yield
        purging.cancel()
        await context.rankings.stop()
        await context.store.close()
        context.metrics.close()

    app = FastAPI(
        title="clusterseq",
        version=__version__,
        description=ABOUT,
        lifespan=serving,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: str(route.name),  # that of the function
        responses={
            status: {"model": Problem, "description": what} for status, what in PROBLEMS.items()
        },
    )
    app.state.context = context
    add_problems(app)
    for kind in (recommend, events, users, items, model, health):
        app.include_router(kind.router(context))
    app.include_router(page.router())
    add_document(app, context.limits)
    context.metrics.watch(lambda: len(context.rankings.batcher))
    _surround(app, context, origins, local_only=local_only)
    return app


def _surround(
    app: FastAPI, context: Context, origins: tuple[str, ...], *, local_only: bool
) -> None:
    """Put around the routes what every request goes through; what is added last sees it first.

    So what isn't let in is logged and counted, too, and pages of other origins may read why.
    """
    keyring = context.keyring
    app.add_middleware(Admission, body_bytes=context.limits.body_bytes, keyring=keyring)
    if local_only:
        app.add_middleware(LocalOnly, origins=origins)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["*"],
            allow_headers=[*HEADERS, "Content-Type", REQUEST_ID],
            expose_headers=[REQUEST_ID, "Retry-After"],
        )
    app.add_middleware(RequestMiddleware, metrics=context.metrics)


async def _purge(context: Context) -> None:
    """Now and then, forget who has been away for too long."""
    while True:
        try:
            await context.store.purge()
        except StoreError as error:  # it will be tried again, and requests tell of it meanwhile
            LOG.warning("purging failed: %s", error)
        except Exception:  # a store from elsewhere may raise anything
            LOG.exception("purging failed")
        await asyncio.sleep(PURGE_SECONDS)


PROBLEMS = {
    400: "The body isn't JSON in UTF-8.",
    401: "A key is needed.",
    403: "The key doesn't open this; or, without keys, it came from elsewhere.",
    404: "There is no such thing.",
    409: "The model was refused.",
    413: "The body is too large.",
    422: "Something in the request can't be used.",
    503: "Too many are waiting, or the store is out of reach.",
}
