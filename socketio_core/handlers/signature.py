"""The signatures of handlers: their parameters with the types of the arguments of an event.

Raises TypeError for a function that cannot be a handler.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable
from inspect import Parameter
from typing import Annotated, Any, Final, NamedTuple, TypeVar, Union

from engineio_core.callbacks import describe_function, read_signature
from socketio_core.handlers.annotations import evaluate, evaluate_or_none
from socketio_core.payloads.check import resolve_check

MANY: Final = 1_000_000  # the number of arguments that `*args` accepts
NOT_A_SOCKET: Final = frozenset({
    "sid", "environ", "auth", "data", "payload", "message", "msg", "body", "event", "name",
    "reason", "args", "id", "room", "text", "value", "json", "request", "ack", "callback", "cb",
})  # fmt: skip
"""Names of a first parameter without annotation that show that the socket was forgotten."""
_CALLBACKS: Final = frozenset({"ack", "callback", "cb"})
"""Names of a last parameter without annotation that is meant as Node's callback for the ack."""


class HandlerSocket:
    """Base of the classes that a handler may name as the type of its first parameter."""

    __slots__ = ()


class EarlyAck:
    """Base of the class that a handler names as the type of its ack."""

    __slots__ = ()


class Signature(NamedTuple):
    """The parameters of a handler, without the socket."""

    least: int
    most: int
    names: tuple[str, ...]
    kinds: tuple[Any, ...]
    """The type of each argument; Any for one that is not checked."""
    rest: Any
    """The type of each argument that `*args` takes; its name is the last of `names`."""
    ack_name: str | None = None
    """The name of the parameter for the ack, if the handler answers itself."""


def read_handler_signature(function: Callable[..., Any], takes_socket: bool) -> Signature:
    """Return the signature of a handler, which takes the socket first if `takes_socket`."""
    signature = read_signature(function)
    if signature is None:
        return Signature(0, MANY, (), (), Any)
    parameters = list(signature.parameters.values())
    if takes_socket:
        parameters = _without_socket(function, parameters)
    else:
        _refuse_socket(function, parameters)
    if takes_socket:
        _refuse_second_socket(function, parameters)
    ack_name = _take_ack(function, parameters)
    last = parameters[-1] if parameters else None
    if last is not None and last.name in _CALLBACKS and last.annotation is Parameter.empty:
        raise TypeError(
            f"{describe_function(function)} must not take a callback, got the parameter "
            f"{last.name!r}: return the value of the ack, or write {last.name}: Ack to answer "
            "before the handler ends"
        )
    least, most, rest = 0, 0, Any
    names: list[str] = []
    kinds: list[Any] = []
    for parameter in parameters:
        if parameter.kind is Parameter.KEYWORD_ONLY:
            if parameter.default is Parameter.empty:
                raise TypeError(
                    f"{describe_function(function)} must not require the keyword "
                    f"{parameter.name!r}: events have positional arguments only"
                )
        elif parameter.kind is Parameter.VAR_POSITIONAL:
            most = MANY
            names.append(parameter.name)
            rest = _resolve_type(function, parameter)
        elif parameter.kind is not Parameter.VAR_KEYWORD:
            most += 1
            least += parameter.default is Parameter.empty
            names.append(parameter.name)
            kinds.append(_resolve_type(function, parameter))
    return Signature(least, most, tuple(names), tuple(kinds), rest, ack_name)


def _take_ack(function: Callable[..., Any], parameters: list[Parameter]) -> str | None:
    """Remove the parameter for the ack from the parameters, and return its name.

    Raises TypeError for one that cannot be passed by its name after all others.
    """
    found = [each for each in parameters if is_ack(each.annotation, function, each.name)]
    if not found:
        return None
    after = parameters[parameters.index(found[0]) + 1 :]
    is_last = all(each.kind in {Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD} for each in after)
    named = found[0].kind in {Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD}
    if len(found) > 1 or not named or not (is_last or found[0].kind is Parameter.KEYWORD_ONLY):
        raise TypeError(
            f"{describe_function(function)} must take one ack, as its last parameter, got "
            f"{', '.join(map(str, found))}: move it behind the arguments of the event"
        )
    parameters.remove(found[0])
    return found[0].name


def is_ack(annotation: Any, function: Callable[..., Any], name: str) -> bool:
    """Return whether a parameter with this annotation receives the ack."""
    if isinstance(annotation, str):
        if "Ack" not in annotation:
            return False
        annotation = evaluate_or_none(annotation, function, name)
    kind = typing.get_origin(annotation) or annotation
    return isinstance(kind, type) and _is_subclass(kind, EarlyAck)


def _without_socket(function: Callable[..., Any], parameters: list[Parameter]) -> list[Parameter]:
    first = parameters[0] if parameters else None
    if first is not None and first.kind is Parameter.VAR_POSITIONAL:
        # The socket is one of the many, so they can't have one type.
        return [first.replace(annotation=Parameter.empty), *parameters[1:]]
    if first is None or first.kind in {Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD}:
        raise TypeError(
            f"{describe_function(function)} must take the socket as its first parameter"
        )
    if first.name in {"self", "cls"}:
        raise TypeError(
            f"{describe_function(function)} must be bound to an object, because its first "
            f'parameter is {first.name!r}: mark the method with @event("name") and call '
            "register(object)"
        )
    annotation = first.annotation
    if isinstance(annotation, str):
        annotation = evaluate_or_none(annotation, function, first.name)
    if annotation is None or annotation is Parameter.empty:
        is_wrong = first.name in NOT_A_SOCKET
    else:
        is_wrong = not _accepts_socket(annotation)
    if is_wrong:
        raise TypeError(
            f"{describe_function(function)} must take the socket as its first parameter, "
            f"got {first}: write def {getattr(function, '__name__', 'handler')}"
            "(socket: Socket, ...); the id is socket.id, "
            "the request and auth are in socket.handshake"
        )
    return parameters[1:]


def _refuse_second_socket(function: Callable[..., Any], parameters: list[Parameter]) -> None:
    """Raise TypeError for a socket that is not the first parameter."""
    for parameter in parameters:
        if _is_socket(parameter):
            raise TypeError(
                f"{describe_function(function)} must take the socket as its first parameter only, "
                f"got {parameter}: move it to the front"
            )


def _is_socket(parameter: Parameter) -> bool:
    """Return whether a parameter has the type of a socket, or the name without a type."""
    annotation = parameter.annotation
    if annotation is Parameter.empty:
        return parameter.name == "socket"
    if isinstance(annotation, str):
        return re.search(r"\bSocket\b", annotation) is not None
    annotation = typing.get_origin(annotation) or annotation
    return isinstance(annotation, type) and _is_subclass(annotation, HandlerSocket)


def _refuse_socket(function: Callable[..., Any], parameters: list[Parameter]) -> None:
    """Raise TypeError for a first parameter that is a socket, where handlers take none."""
    if not parameters:
        return
    first = parameters[0]
    if _is_socket(first):
        raise TypeError(
            f"{describe_function(function)} must not take the socket: functions registered with "
            "a socket, and those of server events, are called without it; "
            f"remove the parameter {first}"
        )


def _accepts_socket(annotation: Any) -> bool:
    """Return whether a socket may have this type. A form that is not known counts as yes."""
    if annotation is Any or annotation is object:
        return True
    origin = typing.get_origin(annotation)
    if origin is Union or origin is types.UnionType:
        return any(_accepts_socket(each) for each in typing.get_args(annotation))
    if origin is Annotated:
        return _accepts_socket(typing.get_args(annotation)[0])
    if isinstance(annotation, TypeVar):
        allowed = annotation.__constraints__ or (annotation.__bound__ or Any,)
        return any(isinstance(each, typing.ForwardRef) or _accepts_socket(each) for each in allowed)
    if hasattr(annotation, "__supertype__"):  # typing.NewType
        return _accepts_socket(annotation.__supertype__)
    annotation = origin if origin is not None else annotation
    if not isinstance(annotation, type) or getattr(annotation, "_is_protocol", False):
        return True
    return any(
        _is_subclass(annotation, kind) or _is_subclass(kind, annotation)
        for kind in (HandlerSocket, *HandlerSocket.__subclasses__())
    )


def _is_subclass(kind: Any, parent: Any) -> bool:
    try:
        return issubclass(kind, parent)
    except TypeError:  # a TypedDict
        return False


def _resolve_type(function: Callable[..., Any], parameter: Parameter) -> Any:
    """Return the type that an argument is checked against; Any if it is not checked."""
    annotation = parameter.annotation
    if isinstance(annotation, str):
        annotation = evaluate(annotation, function, parameter.name)
    if annotation is Parameter.empty or annotation is object or annotation is Any:
        return Any
    if typing.get_origin(annotation) is Annotated and annotation.__origin__ is Any:
        return Any
    try:
        return resolve_check(annotation)
    except TypeError as why:
        raise TypeError(
            f"{describe_function(function)}: payloads cannot be checked against the type of "
            f"{parameter.name!r}, {annotation!r} ({why}): use a dataclass, a TypedDict, a "
            "msgspec.Struct, a pydantic model or a built-in type, or dict and a check in the "
            "handler"
        ) from None
