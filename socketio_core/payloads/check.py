"""The check of received arguments: which library checks a type, and the problems that it finds.

msgspec checks structs, dataclasses, attrs classes, typed dicts and built-in types; pydantic checks
types that contain one of its models, and its constraints.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any, Final

import msgspec
from msgspec import ValidationError, convert

from socketio_core.payloads.defaults import DataclassType, plan_defaults
from socketio_core.payloads.fields import is_object_type
from socketio_core.payloads.models import (
    Model,
    ModelError,
    contains_model,
    find_constraint,
    make_model,
)
from socketio_core.payloads.walk import named_types

_MISSING_FIELD: Final = re.compile("Object missing required field `(.+)`")


def resolve_check(annotation: Any) -> Any:
    """Return what the function of `find_convert` takes as the type. Raises TypeError, with why."""
    if contains_model(annotation):
        return _model(annotation)
    if (constraint := find_constraint(annotation)) is not None:
        return _constrained(annotation, constraint)
    _check_with_msgspec(annotation)
    for each in named_types(annotation):
        _check_attrs(each)
    plan = plan_defaults(annotation)
    return DataclassType(annotation, plan) if plan else annotation


def find_convert(checks: list[Any]) -> Any:
    """Return `convert(value, type, str_keys=True)` for types of `resolve_check`.

    Without a model or a dataclass with defaults, that is the function of msgspec: these types cost
    other handlers nothing.
    """
    is_own = any(isinstance(each, Model | DataclassType) for each in checks)
    return _convert_any if is_own else convert


def _convert_any(value: Any, kind: Any, *, str_keys: bool) -> Any:
    if isinstance(kind, Model | DataclassType):
        return kind.convert(value)
    return convert(value, kind, str_keys=str_keys)


def list_problems(error: ValidationError, name: str) -> list[tuple[str, str]]:
    """Return the path, which starts with the name of the argument, and the text of each problem."""
    if isinstance(error, ModelError):
        return [(f"{name}{path}", message) for path, message in error.problems]
    message, _, path = str(error).partition(" - at `$")
    message, of_key, key_path = message.partition(" - at `key` in `$")
    if of_key:
        message, path = f"{message} as a key", key_path
    path = f"{name}{path.rstrip('`')}" if path else name
    if missing := _MISSING_FIELD.fullmatch(message):
        path = f"{path}.{missing[1]}"
    return [(path, message)]


def _check_with_msgspec(annotation: Any) -> None:
    """Raise TypeError, with why, for a type that msgspec cannot check."""
    try:
        # The schema needs more of a type than the check, but it visits all parts of the type.
        msgspec.json.schema(annotation)
        msgspec.json.Decoder(annotation)
    except Exception as error:
        # The last paragraph names the fault; those before it address callers of msgspec.
        raise TypeError(str(error).rpartition("\n\n")[2]) from None


def _model(annotation: Any) -> Model:
    if (kind := _find_foreign(annotation)) is not None:
        raise TypeError(f"pydantic cannot check the {kind}: use models only")
    return _make_model(annotation, is_strict=False)


def _constrained(annotation: Any, constraint: Any) -> Model:
    """Return the check of a type without a model that contains a constraint of pydantic."""
    if (kind := _find_foreign(annotation)) is not None:
        raise TypeError(
            f"pydantic, which checks the constraint {constraint!r}, cannot check the {kind}: use "
            "msgspec.Meta for constraints, or a model"
        )
    if find_spec("pydantic") is None:  # annotated_types does not require pydantic
        raise TypeError(
            f"the constraint {constraint!r} requires pydantic, which is not installed: install "
            "pydantic, or use msgspec.Meta for constraints"
        )
    _check_with_msgspec(annotation)
    return _make_model(annotation, is_strict=True)


def _find_foreign(annotation: Any) -> str | None:
    """Return the kind and name of a class in a type that pydantic cannot check, or None."""
    for each in named_types(annotation):
        if isinstance(each, type) and issubclass(each, msgspec.Struct):
            return f"msgspec.Struct {each.__name__}"
        if hasattr(each, "__attrs_attrs__"):
            return f"attrs class {each.__name__}"
    return None


def _make_model(annotation: Any, *, is_strict: bool) -> Model:
    try:
        return make_model(annotation, is_strict=is_strict)
    except Exception as error:
        raise TypeError(str(error).partition("\n")[0]) from None


def _check_attrs(kind: Any) -> None:
    """Raise TypeError for an attrs class that msgspec would create otherwise than its init."""
    if not is_object_type(kind):
        return
    for field in getattr(kind, "__attrs_attrs__", ()):
        if field.converter is not None:
            raise TypeError(
                f"the converter of {kind.__name__}.{field.name} would not run: "
                "convert in __attrs_post_init__"
            )
        if getattr(field, "alias", field.name) != field.name:
            raise TypeError(
                f"the alias {field.alias!r} of {kind.__name__}.{field.name} would not be read: "
                "use the name of the field, or msgspec.Struct(rename=...)"
            )
