"""TypeScript for socket.io-client: the interfaces of a server's events and their payloads.

The printed text has no import and no code, so that it compiles with any configuration.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from itertools import takewhile
from typing import Any, Final

from socketio_core.schema.contract import Argument, Contract, Event, NamespaceEvents
from socketio_core.schema.json_schema import BINARY, Schema, Schemas

_PREFIX: Final = "#/$defs/"
_INDENT: Final = "  "
_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
_SCALARS: Final = {
    "string": "string", "integer": "number", "number": "number", "boolean": "boolean",
    "null": "null",
}  # fmt: skip
_RESERVED: Final = frozenset({
    "arguments", "await", "break", "case", "catch", "class", "const", "continue", "debugger",
    "default", "delete", "do", "else", "enum", "eval", "export", "extends", "false", "finally",
    "for", "function", "if", "implements", "import", "in", "instanceof", "interface", "let", "new",
    "null", "package", "private", "protected", "public", "return", "static", "super", "switch",
    "this", "throw", "true", "try", "typeof", "var", "void", "while", "with", "yield",
})  # fmt: skip
_BINARY: Final = """\
/** Binary data: browsers receive an ArrayBuffer, Node receives a Buffer. */
export type Binary = ArrayBuffer | ArrayBufferView;"""


def print_typescript(contract: Contract, heading: str) -> str:
    """Return the text of a module with the types of a contract.

    `heading` is the comment at its start. Each namespace has two interfaces, as the official client
    expects them: `Socket<ServerToClientEvents, ClientToServerEvents>`. The names of other
    namespaces than "/" begin with the name of the namespace. Raises TypeError for a type without
    a schema.
    """
    printer = _Printer(contract.schemas(_PREFIX), contract.refusal)
    blocks = [_comment(heading, "").rstrip()]
    blocks += [printer.define(*each) for each in printer.schemas.definitions.items()]
    for namespace in contract.namespaces:
        blocks += printer.interfaces(namespace)
    text = "\n\n".join(blocks) + "\n"
    return text.replace("\n\n", f"\n\n{_BINARY}\n\n", 1) if printer.has_binary else text


class _Printer:
    """The printer of the types of one module."""

    def __init__(self, schemas: Schemas, refusal: Any) -> None:
        self.schemas = schemas
        self.has_binary = False
        self._prefixes: set[str] = set()
        self._refusal = self.type_of(schemas.of(refusal, is_sent=True))

    def define(self, name: str, schema: Schema) -> str:
        """Return the declaration of a named type."""
        comment = _comment(schema.get("description", ""), "")
        if schema.get("type") == "object" and "properties" in schema:
            return f"{comment}export interface {name} {self._properties(schema, '')}"
        return f"{comment}export type {name} = {self.type_of(schema)};"

    def interfaces(self, namespace: NamespaceEvents) -> list[str]:
        """Return the two interfaces of a namespace."""
        prefix = self._prefix_of(namespace.name)
        place = f'the namespace "{namespace.name}"'
        return [
            self._events(
                f"{prefix}ServerToClientEvents", f"Events that the server sends in {place}.",
                namespace.sent, is_sent=True,
            ),
            self._events(
                f"{prefix}ClientToServerEvents", f"Events that the server handles in {place}.",
                namespace.received, is_sent=False,
            ),
        ]  # fmt: skip

    def _prefix_of(self, namespace: str) -> str:
        """Return the words of the name of a namespace; equal results get numbers."""
        words = re.findall(r"[^\W_]+", re.sub(r"\\.", " ", namespace))
        prefix = base = "".join(each[:1].upper() + each[1:].lower() for each in words)
        if base[:1].isdigit():
            prefix = base = f"Namespace{base}"
        number = 1
        while prefix in self._prefixes:
            number += 1
            prefix = f"{base or 'Namespace'}{number}"
        self._prefixes.add(prefix)
        return prefix

    def _events(self, name: str, text: str, events: Iterable[Event], *, is_sent: bool) -> str:
        lines = [f"{_comment(text, '')}export interface {name} {{"]
        for event in events:
            comment = _comment(event.description, _INDENT)
            function = self._function(event, is_sent)
            lines.append(f"{comment}{_INDENT}{_key(event.name)}: {function};")
        return "\n".join([*lines, "}"])

    def _function(self, event: Event, is_sent: bool) -> str:
        """Return the type of the function that receives an event.

        Parameters after an optional one must be optional in TypeScript, but the type of the client
        finds an ack only in the last, required parameter: an event with both has one list of
        parameters for each number of arguments.
        """
        answer = self._callback(event, is_sent)
        arguments = event.arguments
        ack = [] if answer is None else [f"ack{'' if event.is_typed else '?'}: {answer}"]
        all_required = all(each.required for each in arguments)
        has_rest = any(each.is_rest for each in arguments)
        if not ack or all_required or not (event.is_typed or has_rest):
            names = [self._parameter(each, is_sent) for each in arguments]
            return f"({', '.join(names + ack)}) => void"
        least = len(list(takewhile(lambda each: each.required, arguments)))
        lists = []
        for count in range(len(arguments) if has_rest else least, len(arguments) + 1):
            chosen = [each._replace(required=not each.is_rest) for each in arguments[:count]]
            names = [self._parameter(each, is_sent) for each in chosen]
            lists.append(f"[{', '.join(names + ack)}]")
        choices = "".join(f"\n{_INDENT * 3}| {each}" for each in lists)
        return f"(\n{_INDENT * 2}...args:{choices}\n{_INDENT}) => void"

    def _parameter(self, argument: Argument, is_sent: bool) -> str:
        name = camel(argument.name)
        text = self.type_of(self.schemas.of(argument.type, is_sent=is_sent))
        if argument.is_rest:
            return f"...{name}: {_array(text)}"
        return f"{name}{'' if argument.required else '?'}: {text}"

    def _callback(self, event: Event, is_sent: bool) -> str | None:
        """Return the type of the ack function; the server may answer with a refusal instead."""
        if event.answer is None or (not is_sent and not event.answer):
            return None
        types = [self.type_of(self.schemas.of(each, is_sent=not is_sent)) for each in event.answer]
        if not is_sent:
            types[0] = types[0] if types[0] == "any" else f"{types[0]} | {self._refusal}"
        if event.is_answer_rest:
            return f"(...answers: {_array(types[0])}) => void"
        names = ["answer"] if len(types) == 1 else [f"answer{n}" for n in range(1, len(types) + 1)]
        return f"({', '.join(map(': '.join, zip(names, types, strict=True)))}) => void"

    def type_of(self, schema: Schema, indent: str = "") -> str:
        """Return the TypeScript of a schema."""
        if "$ref" in schema:
            return str(schema["$ref"]).rpartition("/")[2]
        if "const" in schema:
            return json.dumps(schema["const"], ensure_ascii=False)
        if "enum" in schema:
            return " | ".join(json.dumps(each, ensure_ascii=False) for each in schema["enum"])
        for keyword, joint in (("anyOf", " | "), ("oneOf", " | "), ("allOf", " & ")):
            if keyword in schema:
                types = dict.fromkeys(self.type_of(each, indent) for each in schema[keyword])
                return "any" if "any" in types else joint.join(types)
        kind = schema.get("type")
        if isinstance(kind, list):
            return " | ".join(self.type_of({**schema, "type": each}, indent) for each in kind)
        if schema.items() >= BINARY.items():
            self.has_binary = True
            return "Binary"
        if kind == "array":
            return self._array_of(schema, indent)
        if kind == "object":
            if schema.get("properties"):
                return self._properties(schema, indent)
            values = schema.get("additionalProperties", True)
            if values is False:
                return "Record<string, never>"
            of = self.type_of(values, indent) if isinstance(values, dict) else "any"
            return f"Record<string, {of}>"
        return _SCALARS.get(str(kind), "any")

    def _array_of(self, schema: Schema, indent: str) -> str:
        if "prefixItems" not in schema:
            return _array(self.type_of(schema.get("items", {}), indent))
        items = [self.type_of(each, indent) for each in schema["prefixItems"]]
        least = schema.get("minItems", 0)
        shown = [
            item if index < least else f"({item})?" if " " in item else f"{item}?"
            for index, item in enumerate(items)
        ]
        return f"[{', '.join(shown)}]"

    def _properties(self, schema: Schema, indent: str) -> str:
        required = set(schema.get("required", ()))
        inner = indent + _INDENT
        lines = ["{"]
        for name, each in schema["properties"].items():
            mark = "" if name in required else "?"
            comment = _comment(_about(each, is_optional=bool(mark)), inner)
            lines.append(f"{comment}{inner}{_key(name)}{mark}: {self.type_of(each, inner)};")
        if isinstance(schema.get("additionalProperties"), dict):
            lines.append(f"{inner}[name: string]: any;")
        return "\n".join([*lines, f"{indent}}}"])


def camel(name: str) -> str:
    """Return the name of a Python parameter as JavaScript writes it."""
    first, *others = name.strip("_").split("_") or [name]
    written = first + "".join(each.capitalize() for each in others)
    return f"{written}_" if written in _RESERVED else written


def _about(schema: Schema, *, is_optional: bool) -> str:
    text = str(schema.get("description", "")) if "$ref" not in schema else ""
    default = schema.get("default")
    if is_optional and isinstance(default, str | int | float) and default != "":
        return f"{text} Default: {json.dumps(default)}."
    return text


def _array(text: str) -> str:
    return f"({text})[]" if " " in text and not text.startswith(("{", "[")) else f"{text}[]"


def _key(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _comment(text: str, indent: str) -> str:
    """Return a comment with the first paragraph of a text, ready to stand before a line."""
    paragraph = " ".join(text.partition("\n\n")[0].split()).replace("*/", "* /")
    if not paragraph:
        return ""
    return f"{indent}/** {paragraph} */\n"
