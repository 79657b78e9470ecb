"""Describes JSON schemas in short Markdown text, for tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]
#: Returns the link to the description of a named schema.
LinkTo = Callable[[str], str]


def describe(schema: Schema, link: LinkTo) -> str:
    """Return the type of a schema as Markdown for a table cell."""
    if "$ref" in schema:
        return link(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(describe(part, link) for part in schema[key]))
    return _describe_kind(schema, link) + _limits(schema)


def _describe_kind(schema: Schema, link: LinkTo) -> str:
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items")
        if isinstance(items, list):  # a tuple, in the schemas of AsyncAPI (draft 7)
            return f"({', '.join(describe(item, link) for item in items)})"
        return f"list of {describe(items, link)}" if items else "list"
    if kind == "object":
        return _describe_object(schema, link)
    if isinstance(kind, list):
        return " or ".join(kind)
    return schema.get("format") or kind or "any value"


def _describe_object(schema: Schema, link: LinkTo) -> str:
    if properties := schema.get("properties"):
        required = schema.get("required", ())
        names = [name if name in required else f"{name}?" for name in properties]
        return f"object with `{'`, `'.join(names)}`"
    values = schema.get("additionalProperties")
    return f"object of {describe(values, link)}" if values else "object"


_LIMITS = {
    "minimum": "at least {}", "maximum": "at most {}", "minLength": "at least {} characters",
    "maxLength": "at most {} characters", "minItems": "at least {} items",
    "maxItems": "at most {} items", "pattern": "pattern `{}`",
}  # fmt: skip


def _limits(schema: Schema) -> str:
    texts = [text.format(schema[name]) for name, text in _LIMITS.items() if name in schema]
    return f" ({', '.join(texts)})" if texts else ""


def fields_table(schema: Schema, link: LinkTo) -> list[str]:
    """Return the table of the fields of an object, one line per item of the list."""
    lines = ["| field | type | required or default |", "|---|---|---|"]
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        if name in required:
            presence = "required"
        elif field.get("default") is not None:
            presence = f"`{json.dumps(field['default'])}`"
        else:
            presence = "optional"
        text = describe(field, link)
        if note := field.get("description"):
            text += f": {note}"
        lines.append(f"| `{name}` | {escape(text)} | {presence} |")
    return lines


def escape(text: str) -> str:
    """Return text for a cell of a table: one line, in which a bar does not end the cell."""
    return " ".join(text.split()).replace("|", "\\|")
