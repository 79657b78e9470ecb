"""Renders the reference of the hub's events from its AsyncAPI document."""

from __future__ import annotations

from typing import Any

from json_types import Schema, describe, escape, fields_table

INTRODUCTION = """\
# Events of the hub

This reference lists each event between clients and the hub, with the types of its arguments and of
its acknowledgement. [The browser client guide](clients.md) explains when the hub sends an event,
and to which clients.

The page is generated from the annotations of the handlers. A hub serves the same document as
AsyncAPI 3.0 at `GET /api/asyncapi.json` ([download](files/asyncapi.json)). `hextrackr-server types`
writes the document, or TypeScript types.

A failed event is acknowledged with a [Refusal](#refusal). An event without an acknowledgement
reports its failure in the event `application-error`.
"""


def render(document: dict[str, Any]) -> str:
    """Return the page as Markdown."""
    lines = [INTRODUCTION]
    for key, channel in document["channels"].items():
        for action, title in (("receive", "Events from clients"), ("send", "Events from the hub")):
            operations = [
                operation
                for operation in document["operations"].values()
                if operation["action"] == action and _name(operation["channel"]) == key
            ]
            if operations:
                lines += [f"## {title} in `{channel['address']}`", ""]
                lines += _table(document, channel, operations)
    lines += ["## Types", ""]
    schemas: dict[str, Schema] = document["components"]["schemas"]
    for name in sorted(schemas, key=str.lower):
        lines += _type(name, schemas[name])
    return "\n".join(lines)


def _name(reference: dict[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _table(
    document: dict[str, Any], channel: dict[str, Any], operations: list[dict[str, Any]]
) -> list[str]:
    answers = any("reply" in operation for operation in operations)
    head = ["event", "arguments"] + (["acknowledgement"] if answers else []) + ["description"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]

    def message(reference: dict[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = channel["messages"][_name(reference)]
        if "$ref" in found:
            found = document["components"]["messages"][_name(found)]
        return found

    for operation in operations:
        event = message(operation["messages"][0])
        cells = [f"`{event['name']}`", _arguments(event)]
        if answers:
            replies = operation.get("reply", {}).get("messages", ())
            texts = [
                describe(message(each)["payload"], _link)
                for each in replies
                if _name(each) != "refusal"
            ]
            cells.append(" or ".join(texts) or "none")
        cells.append(event.get("summary") or event.get("description") or "")
        lines.append(f"| {' | '.join(escape(cell) for cell in cells)} |")
    return [*lines, ""]


def _arguments(event: dict[str, Any]) -> str:
    """Return the arguments with their types; the name of an optional one ends with `?`."""
    names = event.get("x-arguments", [])
    if not names:
        return "none"
    payload, required = event["payload"], len(names)
    # The payload is the argument itself if there is exactly one, otherwise a tuple.
    parts = payload.get("items")
    if isinstance(parts, list) and len(parts) == len(names):
        required = payload.get("minItems", required)
    else:
        parts = [payload]
    return ", ".join(
        f"`{name}{'' if index < required else '?'}`: {describe(part, _link)}"
        for index, (name, part) in enumerate(zip(names, parts, strict=True))
    )


def _type(name: str, schema: Schema) -> list[str]:
    lines = [f"### {name}", ""]
    if text := schema.get("description"):
        lines += [text, ""]
    if schema.get("properties"):
        lines += fields_table(schema, _link)
    else:
        lines.append(describe(schema, _link))
    return [*lines, ""]
