"""Errors as problem details (RFC 9457): one JSON object that says what was wrong and what to do.

No message holds a path of this machine or a line of its code.

Knows nothing about: routes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from clusterseq.service.batcher import OverloadedError
from clusterseq.service.store.protocol import StoreError

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1
KIND = "<"
"""What the names of kinds of a body begin with, which are nobody's fields."""


class Problem(BaseModel):
    """What every error looks like."""

    type: str = Field("about:blank", description="Names the kind of problem.")
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What was wrong this time, and what to do about it.")


class ProblemError(HTTPException):
    """An error that a route raises on purpose."""

    def __init__(
        self, status: int, title: str, detail: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, headers)
        self.title = title


def add_problems(app: FastAPI) -> None:
    """Have all errors of an application told as problems."""
    app.exception_handler(HTTPException)(_foreseen)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(OverloadedError)(_overloaded)
    app.exception_handler(StoreError)(_store_down)
    app.exception_handler(Exception)(_unforeseen)


def respond(
    status: int, title: str, detail: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """A problem as an answer."""
    body = Problem(title=title, status=status, detail=detail).model_dump()  # type: ignore[call-arg]
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


async def _foreseen(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException), "registered for these alone"
    title = getattr(error, "title", None) or _TITLES.get(error.status_code, "Request refused")
    detail = error.detail if isinstance(error, ProblemError) else _WHAT.get(error.status_code)
    headers = dict(error.headers) if error.headers else None
    return respond(error.status_code, title, detail or str(error.detail), headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError), "registered for these alone"
    if any(entry["type"] == "json_invalid" for entry in error.errors()):
        return respond(400, _TITLES[400], _WHAT[400])
    complaints = [_complaint(entry) for entry in error.errors()[:5]]
    kind = request.headers.get("content-type", "")
    if "json" not in kind.lower() and any(_is_whole(entry["loc"]) for entry in error.errors()):
        reason = f"its content type is {kind[:100]!r}" if kind else "it has no content type"
        complaints = [f"body: {reason}; send JSON with the header Content-Type: application/json"]
    return respond(422, "Request not understood", "; ".join(complaints))


def _named(location: Sequence[str | int]) -> list[str | int]:
    """The parts of a location that somebody has sent, without our own names of kinds of bodies."""
    return [part for part in location if part != "body" and not str(part).startswith(KIND)]


def _is_whole(location: Sequence[str | int]) -> bool:
    return bool(location) and location[0] == "body" and not _named(location)


def _complaint(error: Any) -> str:
    """Where in the request, and what is the matter."""
    location = ".".join(map(str, _named(error["loc"]))) or "body"
    shown = location[:200].encode("utf-8", "backslashreplace").decode()  # half a character, perhaps
    return f"{shown}: {error['msg']}"


async def _overloaded(request: Request, error: Exception) -> JSONResponse:
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return respond(503, "Overloaded", f"{error}; ask again in a moment", headers)


async def _store_down(request: Request, error: Exception) -> JSONResponse:
    headers = {"Retry-After": str(RETRY_SECONDS)}
    detail = f"{error}; histories given with the request are served all the same"
    return respond(503, "History store out of reach", detail, headers)


async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    detail = "this is a mistake of the service; its log tells more under the request id"
    return respond(500, "Internal error", detail)


_TITLES = {400: "Not JSON", 404: "Not found", 405: "Method not allowed", 413: "Too large"}
_WHAT = {
    400: "the body can't be read as JSON in UTF-8; send an object as /docs shows it",
    404: "there is nothing here; /docs lists what there is",
    405: "this address doesn't take that method; /docs lists which it takes",
}
