"""Annotations that are text (`from __future__ import annotations`), and their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engineio_core.callbacks import describe_function, find_innermost


def evaluate(annotation: str, function: Callable[..., Any], name: str) -> Any:
    """Return the value of an annotation that is text (`from __future__ import annotations`)."""
    inner = find_innermost(function)
    try:
        return eval(annotation, getattr(inner, "__globals__", {}), _closure_of(inner))
    except Exception as error:
        raise TypeError(
            f"{describe_function(function)}: the type of {name!r} cannot be resolved ({error}): "
            "define it at the top of a module, outside of TYPE_CHECKING"
        ) from None


def _closure_of(function: Any) -> dict[str, Any]:
    """Return the enclosing variables that a function uses and that have a value by now."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    variables = {}
    for name, cell in zip(names, getattr(function, "__closure__", None) or (), strict=False):
        try:
            variables[name] = cell.cell_contents
        except ValueError:  # the function itself, while it is being decorated
            continue
    return variables


def evaluate_or_none(annotation: str, function: Callable[..., Any], name: str) -> Any:
    """Return the value of an annotation; None if it is not defined at run time."""
    try:
        return evaluate(annotation, function, name)
    except TypeError:
        return None
