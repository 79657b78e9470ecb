"""What is registered for a namespace: handlers, middlewares, listeners.

Knows: names and order.  Does not know: sockets, and when any of it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .event_table import LIFECYCLE, EventTable
from .handler import Handler
from .parser import RESERVED_EVENTS

if TYPE_CHECKING:
    from .socket_ import Socket

Function = TypeVar("Function", bound=Callable[..., Any])

EVENT_MARK: Final = "__socketio_events__"


def event(name: str) -> Callable[[Function], Function]:
    """Mark a method as the handler of an event, for `namespace.register(object)`."""

    def mark(function: Function) -> Function:
        setattr(function, EVENT_MARK, (*getattr(function, EVENT_MARK, ()), name))
        return function

    return mark


class Registry:
    """What is registered for a namespace: handlers, middlewares, listeners."""

    __slots__ = ("any", "event_middlewares", "is_plain", "lifecycle", "middlewares", "table",
                 "unhandled_handler")  # fmt: skip

    def __init__(self) -> None:
        self.table = EventTable()
        self.lifecycle = EventTable()
        self.middlewares: list[Callable[[Socket], Any]] = []
        self.event_middlewares: list[Callable[[Socket, list[Any]], Any]] = []
        self.any: list[Callable[..., Any]] = []
        self.unhandled_handler: Handler | None = None
        # Whether an event needs nothing but its handler: asked for each one
        self.is_plain = True

    # -- handlers

    def on(self, event: str, function: Function | None = None) -> Any:
        """Call `function(socket, *args)` for an event; without it, a decorator.

        Plain or async; what it returns is the ack; its annotations are checked before it is
        called. `connection`, `disconnecting` and `disconnect` are the server's own events; the
        latter two have the reason and its description as arguments. Raises TypeError for a
        function that can't be a handler, ValueError for a reserved name.
        """
        if function is None:
            return lambda decorated: self.on(event, decorated)
        self._table(event).add(_canonical(event), Handler(function))
        return function

    def once(self, event: str, function: Function | None = None) -> Any:
        """Do as `on`, for the next event only."""
        if function is None:
            return lambda decorated: self.once(event, decorated)
        self._table(event).add(_canonical(event), Handler(function), once=True)
        self.is_plain = False
        return function

    def prepend(self, event: str, function: Function) -> Function:
        """Do as `on`, before the handlers that are there."""
        self._table(event).add(_canonical(event), Handler(function), first=True)
        return function

    def off(self, event: str | None = None, function: Callable[..., Any] | None = None) -> None:
        """Remove a function, an event's functions, or all."""
        name = _canonical(event) if event is not None else None
        self.table.remove(name, function)
        self.lifecycle.remove(name, function)

    def _table(self, event: str) -> EventTable:
        name = _canonical(event)
        if name in LIFECYCLE:
            return self.lifecycle
        if name in RESERVED_EVENTS:
            raise ValueError(f"{event!r} is a reserved event name: no client can send it")
        return self.table

    def on_unhandled(self, function: Function) -> Function:
        """Call `function(socket, event, *args)` for events without a handler; it may answer."""
        self.unhandled_handler = Handler(function)
        return function

    def register(self, handlers: object) -> None:
        """Register the methods of an object that `socketio_core.event` has marked."""
        found = False
        for name in dir(handlers):
            method = getattr(handlers, name, None)
            for event in getattr(method, EVENT_MARK, ()):
                self.on(event, method)
                found = True
        if not found:
            raise TypeError(f"{type(handlers).__name__} has no method marked with @event(...)")

    # -- middlewares and listeners

    def use(self, middleware: Function) -> Function:
        """Call `middleware(socket)` before a client is let in, in order of registration.

        Plain or async; to refuse, raise ConnectRefused: its message and data reach the client.
        """
        self.middlewares.append(middleware)
        return middleware

    def use_event(self, middleware: Function) -> Function:
        """Call `middleware(socket, event)` before the handlers of each event; a plain function.

        `event` is `[name, *args]`, to be changed at will. An exception stops the event, and is
        acked or reported as a handler's: an AckError reaches the client.
        """
        self.event_middlewares.append(middleware)
        self.is_plain = False
        return middleware

    def on_any(self, function: Function) -> Function:
        """Call `function(socket, event, *args)` for every event that comes in, before all else."""
        self.any.append(function)
        self.is_plain = False
        return function

    def off_any(self, function: Callable[..., Any] | None = None) -> None:
        """Remove a listener of `on_any`, or all."""
        self.any[:] = [each for each in self.any if function is not None and each is not function]

    def copy_registrations(self, other: Registry) -> None:
        """Take over what is registered with `other`, as it is now."""
        for mine, theirs in ((self.table, other.table), (self.lifecycle, other.lifecycle)):
            mine.handlers.update(theirs.handlers)
        self.middlewares += other.middlewares
        self.event_middlewares += other.event_middlewares
        self.any += other.any
        self.unhandled_handler = other.unhandled_handler
        self.is_plain = other.is_plain


def _canonical(event: str) -> str:
    return "connection" if event == "connect" else event
