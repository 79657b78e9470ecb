"""The OpenAPI document agrees with the routes and their answers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from starlette.routing import Route

from hextrackr_server.config.producers import IngestToken
from hextrackr_server.http.openapi import OPERATIONS, Operation, create_document
from tests.contract.support import HubHarness

SECRET = b"p" * 32
PRODUCER = IngestToken("scanner", frozenset({"progress", "notify", "broadcast", "admin"}), SECRET)


def routes_of(hub: HubHarness) -> set[tuple[str, str]]:
    """Return method and path of all routes, with path parameters in the form of OpenAPI."""
    return {
        (method.lower(), re.sub(r":\w+}", "}", route.path))
        for route in hub.application.http_app.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }


async def test_document_contains_exactly_the_routes_of_the_application(hub: HubHarness) -> None:
    response = await hub.request("GET", "/api/openapi.json")
    assert response.status == 200
    document = response.json()
    listed = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert listed == routes_of(hub)
    assert document["openapi"] == "3.1.0"


async def test_events_are_described_in_an_asyncapi_document(hub: HubHarness) -> None:
    response = await hub.request("GET", "/api/asyncapi.json")
    assert (response.status, response.headers["content-type"]) == (200, "application/json")
    document = response.json()
    assert document["info"]["title"] == "HexTrackr hub"
    assert document["operations"]["receive-main-start-import"]["reply"]
    assert (await hub.request("GET", "/api/asyncapi.json")).body == response.body


def test_document_defines_all_names_that_it_uses() -> None:
    document = create_document()
    schemes = document["components"]["securitySchemes"]
    for methods in document["paths"].values():
        for operation in methods.values():
            assert {name for each in operation["security"] for name in each} <= set(schemes)
    assert set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document))) == {
        "#/components/schemas/Error"
    }


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.access], ids=lambda each: each.path
)
async def test_operation_refuses_a_request_without_proof(
    hub: HubHarness, operation: Operation
) -> None:
    path = re.sub(r"{\w+}", "1", operation.path)
    response = await hub.request(operation.method, path, {"content-type": "text/csv"}, b"{}")
    assert response.status == 401, response.body


async def test_ingest_reports_name_the_required_fields_of_the_document(tmp_path: Path) -> None:
    """An empty report is refused for fields that the document requires, and for no other."""
    reports = [each for each in OPERATIONS if "producer" in each.access and each.required]
    async with HubHarness(tmp_path, ingest_tokens=(PRODUCER,)) as hub:
        headers = {"authorization": f"Bearer {SECRET.decode()}"}
        for report in reports:
            path = re.sub(r"{\w+}", "1", report.path)
            response = await hub.request(report.method, path, headers, b"{}")
            answer = response.json()
            assert response.status in {400, 404}, (path, answer)
            if response.status == 400:
                assert {each["path"] for each in answer["fields"]} <= set(report.required), path
