"""The OpenAPI document, with what only a running service knows: its limits, and how errors look.

Knows nothing about: routes, sockets.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from clusterseq.service.limits import Limits
from clusterseq.service.problems import MEDIA_TYPE

EITHER = [
    {
        "required": ["history"],
        "properties": {"history": {"type": "array"}, "user": {"type": "null"}},
    },
    {"required": ["user"], "properties": {"user": {"type": "string"}, "history": {"type": "null"}}},
]
"""A person is told by their history or by who they are."""


def add_document(app: FastAPI, limits: Limits) -> None:
    """Have the application describe itself, limits included."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                openapi_version=app.openapi_version,
                description=app.description,
                routes=app.routes,
            )
            _tell_problems(document)
            _tell_limits(document["components"]["schemas"], limits)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _tell_problems(document: dict[str, Any]) -> None:
    """Errors come as problem details, whatever routes have been declared to answer."""
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                if status >= "400" and "content" in answer:
                    schema = {"$ref": "#/components/schemas/Problem"}
                    answer["content"] = {MEDIA_TYPE: {"schema": schema}}
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(unused, None)


def _tell_limits(schemas: dict[str, Any], limits: Limits) -> None:
    """What is refused beyond a limit isn't valid by the document either."""
    for name in ("RecommendRequest", "BatchRequest"):
        properties = schemas[name]["properties"]
        properties["k"]["maximum"] = limits.k
        for field in ("exclude", "only"):
            _bound_list(properties[field], limits.filters, limits.id_length)
    schemas["RecommendRequest"]["oneOf"] = EITHER
    _bound_list(
        schemas["RecommendRequest"]["properties"]["history"], limits.history, limits.id_length
    )
    histories = schemas["BatchRequest"]["properties"]["histories"]
    histories["maxItems"] = limits.batch
    _bound_list(histories["items"], limits.history, limits.id_length)
    schemas["Events"]["properties"]["events"]["maxItems"] = limits.events
    _bound_strings(schemas["Event"]["properties"]["item"], limits.id_length)


def _bound_list(schema: dict[str, Any], max_items: int, max_length: int) -> None:
    for choice in schema.get("anyOf", [schema]):
        if choice.get("type") == "array":
            choice["maxItems"] = max_items
            _bound_strings(choice["items"], max_length)


def _bound_strings(schema: dict[str, Any], max_length: int) -> None:
    for choice in schema.get("anyOf", [schema]):
        if choice.get("type") == "string":
            choice["maxLength"] = max_length
