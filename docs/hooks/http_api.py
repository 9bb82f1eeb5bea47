"""The reference of the service, written anew from the application's own OpenAPI document.

The application is the real one around a model of two items, which is enough to be described.

Knows nothing about: what the routes do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from clusterseq import __version__
from clusterseq.config import Config, ModelConfig
from clusterseq.learning.checkpoint import Checkpoint
from clusterseq.learning.provenance import Provenance
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.reading.vocab import Vocabulary
from clusterseq.service.app import PROBLEMS, create_app
from clusterseq.service.async_store import AsyncStore
from clusterseq.service.context import Context
from clusterseq.service.engine import Engine
from clusterseq.service.keys import SCOPES, Key, Keyring
from clusterseq.service.limits import Limits
from clusterseq.service.metrics import Metrics
from clusterseq.service.ranking_service import RankingService
from clusterseq.service.store import open_store
from clusterseq.service.store.protocol import Retention

PAGE, DOCUMENT = "reference/http.md", "reference/openapi.json"
HEAD = f"""# HTTP

Made from the application's own OpenAPI 3.1 document, [openapi.json](openapi.json), which programs
that write clients read. A running service of version {__version__} shows the same at `/docs` and
`/openapi.json`. [The service](../service.md) says how it behaves. A request with an unknown field
is refused.

Where the service [asks for keys](../service.md#who-may-call), one travels as `Authorization: Bearer
KEY` or as `X-API-Key: KEY`, and each address says which scope it needs. Where it doesn't, its own
document names none.
"""
NOWHERE_DECLARED = {405: "The address doesn't take that method.", 431: "The head is too large."}
"""Problems that belong to no address of the document."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page and the document."""
    app = application()
    document = app.openapi()
    files.append(File.generated(config, PAGE, content=page(document, app.state.context.metrics)))
    files.append(File.generated(config, DOCUMENT, content=json.dumps(document, indent=1)))
    return files


def application() -> FastAPI:
    """A service of an untrained model, with the limits that one has by default."""
    options = {"n_items": 2, "dim": 2, "members": 1, "anchors": 2, "smoothing": 0.0}
    config = ModelConfig(**options, clustering=False, memory=False)  # type: ignore[arg-type]
    checkpoint = Checkpoint(
        model=ClusterSeq(config),
        config=Config(model=config),
        items=Vocabulary.from_ids(["bread", "milk"]),
        item_counts=np.array([1, 1]),
        provenance=Provenance("none", 0, None, "", 1.0, 1, 2),
    )
    engine = Engine(checkpoint, "none")
    limits = Limits()
    store = AsyncStore(open_store("memory:", Retention()), limits.store_seconds)
    asking = Keyring([Key("anybody", "", SCOPES)])  # so that it says what needs a key
    return create_app(Context(RankingService(engine, limits), store, Path(), keyring=asking))


def page(document: dict[str, Any], metrics: Metrics) -> str:
    """The whole page."""
    schemas = document["components"]["schemas"]
    parts = [HEAD, _problems(), "## Addresses", *_operations(document["paths"])]
    parts += ["## Shapes", *(_schema(name, schemas[name]) for name in sorted(schemas))]
    told = "What `/metrics` tells, in Prometheus' format."
    parts += ["## Numbers", told, numbers(metrics)]
    return "\n\n".join(parts) + "\n"


def _problems() -> str:
    problems = sorted({**PROBLEMS, **NOWHERE_DECLARED}.items())
    rows = "\n".join(f"| {status} | {what} |" for status, what in problems)
    told = "Every address may answer with a [problem](#problem) (RFC 9457) instead:"
    return f"{told}\n\n| status | |\n|---|---|\n{rows}"


def _operations(paths: dict[str, Any]) -> Iterator[str]:
    for address, methods in paths.items():
        for method, operation in methods.items():
            yield f"### `{method.upper()} {address}` {{ #{operation['operationId']} }}"
            yield str(operation.get("description") or operation["summary"])
            parameters = operation.get("parameters", [])
            if parameters:
                rows = "\n".join(
                    f"| `{each['name']}` | {each['in']} | {_type(each['schema'])} "
                    f"| {each.get('description') or each['schema'].get('description', '')} |"
                    for each in parameters
                )
                yield f"| parameter | in | type | |\n|---|---|---|---|\n{rows}"
            yield "\n".join(_bodies(operation))


def _bodies(operation: dict[str, Any]) -> Iterator[str]:
    ways = operation.get("security", [])
    for scope in {scope: None for way in ways for scopes in way.values() for scope in scopes}:
        yield f"- needs a key of the scope `{scope}`"
    if "requestBody" in operation:
        yield f"- takes {_content(operation['requestBody'])}"
    for status, answer in operation["responses"].items():
        if int(status) not in PROBLEMS:
            yield f"- {status}: {_content(answer) or answer['description']}"


def _content(body: dict[str, Any]) -> str:
    found = [each["schema"] for each in body.get("content", {}).values() if each.get("schema")]
    return ", ".join(_type(each) for each in found)


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    rows = "\n".join(
        f"| `{field}` | {_type(each)} | {_default(field, each, required)} "
        f"| {each.get('description', '')} |"
        for field, each in schema.get("properties", {}).items()
    )
    about = schema.get("description", "")
    return f"### {name}\n\n{about}\n\n| field | type | default | |\n|---|---|---|---|\n{rows}"


def _default(field: str, schema: dict[str, Any], required: list[str]) -> str:
    if field in required:
        return "required"
    return f"`{json.dumps(schema['default'])}`" if "default" in schema else ""


def _type(schema: dict[str, Any]) -> str:
    """A type in words, with what bounds it."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if choices := schema.get("anyOf", schema.get("oneOf")):
        return " or ".join(_type(each) for each in choices)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}{_bounds(schema)}"
    return f"{schema.get('type', 'anything')}{_bounds(schema)}"


BOUNDS = {
    **{"minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">", "exclusiveMaximum": "<"},
    **{"minItems": "at least", "maxItems": "at most"},
    **{"minLength": "characters ≥", "maxLength": "characters ≤"},
}


def _bounds(schema: dict[str, Any]) -> str:
    found = [f"{words} {schema[name]:,.0f}" for name, words in BOUNDS.items() if name in schema]
    return f" ({', '.join(found)})" if found else ""


def numbers(metrics: Metrics) -> str:
    """The table of what is counted."""
    rows = [
        f"| `{_full_name(kind)}` | {kind.type} | {', '.join(f'`{x}`' for x in kind_labels)} "
        f"| {kind.documentation} |"
        for kind, kind_labels in _described(metrics)
    ]
    return "\n".join(["| name | kind | labels | |", "|---|---|---|---|", *rows])


def _described(metrics: Metrics) -> Iterator[tuple[Any, tuple[str, ...]]]:
    collectors = [one for one in vars(metrics).values() if hasattr(one, "describe")]
    for one in collectors:
        for kind in one.describe():
            yield kind, tuple(one._labelnames)


def _full_name(kind: Any) -> str:
    return f"{kind.name}_total" if kind.type == "counter" else str(kind.name)
