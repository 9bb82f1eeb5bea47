"""Who may call what: a key in the header, and the scope that a route asks for.

Knows nothing about: what keys are, routes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from clusterseq.service.keys import Keyring
from clusterseq.service.problems import ProblemError

HEADERS = ("Authorization", "X-API-Key")
"""Where a key may stand."""
_BEARER = HTTPBearer(auto_error=False, description="An API key.")
_HEADER = APIKeyHeader(name=HEADERS[1], auto_error=False, description="The same, plainly.")


def secret_in(headers: Mapping[str, str]) -> str:
    """The key that comes with a request, whose names are in lower case; "" if there is none."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    given = credentials.strip() if scheme.lower() == "bearer" else ""
    return given or headers.get("x-api-key", "")


def needs(scope: str, keyring: Keyring) -> Any:
    """A dependency that lets nobody through without a key of that scope."""

    async def check(  # async, or every request would wait for a thread
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
        header: Annotated[str | None, Security(_HEADER)],
    ) -> None:
        secret = secret_in(request.headers)  # the two parameters are for the document alone
        if not secret:
            raise ProblemError(
                401,
                "Key needed",
                "send an API key as Authorization: Bearer KEY",
                {"WWW-Authenticate": "Bearer"},
            )
        key = keyring.find(secret)
        if key is None:
            raise ProblemError(
                401,
                "Key unknown",
                "that API key isn't one of this service; ask whoever runs it",
                {"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        if scope not in key.scopes:
            raise ProblemError(403, "Key too weak", f"that API key doesn't have the scope {scope}")

    return Security(check, scopes=[scope])  # told in the document, beside the schemes
