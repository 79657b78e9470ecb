"""The generated references of the hub's events and HTTP routes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from hextrackr_server.cli.types import hub_asyncapi
from hextrackr_server.http.openapi import OPERATIONS, create_document

SITE = Path(__file__).parents[2] / "scripts" / "site"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the modules of the site importable, as MkDocs does for its hooks."""
    monkeypatch.setattr(sys, "path", [str(SITE), *sys.path])


@pytest.fixture(scope="module")
def asyncapi() -> dict[str, Any]:
    return hub_asyncapi()


def test_events_page_lists_every_event_and_type(asyncapi: dict[str, Any]) -> None:
    from events_page import render  # type: ignore[import-not-found]

    lines = render(asyncapi).splitlines()
    for channel in asyncapi["channels"].values():
        assert any(line.endswith(f" in `{channel['address']}`") for line in lines)
    names = [each["name"] for each in asyncapi["components"]["messages"].values()]
    for name in names:
        if not name.startswith("ack of ") and name != "refusal":
            assert any(line.startswith(f"| `{name}` |") for line in lines), name
    for name in asyncapi["components"]["schemas"]:
        assert f"### {name}" in lines


def test_events_page_marks_optional_arguments(asyncapi: dict[str, Any]) -> None:
    from events_page import render

    (line,) = [
        line for line in render(asyncapi).splitlines() if line.startswith("| `get-vulnerability-")
    ]
    assert "| `filters?`: [FindingFilters](#findingfilters) or " in line


def test_http_page_lists_every_operation_with_its_login() -> None:
    from http_page import OTHERS, render  # type: ignore[import-not-found]

    text = render(create_document())
    for operation in OPERATIONS:
        path = operation.path.replace("{", "&#123;").replace("}", "&#125;")
        section = text.partition(f"### {operation.method} {path}\n")[2].partition("\n### ")[0]
        assert operation.summary in section, path
        assert ("Login: none" in section) == (not operation.access), path
    assert f"## {OTHERS}\n" not in text, "add the path to a group of scripts/site/http_page.py"


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "integer", "minimum": 1}, "integer (at least 1)"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Task"}}, "list of Task"),
        ({"type": "array", "items": [{"type": "string"}, {}]}, "(string, any value)"),
        ({"enum": ["a", "b"]}, '`"a"` or `"b"`'),
        ({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"]},
         "object with `a`, `b?`"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "object of string"),
    ],
)  # fmt: skip
def test_schema_has_a_short_description(schema: dict[str, Any], text: str) -> None:
    from json_types import describe  # type: ignore[import-not-found]

    assert describe(schema, lambda name: name) == text


def test_links_to_files_become_links_to_pages() -> None:
    from repository import point_links_to_pages  # type: ignore[import-not-found]

    text = (
        "[a.md](../ARCHITECTURE.md#layers) [x](rooms.md) [code](../tests/conftest.py) "
        "[site](https://example.org) [../SECURITY.md](../SECURITY.md)\n"
        "```text\n[x](../ARCHITECTURE.md)\n```\n"
    )
    assert point_links_to_pages(text, "docs/index.md", "index.md") == (
        "[a.md](architecture.md#layers) [x](rooms.md) code "
        "[site](https://example.org) [Security](report-a-vulnerability.md)\n"
        "```text\n[x](../ARCHITECTURE.md)\n```\n"
    )
