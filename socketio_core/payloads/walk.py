"""The types inside a type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from socketio_core.payloads.fields import is_object_type, read_fields


def alias_of(annotation: Any) -> Any:
    """Return the type that a NewType, a type variable or a `type` statement stands for, or None."""
    if isinstance(annotation, TypeVar):
        return annotation.__bound__ or Any
    return getattr(annotation, "__supertype__", getattr(annotation, "__value__", None))


def parts_of(annotation: Any) -> Iterator[Any]:
    """Yield the types inside a type."""
    if is_object_type(annotation):
        yield from (field.type for field in read_fields(annotation).fields)
    elif get_origin(annotation) is Annotated:
        yield annotation.__origin__
    elif get_origin(annotation) is not Literal:
        yield from get_args(annotation)
    if not isinstance(annotation, type) and (inner := alias_of(annotation)) is not None:
        yield inner


def all_parts(annotation: Any) -> Iterator[Any]:
    """Yield a type and the types inside it, each once."""
    seen: list[Any] = []  # metadata may have no hash
    pending = [annotation]
    while pending:
        each = pending.pop()
        if each not in seen:
            yield each
            seen.append(each)
            pending += parts_of(each)


def named_types(annotation: Any) -> Iterable[Any]:
    """Return the enums and object types inside a type, each once, in the order of their use."""
    found: dict[Any, None] = {}
    pending = [annotation]
    while pending:
        each = pending.pop(0)
        is_enum = isinstance(each, type) and issubclass(each, Enum)
        if is_enum or is_object_type(each):
            if each in found:
                continue
            found[each] = None
        pending += [] if is_enum else parts_of(each)
    return found
