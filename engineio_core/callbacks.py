"""Checks of functions that users register, and of what these functions return.

A function that the server never awaits must be a plain function: a coroutine function or a
generator function would return an object without running. Registration rejects both.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeGuard

_DEFERRED_FLAGS: Final = (
    inspect.CO_COROUTINE
    | inspect.CO_GENERATOR
    | inspect.CO_ASYNC_GENERATOR
    | inspect.CO_ITERABLE_COROUTINE
)


def require_callable(name: str, function: Any) -> None:
    """Raise TypeError unless `function` can be called; `name` names the parameter or hook."""
    if not callable(function):
        raise TypeError(f"{name} must be a function, got {function!r}")


def require_plain_function(name: str, function: Any) -> None:
    """Raise TypeError unless `function` is callable and runs to its end when it is called."""
    require_callable(name, function)
    if kind := _describe_deferred(function):
        raise TypeError(
            f"{name} must be a plain function, got the {kind} {describe_function(function)}: "
            "use `def` without `yield`, and start a task for work that awaits"
        )


def require_function_or_coroutine_function(name: str, function: Any) -> None:
    """Raise TypeError unless `function` is a plain function or a coroutine function."""
    require_callable(name, function)
    kind = _describe_deferred(function)
    if kind is not None and kind != "coroutine function":
        raise TypeError(
            f"{name} must be a plain function or a coroutine function, got the {kind} "
            f"{describe_function(function)}: return a value and do not `yield`"
        )


def read_signature(function: Any) -> inspect.Signature | None:
    """Return the signature of a function; None if it is unknown.

    Builtins may have no signature. Compiled functions may have one without parameters although
    they take some: mypyc does this for coroutine functions.
    """
    try:
        signature = inspect.signature(function)
    except ValueError:
        return None
    if not signature.parameters and not _is_python(find_innermost(function)):
        return None
    return signature


def _is_python(function: Any) -> bool:
    return inspect.isfunction(function) or isinstance(function, type)


def find_innermost(function: Any) -> Any:
    """Return the plain function inside wrappers, partials, methods and callable objects."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif inspect.ismethod(function):
            function = function.__func__
        elif _is_python(function) or not inspect.isfunction(
            getattr(type(function), "__call__", None)  # noqa: B004 - where an object keeps it
        ):
            return function
        else:
            function = type(function).__call__


def require_parameters(name: str, function: Any, parameters: tuple[str, ...]) -> None:
    """Raise TypeError unless a function can be called with these positional arguments."""
    if not accepts(function, parameters):
        raise TypeError(
            f"{name} is called as f({', '.join(parameters)}), which "
            f"{describe_function(function)}{inspect.signature(function)} does not accept: "
            f"declare {len(parameters)} positional parameter{'s' if len(parameters) != 1 else ''}"
        )


def accepts(function: Any, parameters: tuple[str, ...]) -> bool:
    """Return whether a function can be called with these positional arguments."""
    signature = read_signature(function)
    if signature is None:
        return True
    try:
        signature.bind(*parameters)
    except TypeError:
        return False
    return True


def unwrap(function: Any) -> Any:
    """Return the function that a partial, a bound method or a callable object calls.

    A decorated function (`__wrapped__`) is not unwrapped: the decorator may return something else.
    """
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif inspect.isfunction(function) or isinstance(function, type):
            return function
        else:
            call = getattr(type(function), "__call__", None)  # noqa: B004 - the method is needed
            if not inspect.isfunction(call):
                return function
            function = call


def is_awaitable(result: Any) -> TypeGuard[Awaitable[Any]]:
    """Return whether a function that must be plain returned an awaitable."""
    return inspect.isawaitable(result)


def discard_awaitable(result: Any) -> None:
    """Close a coroutine, or cancel a future, that no code will await."""
    if inspect.iscoroutine(result):
        result.close()
    elif callable(cancel := getattr(result, "cancel", None)):
        cancel()


def describe_function(function: Callable[..., Any]) -> str:
    """Return the name of a function for an error message."""
    return getattr(function, "__qualname__", None) or repr(function)


def _describe_deferred(function: Any) -> str | None:
    """Return the kind of a function that returns an object instead of running, else None."""
    code = getattr(function, "__code__", None)
    if code is not None and not code.co_flags & _DEFERRED_FLAGS:
        return None  # most functions: four calls of `inspect` take ten times as long
    inner = unwrap(function)
    if inspect.iscoroutinefunction(inner):
        return "coroutine function"
    if inspect.isasyncgenfunction(inner):
        return "async generator function"
    if inspect.isgeneratorfunction(inner):
        return "generator function"
    return None
