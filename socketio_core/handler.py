"""What a handler is: a function, and what was found out about it when it was registered.

Knows: signatures, payload types, coroutine functions.
Does not know: who calls it, what becomes of its result; a socket is whoever is handed to it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

import msgspec

from .errors import PayloadInvalid

MANY: Final = 1_000_000  # what `*args` can take
_UNCHECKED: Final = (Any, inspect.Parameter.empty, object)


class Handler:
    """A function that is called with a socket (if `takes_socket`) and the arguments of an event."""

    __slots__ = ("function", "is_async", "least", "most", "parameters", "takes_socket")

    def __init__(self, function: Callable[..., Any], *, takes_socket: bool = True) -> None:
        """Look at the function. Raises TypeError for one that can't be a handler."""
        self.function = function
        self.takes_socket = takes_socket
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
        )
        self.least, self.most, self.parameters = _read_signature(function, takes_socket)

    def prepare(self, args: list[Any]) -> list[Any]:
        """Return the arguments as the handler wants them. Raises PayloadInvalid.

        More arguments than it takes are dropped, as in JavaScript.
        """
        if len(args) < self.least:
            missing = self.least - len(args)
            raise PayloadInvalid(
                f"{missing} more argument{'s' if missing > 1 else ''} expected",
                self._missing(len(args)),
            )
        args = args[: self.most]
        if self.parameters is not None:
            for index, (name, kind) in enumerate(self.parameters[: len(args)]):
                if kind is not None:
                    args[index] = _convert(args[index], kind, name)
        return args

    def _missing(self, given: int) -> list[dict[str, str]]:
        names = [name for name, _ in self.parameters or ()] or [str(i) for i in range(self.least)]
        return [{"path": name, "message": "required"} for name in names[given : self.least]]


def _read_signature(
    function: Callable[..., Any], takes_socket: bool
) -> tuple[int, int, tuple[tuple[str, Any], ...] | None]:
    """Return the least and the most arguments, and (name, type or None) of each."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # a builtin that tells nothing of itself
        return 0, MANY, None
    parameters = list(signature.parameters.values())
    if takes_socket:
        if not parameters:
            raise TypeError(f"{_name_of(function)} takes no socket: its first parameter is one")
        if parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
            parameters = parameters[1:]
    least, most = 0, 0
    typed: list[tuple[str, Any]] = []
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            most = MANY
        elif parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            if parameter.default is inspect.Parameter.empty:
                raise TypeError(f"{_name_of(function)}: events have no keyword {parameter.name!r}")
        elif parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            most += most < MANY
            least += parameter.default is inspect.Parameter.empty
            typed.append((parameter.name, _resolve_type(function, parameter)))
    has_types = any(kind is not None for _, kind in typed)
    return least, most, tuple(typed) if typed and (has_types or least) else None


def _resolve_type(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """Return the type that an argument is checked against; None if anything goes."""
    annotation = parameter.annotation
    if isinstance(annotation, str):
        inner = inspect.unwrap(function)
        inner = getattr(inner, "__func__", inner)
        scope = inspect.getclosurevars(inner).nonlocals if inspect.isfunction(inner) else {}
        try:
            annotation = eval(annotation, getattr(inner, "__globals__", {}), dict(scope))
        except NameError as error:
            raise TypeError(
                f"{_name_of(function)}: the type of {parameter.name!r} can't be resolved "
                f"({error}); define it at the top of a module, outside of TYPE_CHECKING"
            ) from None
    if any(annotation is unchecked for unchecked in _UNCHECKED):
        return None
    kind = msgspec.inspect.type_info(annotation)
    if isinstance(kind, msgspec.inspect.CustomType):
        raise TypeError(
            f"{_name_of(function)}: {parameter.name!r} is of a type that payloads can't be checked "
            f"against: {annotation!r}"
        )
    return annotation


def _convert(value: Any, kind: Any, name: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        path = f"{name}{path.rstrip('`')}" if path else name
        raise PayloadInvalid(f"{path}: {message}", [{"path": path, "message": message}]) from None


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
