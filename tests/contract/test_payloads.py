"""The check of payloads that all contract tests use finds each kind of difference."""

from __future__ import annotations

from typing import Any

import pytest

from socketio_core.schema.json_schema import Schema
from tests.contract.payload_check import PayloadCheck, compare
from tests.contract.support import HubHarness

POINT: Schema = {
    "type": "object",
    "properties": {"x": {"type": "integer"}, "name": {"type": "string"}},
    "required": ["x"],
}


@pytest.mark.parametrize(
    ("value", "schema", "problem"),
    [
        ({"x": 1}, POINT, None),
        ({"x": True}, POINT, "p.x: True is not of type integer"),
        ({"name": "a"}, POINT, "p.x: missing in {'name': 'a'}"),
        ({"x": 1, "z": 2}, POINT, "p.z: undeclared field with the value 2"),
        ([1, "a"], {"type": "array", "items": {"type": "integer"}}, "p[1]: 'a' is not of type"),
        ("c", {"enum": ["a", "b"]}, "p: 'c' is not in"),
        (None, {"anyOf": [{"type": "string"}, {"type": "null"}]}, None),
        (1, {"anyOf": [{"type": "string"}, {"type": "null"}]}, "p: 1 is not of type"),
        ({"x": ""}, {"$ref": "#/$defs/Point"}, "p.x: '' is not of type integer"),
        ({"a": 1}, {"type": "object", "additionalProperties": {"type": "string"}}, "p.a: 1 is not"),
    ],
)
def test_comparison_finds_the_difference(value: Any, schema: Schema, problem: str | None) -> None:
    found = list(compare(value, schema, {"Point": POINT}, "p"))
    assert (found == []) if problem is None else found[0].startswith(problem), found


async def test_payloads_of_a_client_are_checked(
    hub: HubHarness, declared_payloads: PayloadCheck
) -> None:
    client = await hub.client()
    await client.emit_with_ack("start-editing", "ticket", 7)
    assert declared_payloads.number == 1
    client._receive_event("import-started", [{"importId": 1}], None)
    assert "import-started.sessionId: missing" in declared_payloads.problems[0]
    client._receive_event("import-unknown", [], None)
    assert declared_payloads.problems.pop() == "import-unknown is not declared in /"
    declared_payloads.problems.clear()
