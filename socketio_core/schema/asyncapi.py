"""The AsyncAPI 3.0 document of a server (https://www.asyncapi.com/docs/reference/specification).

A namespace is a channel, an event a message, and its ack the reply. The payload of an event with
one argument is the argument; that of other events is the array of the arguments. Schemas are
those of JSON Schema draft 7, as AsyncAPI requires.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

from socketio_core.schema.contract import Contract, Event, NamespaceEvents
from socketio_core.schema.json_schema import Schema, Schemas

VERSION: Final = "3.0.0"
_PREFIX: Final = "#/components/schemas/"
_SUBSCHEMAS: Final = frozenset(
    {"additionalItems", "additionalProperties", "contains", "items", "not", "propertyNames"}
)
_NOT_IN_KEYS: Final = re.compile(r"[^A-Za-z0-9_]+")


def create_document(
    contract: Contract, title: str, version: str, description: str | None, url: str | None
) -> dict[str, Any]:
    """Return the document of a contract; `url` is the address of the server, if it has one."""
    writer = _Writer(contract)
    for namespace in contract.namespaces:
        writer.add(namespace)
    info = {"title": title, "version": version}
    document: dict[str, Any] = {
        "asyncapi": VERSION,
        "info": info | ({} if description is None else {"description": description}),
        "defaultContentType": "application/json",
    }
    if url is not None:
        document["servers"] = {"server": _server(url)}
    document |= {
        "channels": writer.channels,
        "operations": writer.operations,
        "components": {"messages": writer.messages, "schemas": writer.definitions()},
    }
    return document


class _Writer:
    """The channels, operations and messages of a document."""

    def __init__(self, contract: Contract) -> None:
        self.channels: dict[str, Any] = {}
        self.operations: dict[str, Any] = {}
        self.messages: dict[str, Any] = {}
        self._schemas: Schemas = contract.schemas(_PREFIX)
        self._refusal = contract.refusal

    def definitions(self) -> dict[str, Schema]:
        """Return the named schemas."""
        return {name: as_draft_7(each) for name, each in self._schemas.definitions.items()}

    def add(self, namespace: NamespaceEvents) -> None:
        """Add a namespace with its events."""
        channel = _free_key(namespace.name.strip("/") or "main", self.channels)
        is_name = namespace.name.startswith("/") and re.fullmatch(r"[\w/.-]+", namespace.name)
        self.channels[channel] = {
            "address": namespace.name if is_name else None,
            "title": f"Namespace {namespace.name}",
            "messages": {},
        }
        for action, events in (("receive", namespace.received), ("send", namespace.sent)):
            for event in events:
                self._add_event(channel, action, event)

    def _add_event(self, channel: str, action: str, event: Event) -> None:
        is_sent = action == "send"
        message: dict[str, Any] = {"name": event.name, "payload": self._arguments(event, is_sent)}
        if event.description:
            summary, _, more = event.description.partition("\n\n")
            message["summary"] = " ".join(summary.split())
            message |= {"description": more} if more else {}
        names = [argument.name for argument in event.arguments]
        operation = {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel}"},
            "messages": [self._add_message(channel, event.name, message | {"x-arguments": names})],
        }
        if event.answer is not None and (is_sent or event.answer):
            operation["reply"] = {
                "channel": {"$ref": f"#/channels/{channel}"},
                "messages": self._replies(channel, event, is_sent),
            }
        self.operations[_free_key(f"{action}-{channel}-{event.name}", self.operations)] = operation

    def _replies(self, channel: str, event: Event, is_sent: bool) -> list[Schema]:
        assert event.answer is not None
        answers = [self._schemas.of(each, is_sent=not is_sent) for each in event.answer]
        if event.is_answer_rest:
            payload = {"type": "array", "items": answers[0]}
        else:
            payload = answers[0] if len(answers) == 1 else _array(answers, len(answers))
        name = f"ack of {event.name}"
        ack = {"name": name, "summary": f"Ack of `{event.name}`", "payload": as_draft_7(payload)}
        replies = [self._add_message(channel, f"{event.name}-ack", ack)]
        if not is_sent:
            refusal = as_draft_7(self._schemas.of(self._refusal, is_sent=True))
            text = "Ack of a failed event"
            refused = {"name": "refusal", "summary": text, "payload": refusal}
            replies.append(self._add_message(channel, "refusal", refused))
        return replies

    def _add_message(self, channel: str, name: str, message: dict[str, Any]) -> Schema:
        """Add a message to the components and to a channel; return the reference to it."""
        key = _key(name)
        number = 1
        while self.messages.setdefault(key, message) != message:
            number += 1
            key = f"{_key(name)}-{number}"
        messages = self.channels[channel]["messages"]
        messages[key] = {"$ref": f"#/components/messages/{key}"}
        return {"$ref": f"#/channels/{channel}/messages/{key}"}

    def _arguments(self, event: Event, is_sent: bool) -> Schema:
        fixed = [each for each in event.arguments if not each.is_rest]
        schemas = [self._schemas.of(each.type, is_sent=is_sent) for each in fixed]
        rest = [each for each in event.arguments if each.is_rest]
        least = sum(each.required for each in fixed)
        if len(schemas) == 1 and least == 1 and not rest:
            return as_draft_7(schemas[0])
        payload = _array(schemas, least)
        if rest:
            payload["additionalItems"] = self._schemas.of(rest[0].type, is_sent=is_sent)
        return as_draft_7(payload)


def _array(items: list[Schema], least: int) -> Schema:
    """Return the schema of an array of arguments."""
    if not items:
        return {"type": "array"}
    return {"type": "array", "prefixItems": items, "minItems": least}


def as_draft_7(schema: Schema) -> Schema:
    """Return a schema of draft 2020-12 in the keywords of draft 7 and of AsyncAPI."""
    found: Schema = {}
    for key, value in schema.items():
        if key == "properties":
            found[key] = {name: as_draft_7(each) for name, each in value.items()}
        elif key == "prefixItems":
            found["items"] = [as_draft_7(each) for each in value]
        elif key == "discriminator" and isinstance(value, dict):
            found[key] = value["propertyName"]
        elif key in _SUBSCHEMAS and isinstance(value, dict):
            found[key] = as_draft_7(value)
        elif key in {"anyOf", "oneOf", "allOf"}:
            found[key] = [as_draft_7(each) for each in value]
        else:
            found[key] = value
    return found


def _server(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https", "ws", "wss"} or not parts.netloc:
        raise ValueError(
            f"url must be an address such as https://example.com/socket.io, got {url!r}"
        )
    secure = parts.scheme in {"https", "wss"}
    server = {"host": parts.netloc, "protocol": "wss" if secure else "ws"}
    return server | ({"pathname": parts.path} if parts.path else {})


def _key(name: str) -> str:
    return _NOT_IN_KEYS.sub("-", name).strip("-") or "event"


def _free_key(name: str, taken: dict[str, Any]) -> str:
    key = base = _key(name)
    number = 1
    while key in taken:
        number += 1
        key = f"{base}-{number}"
    return key
