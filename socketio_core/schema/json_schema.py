"""JSON Schemas of payload types (https://json-schema.org/draft/2020-12).

A binary value has the schema `BINARY`: Socket.IO sends it as bytes, not as text. Named types are in
`definitions`, and other schemas refer to them.
"""

from __future__ import annotations

import datetime
import decimal
import inspect
import types
import uuid
from collections import deque
from collections.abc import (
    Collection,
    Iterable,
    Mapping,
    MutableMapping,
    MutableSequence,
    MutableSet,
    Sequence,
    Set,
)
from enum import Enum, Flag
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, get_args, get_origin

import msgspec

from socketio_core.payloads.fields import ObjectType, is_object_type, read_fields
from socketio_core.payloads.models import constraints_of, contains_model
from socketio_core.payloads.walk import alias_of, named_types
from socketio_core.schema.model_schemas import ModelSchemas, describe_models

Schema: TypeAlias = dict[str, Any]

BINARY: Final[Schema] = {"type": "string", "format": "binary"}
_SCALARS: Final[Mapping[Any, Schema]] = {
    type(None): {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bytes: BINARY,
    bytearray: BINARY,
    memoryview: BINARY,
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
    datetime.time: {"type": "string", "format": "time"},
    datetime.timedelta: {"type": "string", "format": "duration"},
    uuid.UUID: {"type": "string", "format": "uuid"},
    decimal.Decimal: {"type": "string", "format": "decimal"},
    list: {"type": "array"},
    tuple: {"type": "array"},
    set: {"type": "array"},
    frozenset: {"type": "array"},
    dict: {"type": "object"},
    msgspec.Raw: {},
}
_LISTS: Final = frozenset({
    list, set, frozenset, deque, Collection, Iterable, MutableSequence, MutableSet, Sequence, Set,
})  # fmt: skip
_MAPPINGS: Final = frozenset({dict, Mapping, MutableMapping})
# Constraints of msgspec.Meta, and their keywords for numbers, texts, arrays and objects
_LIMITS: Final = {
    "gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum",
    "multiple_of": "multipleOf", "pattern": "pattern", "title": "title",
    "description": "description", "examples": "examples",
}  # fmt: skip
_SIZES: Final = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}


class Schemas:
    """The schemas of a set of types; `received` are checked by the server, `sent` are encoded.

    A field with a default may be missing in a received object, and is present in a sent one. A type
    that is used in both directions and has such a field has two definitions: the name of the
    received one ends with "Input".
    """

    def __init__(
        self, *, received: Collection[Any], sent: Collection[Any], prefix: str = "#/$defs/"
    ) -> None:
        self.definitions: dict[str, Schema] = {}
        self._prefix = prefix
        self._names: dict[tuple[Any, bool], str] = {}
        directions: dict[Any, set[bool]] = {}
        self._models = ModelSchemas([], {})
        for several, is_sent in ((received, False), (sent, True)):
            for annotation in several:
                for each in () if contains_model(annotation) else named_types(annotation):
                    directions.setdefault(each, set()).add(is_sent)
        taken: dict[str, Any] = {"Binary": BINARY}  # the name of binary data in TypeScript
        for kind, used in directions.items():
            name = _free_name(kind, taken)
            differs = len(used) == 2 and _depends_on_direction(kind)
            for is_sent in sorted(used):
                self._names[kind, is_sent] = f"{name}Input" if differs and not is_sent else name
        for kind, is_sent in self._names:
            self.definitions[self._names[kind, is_sent]] = self._define(kind, is_sent)
        self._models = describe_models(received, sent, prefix, {*self.definitions, "Binary"})
        self.definitions |= self._models.definitions
        for annotation in received:
            self.of(annotation, is_sent=False)
        for annotation in sent:
            self.of(annotation, is_sent=True)

    def of(self, annotation: Any, *, is_sent: bool) -> Schema:
        """Return the schema of one of the types that were passed to the constructor."""
        if self._models.found and (model := self._models.get(annotation, is_sent)) is not None:
            return model
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            schema = self.of(annotation.__origin__, is_sent=is_sent)
            return schema | _constraints(schema, annotation.__metadata__)
        if origin is Literal:
            return {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
        if origin is Union or origin is types.UnionType:
            return {"anyOf": [self.of(each, is_sent=is_sent) for each in arguments]}
        if origin is tuple and Ellipsis not in arguments:
            items = [self.of(each, is_sent=is_sent) for each in arguments]
            size = {"minItems": len(items), "maxItems": len(items)}
            return {"type": "array", "prefixItems": items, **size}
        if origin is tuple or origin in _LISTS:
            return {"type": "array", "items": self.of(arguments[0], is_sent=is_sent)}
        if origin in _MAPPINGS:
            values = self.of(arguments[1], is_sent=is_sent)
            return {"type": "object", "additionalProperties": values}
        if (annotation, is_sent) in self._names:
            return {"$ref": self._prefix + self._names[annotation, is_sent]}
        if annotation is None or annotation is Any or annotation is object:
            return {} if annotation is not None else {"type": "null"}
        if (inner := alias_of(annotation)) is not None:
            return self.of(inner, is_sent=is_sent)
        if isinstance(annotation, type) and annotation in _SCALARS:
            return dict(_SCALARS[annotation])
        raise TypeError(
            f"the type {annotation!r} has no JSON Schema: use a dataclass, a TypedDict, a "
            "msgspec.Struct or a built-in type"
        )

    def _define(self, kind: Any, is_sent: bool) -> Schema:
        """Return the definition of a named type."""
        name, text = getattr(kind, "__name__", _name_of(kind)), _docstring(kind)
        about = {"title": name, **({"description": text} if text else {})}
        if isinstance(kind, type) and issubclass(kind, Flag):
            return about | {"type": "integer"}  # members may be combined
        if isinstance(kind, type) and issubclass(kind, Enum):
            return about | {"enum": [member.value for member in kind]}
        found = read_fields(kind)
        return about | (self._array if found.is_array else self._object)(found, is_sent)

    def _object(self, found: ObjectType, is_sent: bool) -> Schema:
        properties: Schema = {}
        required = []
        if found.tag is not None:
            properties[found.tag[0]] = {"const": found.tag[1]}
            required.append(found.tag[0])
        for field in found.fields:
            schema = self.of(field.type, is_sent=is_sent)
            if field.required or (is_sent and field.always_sent):
                required.append(field.name)
            elif type(field.default) in {str, int, float, bool}:
                schema = {**schema, "default": field.default}
            properties[field.name] = schema
        schema = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        return schema | ({"additionalProperties": False} if found.is_closed else {})

    def _array(self, found: ObjectType, is_sent: bool) -> Schema:
        """Return the schema of a type whose fields are the elements of an array."""
        items = [self.of(field.type, is_sent=is_sent) for field in found.fields]
        optional = 0 if is_sent else sum(not field.required for field in found.fields)
        if found.tag is not None:
            items.insert(0, {"const": found.tag[1]})
        return {"type": "array", "prefixItems": items, "minItems": len(items) - optional}


def _constraints(schema: Schema, metadata: Iterable[Any]) -> Schema:
    """Return the keywords of the msgspec.Meta and of the constraints of pydantic in an annotation.

    The constraints of pydantic and annotated_types have the attributes of msgspec.Meta.
    """
    found: Schema = {}
    sizes = _SIZES.get(schema.get("type", ""), ("minLength", "maxLength"))
    keywords = [*_LIMITS.items(), *zip(("min_length", "max_length"), sizes, strict=True)]
    metas = [each for each in metadata if isinstance(each, msgspec.Meta)]
    for each in (*metas, *constraints_of(metadata)):
        for name, keyword in keywords:
            # The limit of a date and a compiled pattern are not JSON values.
            if isinstance(value := getattr(each, name, None), int | float | str | list):
                found[keyword] = value
        found |= getattr(each, "extra_json_schema", None) or {}
    return found


def _depends_on_direction(kind: Any) -> bool:
    """Return whether a field inside a type may be missing only when it is received."""
    return any(
        not field.required and field.always_sent
        for each in named_types(kind)
        if is_object_type(each)
        for field in read_fields(each).fields
    )


def _name_of(kind: Any) -> str:
    """Return the name of a type, for a generic alias with the names of its arguments."""
    names = [(get_origin(kind) or kind).__name__]
    names += [_name_of(each) for each in get_args(kind) if hasattr(each, "__name__")]
    return "".join(each[:1].upper() + each[1:] for each in names)


def _free_name(kind: Any, taken: dict[str, Any]) -> str:
    """Return the name of a type; different types of one name get numbers."""
    name = base = _name_of(kind).lstrip("_")
    number = 1
    while taken.setdefault(name, kind) is not kind:
        number += 1
        name = f"{base}{number}"
    return name


def _docstring(kind: Any) -> str:
    """Return the description of a type that its author wrote."""
    kind = get_origin(kind) or kind
    text = inspect.cleandoc(vars(kind).get("__doc__") or "")
    # Dataclasses and named tuples without a docstring get their signature as one.
    is_generated = text.startswith(f"{kind.__name__}(") or text == "An enumeration."
    return "" if is_generated or text == inspect.cleandoc(dict.__doc__ or "") else text
