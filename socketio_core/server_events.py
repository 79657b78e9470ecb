"""Declared events: events with the types of their arguments, which type checkers compare at `emit`.

`schema` describes declared events to clients.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, TypeVar

from engineio_core.callbacks import describe_function, read_signature
from socketio_core.codec.packet import RESERVED_EVENTS

P = ParamSpec("P")
Answer = TypeVar("Answer")

_SHOWN: Final = 60

if TYPE_CHECKING:

    class ServerEvent(Generic[P, Answer]):
        """An event with the types of its arguments and of the client's ack."""

        @property
        def name(self) -> str:
            """The name of the event."""

        @property
        def function(self) -> Callable[P, Answer]:
            """The function whose signature declares the event."""

else:

    class ServerEvent(str):
        """An event with the types of its arguments and of the client's ack.

        At run time the event is its name, so that `emit` does no additional work. Type checkers see
        a class of its own: otherwise they would accept any arguments, as for a string.
        """

        __slots__ = ("function",)

        def __new__(cls, name: str, function: Callable[..., Any]) -> ServerEvent:
            """Create the name of an event that a function declares."""
            self = super().__new__(cls, name)
            self.function = function
            return self

        def __class_getitem__(cls, item: Any) -> type[ServerEvent]:
            return cls

        @property
        def name(self) -> str:
            """The name of the event."""
            return str(self)

        def __str__(self) -> str:
            return str.__str__(self)

        def __repr__(self) -> str:
            return f"<ServerEvent {str(self)!r}>"


def server_event(name: str) -> Callable[[Callable[P, Answer]], ServerEvent[P, Answer]]:
    """Declare an event of the server by the signature of a function, which is never called.

        @server_event("task:moved")
        def task_moved(task: Task) -> None:
            '''A task is in another column.'''

        io.declare(task_moved)
        io.emit(task_moved, Task(...))

    The parameters are the arguments of the event. The result is the type of the client's ack; None
    stands for an event without an ack. The docstring describes the event in generated documents.
    """
    if callable(name):
        raise TypeError(
            f"@server_event needs the name of the event: write @server_event("
            f"{describe_function(name)!r}) above the function"
        )
    if name.__class__ is not str or not name:
        raise TypeError(f"@server_event needs the name of the event as a string, got {name!r}")
    if name in RESERVED_EVENTS:
        raise ValueError(f"{name!r} is a reserved event name: use another name")

    def declare(function: Callable[P, Answer]) -> ServerEvent[P, Answer]:
        signature = read_signature(function)
        if signature is None:
            raise TypeError(
                f"@server_event must decorate a function with a signature, got {function!r}"
            )
        for parameter in signature.parameters.values():
            if parameter.kind in {parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD}:
                raise TypeError(
                    f"{describe_function(function)} must not have the keyword parameter "
                    f"{parameter.name!r}: events have positional arguments only"
                )
        return ServerEvent(name, function)  # type: ignore[call-arg]

    return declare


def collect_events(declared: tuple[Any, ...]) -> list[ServerEvent[..., Any]]:
    """Return the declared events among events, and modules or classes that contain events.

    Raises TypeError for other values, and for a module or class without an event.
    """
    found: list[ServerEvent[..., Any]] = []
    for each in declared:
        if isinstance(each, ServerEvent):
            found.append(each)
            continue
        if not isinstance(each, ModuleType | type):
            raise TypeError(
                f"declare() needs events, or a module or class that contains them, got "
                f"{each!r:.{_SHOWN}}: declare an event with @server_event"
            )
        inside = [value for value in vars(each).values() if isinstance(value, ServerEvent)]
        if not inside:
            raise TypeError(
                f"declare() found no event in {each.__name__}: declare events with @server_event"
            )
        found += inside
    return found
