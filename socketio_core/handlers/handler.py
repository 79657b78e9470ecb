"""What a handler is: a function, and what was found out about it when it was registered.

Knows: signatures, payload types.
Does not know: who calls it, what becomes of its result; a socket is whoever is handed to it.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from inspect import Parameter
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import ValidationError, convert

from socketio_core.errors import PayloadValidationError

MANY: Final = 1_000_000  # what `*args` can take
_MISSING_FIELD: Final = re.compile("Object missing required field `(.+)`")


class Handler:
    """A function that is called with a socket (if `takes_socket`) and the arguments of an event."""

    __slots__ = ("_checks", "_signature", "function", "given", "is_typed", "least", "most",
                 "takes_socket")  # fmt: skip

    def __init__(self, function: Callable[..., Any], *, takes_socket: bool = True) -> None:
        """Look at the function. Raises TypeError for one that can't be a handler."""
        self.function = function
        self.takes_socket = takes_socket
        self._signature = signature = _read_signature(function, takes_socket)
        self.least = signature.least
        self.most = signature.most
        self._checks = [(i, kind) for i, kind in enumerate(signature.kinds) if kind is not Any]
        # Whether `prepare` must see all arguments, even if their number fits
        self.is_typed = bool(self._checks) or signature.rest is not Any
        # How many arguments are taken as they are, behind the socket; -1: see `prepare` for each
        takes_as_given = takes_socket and self.least == self.most and not self.is_typed
        self.given = self.least if takes_as_given else -1

    def call(self, socket: Any, data: list[Any]) -> Any:
        """Call the function with the arguments of an event, `[name, *args]`, as it wants them.

        Raises PayloadValidationError, and what the function raises.
        """
        args = data[1:]
        if len(args) != self.given:
            args = self.prepare(args)
        return self.function(socket, *args) if self.takes_socket else self.function(*args)

    def prepare(self, args: list[Any]) -> list[Any]:
        """Make the arguments what the handler wants them to be. Raises PayloadValidationError.

        More arguments than it takes are dropped, as in JavaScript.
        """
        given = len(args)
        if given < self.least:
            raise self._too_few(given)
        if given > self.most:
            del args[self.most :]
        index = 0
        try:
            for index, kind in self._checks:
                if index < given:
                    args[index] = convert(args[index], kind)
            if self._signature.rest is not Any:
                for index in range(len(self._signature.kinds), given):
                    args[index] = convert(args[index], self._signature.rest)
        except ValidationError as error:
            raise self._unfit(index, error) from None
        return args

    def _too_few(self, given: int) -> PayloadValidationError:
        missing = self._signature.names[given : self.least]
        return PayloadValidationError(
            f"{len(missing)} more argument{'s' if len(missing) > 1 else ''} expected",
            [{"path": name, "message": "required"} for name in missing],
        )

    def _unfit(self, index: int, error: ValidationError) -> PayloadValidationError:
        names = self._signature.names
        name = names[min(index, len(names) - 1)]
        message, _, path = str(error).partition(" - at `$")
        path = f"{name}{path.rstrip('`')}" if path else name
        if missing := _MISSING_FIELD.fullmatch(message):
            path = f"{path}.{missing[1]}"
        return PayloadValidationError(f"{path}: {message}", [{"path": path, "message": message}])


class _Signature(NamedTuple):
    """What there is to know of a handler's parameters."""

    least: int
    most: int
    names: tuple[str, ...]
    kinds: tuple[Any, ...]
    """What each argument is checked against; Any for one that is not."""
    rest: Any
    """What those are checked against that `*args` takes, whose name is the last of `names`."""


def _read_signature(function: Callable[..., Any], takes_socket: bool) -> _Signature:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # a builtin that tells nothing of itself
        return _Signature(0, MANY, (), (), Any)
    if takes_socket:
        parameters = _without_socket(function, parameters)
    least, most, rest = 0, 0, Any
    names: list[str] = []
    kinds: list[Any] = []
    for parameter in parameters:
        if parameter.kind is Parameter.KEYWORD_ONLY:
            if parameter.default is Parameter.empty:
                raise TypeError(f"{_name_of(function)}: events have no keyword {parameter.name!r}")
        elif parameter.kind is Parameter.VAR_POSITIONAL:
            most = MANY
            names.append(parameter.name)
            rest = _resolve_type(function, parameter)
        elif parameter.kind is not Parameter.VAR_KEYWORD:
            most += 1
            least += parameter.default is Parameter.empty
            names.append(parameter.name)
            kinds.append(_resolve_type(function, parameter))
    return _Signature(least, most, tuple(names), tuple(kinds), rest)


def _without_socket(function: Callable[..., Any], parameters: list[Parameter]) -> list[Parameter]:
    first = parameters[0] if parameters else None
    if first is not None and first.kind is Parameter.VAR_POSITIONAL:
        # The socket is one of the many, so they can't have one type.
        return [first.replace(annotation=Parameter.empty), *parameters[1:]]
    if first is None or first.kind in {Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD}:
        raise TypeError(f"{_name_of(function)} takes no socket: its first parameter is one")
    return parameters[1:]


def _resolve_type(function: Callable[..., Any], parameter: Parameter) -> Any:
    """Return the type that an argument is checked against; Any if anything goes."""
    annotation = parameter.annotation
    if isinstance(annotation, str):
        annotation = _evaluate(annotation, function, parameter.name)
    if annotation is Parameter.empty or annotation is object or annotation is Any:
        return Any
    try:
        # It asks more of a type than a check needs, but it goes through all of its parts.
        msgspec.json.schema(annotation)
        msgspec.json.Decoder(annotation)
    except Exception as error:
        # Its last words say what is wrong; those before, what somebody could do who calls msgspec.
        why = str(error).rpartition("\n\n")[2]
        raise TypeError(
            f"{_name_of(function)}: {parameter.name!r} is of a type that payloads can't be "
            f"checked against: {annotation!r} ({why})"
        ) from None
    return annotation


def _evaluate(annotation: str, function: Callable[..., Any], name: str) -> Any:
    """Return what an annotation means that is text, as all are with `annotations` imported."""
    inner = _innermost(function)
    variables = inspect.getclosurevars(inner).nonlocals if inspect.isfunction(inner) else {}
    try:
        return eval(annotation, getattr(inner, "__globals__", {}), dict(variables))
    except Exception as error:
        raise TypeError(
            f"{_name_of(function)}: the type of {name!r} can't be resolved ({error}); "
            "define it at the top of a module, outside of TYPE_CHECKING"
        ) from None


def _innermost(function: Any) -> Any:
    """Return the plain function inside of wrappers, partials, methods and callable objects."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif inspect.ismethod(function):
            function = function.__func__
        elif inspect.isfunction(function) or not inspect.isfunction(
            getattr(type(function), "__call__", None)  # noqa: B004 - where an object keeps it
        ):
            return function
        else:
            function = type(function).__call__


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
