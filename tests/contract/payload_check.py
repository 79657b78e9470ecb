"""Compares the payloads of events and acknowledgements with the types that the hub declares."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hextrackr_server.application import Application
from hextrackr_server.config.settings import Settings
from socketio_core.schema.contract import Event, read_contract
from socketio_core.schema.json_schema import Schema, Schemas

#: Objects of these types contain fields of producers, or of tests.
OPEN = {"BatchUpdates", "SessionMetadata", "ImportCounts", "ImportEnded"}
#: Events that tests send through the hub.
TEST_EVENTS = {"hello", "question", "something"}
_KINDS: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "array": (list,),
    "object": (dict,),
}


class PayloadCheck:
    """A recorder of the payloads of a test that do not have the declared type."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.number = 0
        self._relayed: list[tuple[str, list[Any]]] = []

    def note_relayed(self, event: str, args: list[Any]) -> None:
        """Note an event of a producer, whose payload the hub does not check."""
        self._relayed.append((event, args))

    def check_event(self, namespace: str, name: str, args: list[Any]) -> None:
        """Check an event that a client received; it may end with an offset of the recovery."""
        if any(name == event and args[: len(sent)] == sent for event, sent in self._relayed):
            return
        if name in TEST_EVENTS:
            return
        declared = _declared()
        event = declared.sent.get((namespace, name))
        if event is None:
            self.problems.append(f"{name} is not declared in {namespace}")
            return
        if len(args) < len(event.arguments):
            self.problems.append(f"{name} has too few arguments: {args}")
        for argument, value in zip(event.arguments, args, strict=False):
            self._compare(value, declared.schemas.of(argument.type, is_sent=True), name)

    def check_answer(self, namespace: str, name: str, answer: Any) -> None:
        """Check the acknowledgement of an event that a client sent."""
        declared = _declared()
        event = declared.received.get((namespace, name))
        if event is not None and event.answer:
            types = (*event.answer, declared.refusal)
            schemas = [declared.schemas.of(each, is_sent=True) for each in types]
            self._compare(answer, {"anyOf": schemas}, f"the answer to {name}")

    def _compare(self, value: Any, schema: Schema, path: str) -> None:
        self.number += 1
        self.problems += compare(value, schema, _declared().schemas.definitions, path)


class _Declared:
    """The events of the hub with their schemas."""

    def __init__(self) -> None:
        with TemporaryDirectory() as directory:
            settings = Settings(database=Path(directory) / "hub.db", jwt_secret=bytes(32))
            application = Application(settings)
            application.database.close()
        io = application.io
        contract = read_contract(io._directory.by_description(), io.options.error_ack)
        received, sent = contract.types()
        self.schemas = Schemas(received=received, sent=sent)
        self.refusal = contract.refusal
        self.sent: dict[tuple[str, str], Event] = {}
        self.received: dict[tuple[str, str], Event] = {}
        for namespace in contract.namespaces:
            self.sent |= {(namespace.name, each.name): each for each in namespace.sent}
            self.received |= {(namespace.name, each.name): each for each in namespace.received}


_declared = cache(_Declared)


def compare(value: Any, schema: Schema, definitions: dict[str, Schema], path: str) -> Iterator[str]:
    """Yield the differences between a value and a schema, whose objects may have no other field."""
    is_open = False
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        is_open, schema = name in OPEN, definitions[name]
    if "anyOf" in schema:
        found = [list(compare(value, each, definitions, path)) for each in schema["anyOf"]]
        if all(found):
            yield min(found, key=len)[0]
        return
    if "const" in schema or "enum" in schema:
        if value not in schema.get("enum", [schema.get("const")]):
            yield f"{path}: {value!r} is not in {schema}"
        return
    kind = schema.get("type")
    if kind is None:
        return
    if not isinstance(value, _KINDS[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{path}: {value!r} is not of type {kind}"
    elif kind == "array":
        for index, each in enumerate(value):
            yield from compare(each, schema.get("items", {}), definitions, f"{path}[{index}]")
    elif kind == "object":
        yield from _compare_fields(value, schema, definitions, path, is_open)


def _compare_fields(
    value: dict[str, Any], schema: Schema, definitions: dict[str, Schema], path: str, is_open: bool
) -> Iterator[str]:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}.{name}: missing in {value!r:.200}"
    for name, each in value.items():
        if name in properties:
            yield from compare(each, properties[name], definitions, f"{path}.{name}")
        elif "additionalProperties" in schema:
            more = schema["additionalProperties"]
            yield from compare(each, more, definitions, f"{path}.{name}")
        elif not is_open:
            yield f"{path}.{name}: undeclared field with the value {each!r:.100}"
