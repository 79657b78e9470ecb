"""Models of pydantic as payloads: the check of received values; `codec.models` sends them.

pydantic is optional: this module imports it only for a type that pydantic has made.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, NamedTuple, get_origin

from msgspec import ValidationError

from socketio_core.payloads.walk import parts_of

#: Invalid fields that an error lists. A client could otherwise request a large answer.
MAX_PROBLEMS: Final = 20


class ModelError(ValidationError):
    """A value that is not valid for a model; `problems` are pairs of a path and a message."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__(problems[0][1])
        self.problems = problems


class Model(NamedTuple):
    """A type that pydantic checks, because it contains a model: `check` is its function."""

    annotation: Any
    check: Any

    def convert(self, value: Any) -> Any:
        """Return the value as an object of the type. Raises ModelError."""
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


def _needs_pydantic(annotation: Any) -> bool:
    """Return whether a type is a model, another class of pydantic, or has constraints of pydantic.

    msgspec ignores constraints in `Annotated` that are not its own, such as those of
    `pydantic.PositiveInt` and `Annotated[int, pydantic.Field(ge=1)]`.
    """
    if get_origin(annotation) is Annotated:
        return any(_is_of_pydantic(type(each)) for each in annotation.__metadata__)
    return is_model(annotation) or (isinstance(annotation, type) and _is_of_pydantic(annotation))


def _is_of_pydantic(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in {"pydantic", "annotated_types"}


def contains_model(annotation: Any) -> bool:
    """Return whether a part of a type is a model, or has constraints of pydantic."""
    seen: list[Any] = []
    pending = [annotation]
    while pending:
        each = pending.pop()
        if _needs_pydantic(each):
            return True
        if each not in seen:
            seen.append(each)
            pending += parts_of(each)
    return False


def make_model(annotation: Any) -> Model:
    """Return the check of a type that contains a model. Raises an exception of pydantic."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - optional

    return Model(annotation, TypeAdapter(annotation).validate_python)


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
