"""The events of a server with their types, read from its handlers and declared events.

`typescript` and `asyncapi` print them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import (
    Any,
    Final,
    Literal,
    NamedTuple,
    NotRequired,
    Protocol,
    TypedDict,
    get_args,
    get_origin,
)

from engineio_core.callbacks import read_signature
from socketio_core.handlers.annotations import evaluate
from socketio_core.handlers.handler import Handler
from socketio_core.handlers.registry import Registry
from socketio_core.handlers.signature import is_ack
from socketio_core.schema.json_schema import Schemas
from socketio_core.schema.markers import DocumentedAs, find_marker
from socketio_core.server_events import ServerEvent


class InvalidField(TypedDict):
    """A field of a payload, and the problem with its value."""

    path: str
    message: str


class Refusal(TypedDict):
    """The ack of a failed event."""

    success: Literal[False]
    error: str
    code: str
    fields: NotRequired[list[InvalidField]]
    data: NotRequired[Any]


class Argument(NamedTuple):
    """An argument of an event; `is_rest` marks one that stands for any number of arguments."""

    name: str
    type: Any
    required: bool
    is_rest: bool = False


class Event(NamedTuple):
    """An event: its arguments, and the types of the arguments of its ack.

    `answer` is None for an event without an ack, and `is_typed` whether its types are declared.
    With `is_answer_rest`, the type of the ack stands for any number of arguments.
    """

    name: str
    arguments: tuple[Argument, ...]
    answer: tuple[Any, ...] | None
    description: str
    is_typed: bool = True
    is_answer_rest: bool = False


class NamespaceEvents(NamedTuple):
    """The events of a namespace, from the view of the server; `name` may be a pattern."""

    name: str
    received: tuple[Event, ...]
    sent: tuple[Event, ...]


class Contract(NamedTuple):
    """The events of all namespaces, and the type of the ack of a failed event."""

    namespaces: tuple[NamespaceEvents, ...]
    refusal: Any

    def schemas(self, prefix: str) -> Schemas:
        """Return the schemas of all types. Raises TypeError, with the event, for a type without."""
        received, sent = self.types()
        try:
            return Schemas(received=received, sent=sent, prefix=prefix)
        except TypeError:
            for namespace in self.namespaces:
                for event in (*namespace.received, *namespace.sent):
                    _check_types(event)
            raise

    def types(self) -> tuple[list[Any], list[Any]]:
        """Return the types that the server receives, and those that it sends."""
        received: list[Any] = []
        sent: list[Any] = [self.refusal]
        for namespace in self.namespaces:
            for events, arguments, answers in (
                (namespace.received, received, sent),
                (namespace.sent, sent, received),
            ):
                for event in events:
                    arguments += [each.type for each in event.arguments]
                    answers += event.answer or ()
        return received, sent


class Registered(Protocol):
    """A namespace, as the contract reads it."""

    def _registry(self) -> Registry:
        """Return the registry of the namespace."""


def read_contract(
    namespaces: Mapping[str, Registered], error_ack: Callable[[BaseException], Any]
) -> Contract:
    """Return the events of namespaces. Raises TypeError for a type that cannot be resolved."""
    found = []
    for name, namespace in sorted(namespaces.items()):
        registry = namespace._registry()
        received = tuple(
            _received(event, handlers)
            for event, handlers in sorted(registry.table.handlers.items())
        )
        sent = tuple(_declared(each) for _, each in sorted(registry.declared.items()))
        if received or sent:
            found.append(NamespaceEvents(name, received, sent))
    return Contract(tuple(found), _refusal_of(error_ack))


def _received(name: str, handlers: Iterable[Handler]) -> Event:
    """Return the event of the handlers of a name; the first one with annotations decides."""
    every = list(handlers)
    annotated = [each for each in every if getattr(each.function, "__annotations__", None)]
    handler = (annotated or every)[0]
    function = handler.function
    arguments, answer = _read(function, skip=1 if handler.takes_socket else 0)
    is_typed = answer is not inspect.Parameter.empty
    types, is_rest = _answers(answer)
    return Event(name, arguments, types, _description(function), is_typed, is_rest)


def _declared(event: ServerEvent[..., Any]) -> Event:
    arguments, answer = _read(event.function, skip=0)
    is_answered = answer is not None and answer is not inspect.Parameter.empty
    types, is_rest = _answers(answer) if is_answered else (None, False)
    return Event(event.name, arguments, types, _description(event.function), is_answer_rest=is_rest)


def _read(function: Callable[..., Any], skip: int) -> tuple[tuple[Argument, ...], Any]:
    """Return the arguments of a function after the first ones, and the type of its result."""
    signature = read_signature(function)
    if signature is None:
        return (Argument("args", Any, required=False, is_rest=True),), Any
    arguments = []
    answer: Any = inspect.Parameter.empty
    parameters = list(signature.parameters.values())
    if skip and parameters and parameters[0].kind is inspect.Parameter.VAR_POSITIONAL:
        # The socket is one of the many.
        parameters.insert(0, parameters[0].replace(annotation=inspect.Parameter.empty))
        parameters[1] = parameters[0]
    for parameter in parameters[skip:]:
        if is_ack(parameter.annotation, function, parameter.name):
            answer = _answer_of(parameter.annotation, function, parameter.name)
            continue
        if parameter.kind in {parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD}:
            continue
        kind, marker = _resolve(parameter.annotation, function, parameter.name)
        is_rest = parameter.kind is parameter.VAR_POSITIONAL
        is_optional = parameter.default is not parameter.empty
        if marker is not None:
            is_optional = marker.optional
        arguments.append(Argument(parameter.name, kind, not (is_optional or is_rest), is_rest))
    if answer is not inspect.Parameter.empty or (
        signature.return_annotation is inspect.Signature.empty
    ):
        return tuple(arguments), answer
    return tuple(arguments), _resolve(signature.return_annotation, function, "return")[0]


def _answer_of(annotation: Any, function: Callable[..., Any], name: str) -> Any:
    """Return the type in `Ack[type]`; Any without a type."""
    if isinstance(annotation, str):
        annotation = evaluate(annotation, function, name)
    return next(iter(get_args(annotation)), Any)


def _resolve(
    annotation: Any, function: Callable[..., Any], name: str
) -> tuple[Any, DocumentedAs | None]:
    """Return the documented type of an annotation, and its marker."""
    if isinstance(annotation, str):
        annotation = evaluate(annotation, function, name)
    if annotation is inspect.Parameter.empty or annotation is object:
        return Any, None
    marker = find_marker(annotation)
    return (annotation if marker is None else marker.type), marker


def _answers(annotation: Any) -> tuple[tuple[Any, ...], bool]:
    """Return the types of the arguments of an ack, and whether the type is that of any number.

    A tuple is several arguments, None is an ack without arguments.
    """
    if annotation is None or annotation is type(None):
        return (), False
    if annotation is inspect.Parameter.empty:
        return (Any,), False
    arguments = get_args(annotation)
    if annotation is tuple:
        return (Any,), True
    if get_origin(annotation) is not tuple:
        return (annotation,), False
    if Ellipsis in arguments:
        return (arguments[0],), True
    return tuple(arguments), False


def _check_types(event: Event) -> None:
    for each in (*(argument.type for argument in event.arguments), *(event.answer or ())):
        try:
            Schemas(received=[each], sent=[each])
        except TypeError as error:
            raise TypeError(f"the event {event.name!r} cannot be described: {error}") from None


def _description(function: Callable[..., Any]) -> str:
    return inspect.cleandoc(getattr(function, "__doc__", None) or "")


_UNTYPED: Final = (Any, dict, dict[str, Any], inspect.Parameter.empty)


def _refusal_of(error_ack: Callable[[BaseException], Any]) -> Any:
    """Return the type that the function of the option `error_ack` returns."""
    _, answer = _read(error_ack, skip=1)
    return Refusal if any(answer == each for each in _UNTYPED) else answer
