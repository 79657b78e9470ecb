"""Renders the reference of the hub's HTTP routes from its OpenAPI document."""

from __future__ import annotations

import json
from typing import Any

from json_types import describe, escape, fields_table

INTRODUCTION = """\
# HTTP routes of the hub

This reference lists each HTTP route of the hub, with its login, its parameters and its body.
[imports.md](imports.md) explains imports, and [producers.md](producers.md) the reports of
producers.

The page is generated from the OpenAPI 3.1 document that a hub serves at `GET /api/openapi.json`
([download](files/openapi.json)). A test compares the document with the routes of the application.

A refused request is answered with `{ "success": false, "error": ..., "code": ... }`.
"""
GROUPS = (
    ("Pages and documents", ("/assets", "/playground", "/api/openapi", "/api/asyncapi")),
    ("Health and session", ("/health", "/ready", "/api/session")),
    ("Metrics", ("/metrics", "/socket-metrics")),
    ("Imports", ("/api/imports", "/api/import/", "/api/vulnerabilities/")),
    ("Findings", ("/api/findings",)),
    ("Known-exploited vulnerabilities", ("/api/kev",)),
    ("Backup", ("/api/backup",)),
    ("Reports of producers", ("/ingest/",)),
)  # fmt: skip
OTHERS = "Other routes"
LOGINS = {
    "token": "token of a user", "session": "session cookie", "producer": "token of a producer",
    "signature": "signature of a producer", "metrics": "metrics token",
}  # fmt: skip


def render(document: dict[str, Any]) -> str:
    """Return the page as Markdown."""
    groups: dict[str, list[str]] = {title: [] for title, _ in GROUPS} | {OTHERS: []}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups[_group(path)] += _operation(method.upper(), path, operation)
    lines = [INTRODUCTION]
    for title, parts in groups.items():
        if parts:
            lines += [f"## {title}", "", *parts]
    lines += ["## Logins", "", "| login | sent as |", "|---|---|"]
    for name, scheme in document["components"]["securitySchemes"].items():
        lines.append(f"| {LOGINS.get(name, name)} | {escape(_sent_as(scheme))} |")
    return "\n".join(lines) + "\n"


def _group(path: str) -> str:
    for title, prefixes in GROUPS:
        if path.startswith(prefixes) or (path == "/" and title.startswith("Pages")):
            return title
    return OTHERS


def _no_link(name: str) -> str:
    return name


def _sent_as(scheme: dict[str, Any]) -> str:
    if scheme["type"] == "http":
        place = "`Authorization: Bearer ...`"
    else:
        place = f"{scheme['in']} `{scheme['name']}`"
    note = scheme.get("description")
    return f"{place}: {note}" if note else place


def _operation(method: str, path: str, operation: dict[str, Any]) -> list[str]:
    lines = [f"### {method} {path.replace('{', '&#123;').replace('}', '&#125;')}", ""]
    logins = [LOGINS.get(name, name) for each in operation.get("security", ()) for name in each]
    success = next(status for status in operation["responses"] if status != "default")
    content = operation["responses"][success].get("content", {})
    login = " or ".join(logins) or "none"
    kinds = " or ".join(f"`{kind}`" for kind in content)
    lines += [
        f"{operation['summary']}.",
        "",
        f"- Login: {login}",
        f"- Success: {success}{f', {kinds}' if kinds else ''}",
        "",
    ]
    query = [each for each in operation.get("parameters", ()) if each["in"] == "query"]
    if query:
        lines += ["| query parameter | type |", "|---|---|"]
        lines += [f"| `{each['name']}` | {escape(_with_note(each['schema']))} |" for each in query]
        lines.append("")
    for kind, media in operation.get("requestBody", {}).get("content", {}).items():
        schema = media.get("schema", {})
        if schema.get("properties"):
            lines += [f"Body, `{kind}`:", "", *fields_table(schema, _no_link), ""]
        else:
            lines += [f"Body, `{kind}`: {json_or_file(kind)}.", ""]
    return lines


def _with_note(schema: dict[str, Any]) -> str:
    note = schema.get("description")
    return describe(schema, _no_link) + (f": {note}" if note else "")


def json_or_file(kind: str) -> str:
    """Return the content of a body without fields."""
    return "an object" if kind == "application/json" else "the file"


def dump(document: dict[str, Any]) -> str:
    """Return a document as JSON text for a download."""
    return json.dumps(document, indent=2) + "\n"
