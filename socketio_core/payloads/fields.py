"""The fields of object types: structs, dataclasses, attrs classes, typed dicts, named tuples."""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Iterable
from typing import (
    Annotated,
    Any,
    Final,
    NamedTuple,
    NotRequired,
    Required,
    TypeVar,
    get_args,
    get_origin,
)

import msgspec

#: Stands for a field without a default, and for one whose default is made for each object.
NO_DEFAULT: Final = msgspec.NODEFAULT


class Field(NamedTuple):
    """A field with its name on the wire. `always_sent`: an encoded object contains the field."""

    name: str
    type: Any
    required: bool
    always_sent: bool
    default: Any = NO_DEFAULT


class ObjectType(NamedTuple):
    """An object type: its fields, its tag, and whether it is an array or refuses other fields."""

    fields: tuple[Field, ...]
    tag: tuple[str, str | int] | None = None
    is_array: bool = False
    is_closed: bool = False


def is_object_type(kind: Any) -> bool:
    """Return whether `read_fields` accepts a type, which may be a generic alias."""
    kind = get_origin(kind) or kind
    return isinstance(kind, type) and (
        issubclass(kind, msgspec.Struct)
        or dataclasses.is_dataclass(kind)
        or hasattr(kind, "__attrs_attrs__")
        or is_typed_dict(kind)
        or is_named_tuple(kind)
    )


def is_typed_dict(kind: type) -> bool:
    """Return whether a class is a TypedDict, of typing or of typing_extensions."""
    return issubclass(kind, dict) and hasattr(kind, "__required_keys__")


def is_named_tuple(kind: type) -> bool:
    """Return whether a class is a named tuple."""
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def read_fields(kind: Any) -> ObjectType:
    """Return the fields of an object type. Raises TypeError for a type that cannot be resolved."""
    origin = get_origin(kind) or kind
    given = dict(zip(getattr(origin, "__parameters__", ()), get_args(kind), strict=False))
    try:
        hints = typing.get_type_hints(origin, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"the types of {origin.__name__} cannot be resolved ({error}): define them at the "
            "top of a module, outside of TYPE_CHECKING"
        ) from None
    types = {name: substitute(hint, given) for name, hint in hints.items()}
    if issubclass(origin, msgspec.Struct):
        return _struct(origin, types)
    if is_typed_dict(origin):
        return ObjectType(tuple(_key(origin, name, each) for name, each in types.items()))
    if is_named_tuple(origin):
        defaults = origin._field_defaults
        fields = (
            Field(name, types.get(name, Any), name not in defaults, True) for name in origin._fields
        )
        return ObjectType(tuple(fields), is_array=True)
    if dataclasses.is_dataclass(origin):
        return ObjectType(tuple(_dataclass_fields(origin, types)))
    return ObjectType(tuple(_attrs_fields(origin, types)))


def substitute(annotation: Any, given: dict[Any, Any]) -> Any:
    """Return an annotation with its type variables replaced by the given types."""
    if isinstance(annotation, TypeVar):
        return given.get(annotation, Any)
    parameters = getattr(annotation, "__parameters__", ())
    if not parameters or isinstance(annotation, type):
        return annotation
    return annotation[tuple(given.get(each, Any) for each in parameters)]


def _struct(kind: type[msgspec.Struct], types: dict[str, Any]) -> ObjectType:
    config = kind.__struct_config__
    fields = tuple(
        Field(
            each.encode_name, types.get(each.name, each.type), each.required,
            not config.omit_defaults, each.default,
        )
        for each in msgspec.structs.fields(kind)
    )  # fmt: skip
    tag = None if config.tag is None else (config.tag_field or "type", config.tag)
    return ObjectType(fields, tag, config.array_like, config.forbid_unknown_fields)


def _dataclass_fields(kind: Any, types: dict[str, Any]) -> Iterable[Field]:
    for each in dataclasses.fields(kind):
        has_default = each.default is not dataclasses.MISSING
        made = each.default_factory is not dataclasses.MISSING
        default = each.default if has_default else NO_DEFAULT
        yield Field(each.name, types[each.name], not (has_default or made), True, default)


def _attrs_fields(kind: Any, types: dict[str, Any]) -> Iterable[Field]:
    nothing = sys.modules["attr"].NOTHING
    for each in kind.__attrs_attrs__:
        if each.init:
            required = each.default is nothing
            default = NO_DEFAULT if required else each.default
            yield Field(each.name, types.get(each.name, Any), required, True, default)


def _key(kind: Any, name: str, annotation: Any) -> Field:
    """Return the field of a key of a typed dict, whose type may have several qualifiers."""
    required = name in kind.__required_keys__
    while True:
        origin = get_origin(annotation)
        if origin is Required or origin is NotRequired:
            # Before Python 3.14, `from __future__ import annotations` hides these from the class.
            required = origin is Required
            annotation = get_args(annotation)[0]
        elif getattr(origin, "__name__", getattr(origin, "_name", None)) == "ReadOnly":
            annotation = get_args(annotation)[0]
        elif origin is Annotated and get_origin(annotation.__origin__) in {Required, NotRequired}:
            inner = annotation.__origin__
            required = get_origin(inner) is Required
            annotation = Annotated[(get_args(inner)[0], *annotation.__metadata__)]
        else:
            return Field(name, annotation, required, required)
