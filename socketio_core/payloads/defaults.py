"""Stores the defaults of received dataclasses in their objects.

msgspec 0.22 creates the object of a dataclass without its constructor, and does not store a plain
default of a missing field: `value.field` finds it in the class. msgspec and orjson encode only the
stored attributes, so that the field would be missing in an ack or a broadcast of the object.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, get_origin

from msgspec import Struct, convert

from socketio_core.payloads.walk import named_types


class DataclassType(NamedTuple):
    """A type with a part for which `leaves_defaults` is true."""

    annotation: Any

    def convert(self, value: Any) -> Any:
        """Return the value as an object of the type. Raises ValidationError of msgspec."""
        found = convert(value, self.annotation, str_keys=True)
        _store(found)
        return found


def leaves_defaults(annotation: Any) -> bool:
    """Return whether a part of a type is a dataclass with plain defaults and without slots."""
    return any(
        dataclasses.is_dataclass(kind)
        and getattr(kind, "__dictoffset__", 0) != 0
        and any(each.default is not dataclasses.MISSING for each in dataclasses.fields(kind))
        for kind in (get_origin(each) or each for each in named_types(annotation))
    )


def _store(value: Any) -> None:
    if isinstance(value, list | tuple | set | frozenset):
        for each in value:
            _store(each)
    elif isinstance(value, dict):
        for each in value.values():
            _store(each)
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            _store(getattr(value, name))
    elif dataclasses.is_dataclass(value):
        names = [each.name for each in dataclasses.fields(value)]
        stored = getattr(value, "__dict__", None)
        if stored is not None:
            # In the order of the fields, which is that of the encoded object.
            content = {name: getattr(value, name) for name in names if hasattr(value, name)}
            content |= stored
            stored.clear()
            stored.update(content)
        for name in names:
            _store(getattr(value, name, None))
    else:
        for each in getattr(type(value), "__attrs_attrs__", ()):
            _store(getattr(value, each.name, None))
