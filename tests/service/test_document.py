"""Whatever the document allows is answered as it says, and what it forbids is refused in order.

Schemathesis draws requests from the OpenAPI document, valid ones and broken ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig

from tests.service.serving import serving, settings_of

EXAMPLES = 60
"""Requests drawn for each operation, of each kind."""
REFUSED = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429"]
"""What wrong data may be answered with; 413 where there is also too much of it."""
OPERATIONS = [
    *["POST /v1/recommend", "POST /v1/recommend:batch", "POST /v1/events"],
    *["GET /v1/users/{user}", "DELETE /v1/users/{user}"],
    *["GET /v1/items", "GET /v1/items/{item}/similar"],
    *["GET /v1/model", "GET /v1/model/map", "POST /v1/model:reload"],
    *["GET /healthz", "GET /readyz", "GET /metrics"],
]


@pytest.fixture(scope="module")
def openapi(model_directory: Path) -> Iterator[Any]:
    with serving(settings_of(model_directory)) as service:
        config = SchemathesisConfig.from_dict(
            {"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}}
        )
        yield schemathesis.openapi.from_url(f"{service.url}/openapi.json", config=config)


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_request_is_answered_as_the_document_says(
    openapi: Any, name: str, mode: GenerationMode
) -> None:
    method, path = name.split()
    operation = openapi[path][method]
    if mode is GenerationMode.NEGATIVE and not _takes_anything(operation.definition.raw):
        pytest.skip("there is nothing to be wrong")

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    def check(case: Any) -> None:
        case.call_and_validate()

    check()


def _takes_anything(definition: dict[str, Any]) -> bool:
    """Whether an operation has a body or parameters that could be wrong."""
    return bool(definition.get("requestBody") or definition.get("parameters"))


def test_the_document_is_of_openapi_3_1_and_complete(openapi: Any) -> None:
    raw = openapi.raw_schema
    assert raw["openapi"].startswith("3.1")
    found = []
    for path, methods in raw["paths"].items():
        for method, operation in methods.items():
            found.append(f"{method.upper()} {path}")
            assert operation["description"], f"{found[-1]} says what it does"
            assert operation["summary"]
    assert sorted(found) == sorted(OPERATIONS)
