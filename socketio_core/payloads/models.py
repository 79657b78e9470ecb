"""Models of pydantic as payloads: the check of received values; `codec.models` sends them.

pydantic is optional: this module imports it only for a type that pydantic has made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, NamedTuple, get_origin

from msgspec import ValidationError, convert

from socketio_core.payloads.walk import all_parts

#: Invalid fields that an error lists. A client could otherwise request a large answer.
MAX_PROBLEMS: Final = 20

#: Classes of metadata that describe a type, or change only how pydantic sends it.
_NO_CONSTRAINTS: Final = {
    "DocInfo", "Examples", "PlainSerializer", "SerializeAsAny", "SkipJsonSchema", "Unit",
    "WithJsonSchema", "WrapSerializer",
}  # fmt: skip


class ModelError(ValidationError):
    """A value that is not valid for a model; `problems` are pairs of a path and a message."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__(problems[0][1])
        self.problems = problems


class Model(NamedTuple):
    """A type that pydantic checks, because it contains a model or a constraint.

    `check` is the function of pydantic. With `is_strict`, msgspec checks the value first: it
    refuses "5" as an int and accepts text as a date. Of values that are not JSON text, pydantic
    refuses both in its strict mode, and accepts both otherwise. A value is created twice, so that
    `__post_init__` of a dataclass runs twice.
    """

    annotation: Any
    check: Any
    is_strict: bool = False

    def convert(self, value: Any) -> Any:
        """Return the value as an object of the type. Raises ValidationError of msgspec."""
        if self.is_strict:
            convert(value, self.annotation, str_keys=True)
        try:
            return self.check(value)
        except ValueError as error:
            errors = getattr(error, "errors", None)
            if errors is None:
                raise
            found = errors(include_url=False, include_context=False, include_input=False)
            problems = [
                (path_in(each["loc"], value, each["type"] == "missing"), each["msg"])
                for each in found
            ]
        raise ModelError(problems[:MAX_PROBLEMS])


def is_model(kind: Any) -> bool:
    """Return whether pydantic has made a class: a model or one of its dataclasses."""
    return isinstance(kind, type) and "__pydantic_core_schema__" in vars(kind)


def contains_model(annotation: Any) -> bool:
    """Return whether a part of a type is a model, or another type that only pydantic checks."""
    return any(
        is_model(each) or _is_class_of_pydantic(each) or _has_discriminator(each)
        for each in all_parts(annotation)
    )


def find_constraint(annotation: Any) -> Any:
    """Return a constraint of pydantic or annotated_types in a type, or None.

    msgspec ignores such metadata of `Annotated`, for example in `pydantic.PositiveInt`.
    """
    for each in all_parts(annotation):
        if get_origin(each) is Annotated:
            for constraint in constraints_of(each.__metadata__):
                return constraint
    return None


def constraints_of(metadata: Iterable[Any]) -> Iterator[Any]:
    """Yield the metadata of pydantic and annotated_types that affects which values are valid."""
    for each in metadata:
        kind = type(each)
        if not any(_is_of_pydantic(base) for base in kind.__mro__):
            continue
        if kind.__name__ == "FieldInfo":
            yield from constraints_of(each.metadata)
        elif kind.__name__ == "Strict":
            if not each.strict:  # msgspec is strict
                yield each
        elif kind.__name__ not in _NO_CONSTRAINTS:
            yield each


def _has_discriminator(annotation: Any) -> bool:
    """Return whether a type is a union that pydantic discriminates; msgspec refuses it."""
    return get_origin(annotation) is Annotated and any(
        _is_of_pydantic(type(each)) and getattr(each, "discriminator", None) is not None
        for each in annotation.__metadata__
    )


def _is_class_of_pydantic(kind: Any) -> bool:
    return isinstance(kind, type) and _is_of_pydantic(kind)


def _is_of_pydantic(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in {"pydantic", "annotated_types"}


def make_model(annotation: Any, *, is_strict: bool = False) -> Model:
    """Return the check of a type by pydantic. Raises an exception of pydantic."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - optional

    return Model(annotation, TypeAdapter(annotation).validate_python, is_strict)


def path_in(location: Iterable[str | int], value: Any, is_missing: bool) -> str:
    """Return the path of a location: `.rows[0].x`; with `is_missing`, its end does not exist.

    pydantic's locations contain the names of union members as well, which are not part of the
    value.
    """
    parts = list(location)
    path = ""
    for index, part in enumerate(parts):
        if isinstance(part, int) and isinstance(value, list | tuple):
            value = value[part] if part < len(value) else None
            path += f"[{part}]"
        elif isinstance(value, dict) and (
            part in value or (is_missing and index == len(parts) - 1)
        ):
            value = value.get(part)
            path += f".{part}"
    return path
