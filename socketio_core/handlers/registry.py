"""What is registered for a namespace, or for one socket: handlers, listeners, middlewares.

Knows: names and order.  Does not know: sockets, and when any of it is called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final, TypeVar, overload

from socketio_core.codec.packet import RESERVED_EVENTS
from socketio_core.handlers.event_table import EventTable
from socketio_core.handlers.handler import Handler

Function = TypeVar("Function", bound=Callable[..., Any])
Middleware = TypeVar("Middleware", bound=Callable[[Any], Any])
EventMiddleware = TypeVar("EventMiddleware", bound=Callable[[Any, list[Any]], Any])

EVENT_MARK: Final = "__socketio_events__"


def event(name: str) -> Callable[[Function], Function]:
    """Mark a method as the handler of an event, for `register(object)`."""

    def mark(function: Function) -> Function:
        setattr(function, EVENT_MARK, (*getattr(function, EVENT_MARK, ()), name))
        return function

    return mark


class Registry:
    """The tables of a namespace; or of a socket, whose handlers do not take the socket.

    `lifecycle` names the events that the server tells itself. A client that sends one of these
    names means an event of its own, and does not reach them.
    """

    __slots__ = ("_lifecycle_events", "any", "direct", "event_middlewares", "lifecycle",
                 "middlewares", "server_events", "single", "table", "takes_socket",
                 "unhandled")  # fmt: skip

    def __init__(self, lifecycle: frozenset[str], *, takes_socket: bool) -> None:
        self.takes_socket = takes_socket
        self._lifecycle_events = lifecycle
        self.table = EventTable()
        self.lifecycle = EventTable()
        self.server_events = EventTable()
        self.any: list[Handler] = []
        self.unhandled: Handler | None = None
        self.middlewares: list[Callable[[Any], Any]] = []
        self.event_middlewares: list[Callable[..., Any]] = []
        # The handlers of events that have just one; and of those that need nothing else, which is
        # the way of most
        self.single: dict[Any, Handler] = {}
        self.direct: dict[Any, Handler] = {}

    def add(self, event: str, function: Callable[..., Any], **order: bool) -> None:
        """Register a handler."""
        table, name = self._table(event)
        table.add(name, Handler(function, takes_socket=self.takes_socket), **order)
        self.refresh()

    def remove(self, event: str | None, function: Callable[..., Any] | None) -> None:
        """Remove a function's handlers, or an event's, or all."""
        if event is None:
            self.table.remove(None, function)
            self.lifecycle.remove(None, function)
        else:
            table, name = self._table(event)
            table.remove(name, function)
        self.refresh()

    def _table(self, event: str) -> tuple[EventTable, str]:
        if not isinstance(event, str):
            raise TypeError(f"the name of an event is a string, not {event!r}")
        if event == "connect" and "connection" in self._lifecycle_events:
            event = "connection"
        if event in self._lifecycle_events:
            return self.lifecycle, event
        if event in RESERVED_EVENTS:
            raise ValueError(f"{event!r} is a reserved event name: no client can send it")
        return self.table, event

    def find(self, event: str) -> tuple[Handler, ...]:
        """Return the handlers of an event; those that serve once are gone afterwards."""
        table = self.table
        if not table.once:
            return table.handlers.get(event, ())
        found = table.find(event)
        self.refresh()
        return found

    def refresh(self) -> None:
        """Work out again which events need nothing but their one handler."""
        self.single.clear()
        self.direct.clear()
        if not self.table.once:
            handlers = self.table.handlers
            self.single.update({name: each[0] for name, each in handlers.items() if len(each) == 1})
            if not (self.any or self.event_middlewares):
                self.direct.update(self.single)

    def copy_from(self, other: Registry) -> None:
        """Take over what is registered with `other`, as it is now."""
        self.table.update(other.table)
        self.lifecycle.update(other.lifecycle)
        self.server_events.update(other.server_events)
        self.any += other.any
        self.middlewares += other.middlewares
        self.event_middlewares += other.event_middlewares
        self.unhandled = other.unhandled
        self.refresh()


class Listening:
    """What namespaces, the server and sockets have in common: handlers of events."""

    __slots__ = ()

    def _registry(self) -> Registry:
        """Return where it is kept."""
        raise NotImplementedError

    @overload
    def on(self, event: str) -> Callable[[Function], Function]: ...
    @overload
    def on(self, event: str, function: Function) -> Function: ...

    def on(self, event: str, function: Any = None) -> Any:
        """Call `function(socket, *args)` for an event; without it, a decorator.

        Plain or async; what it returns is the ack; its annotations are checked before it is
        called. `connection` (or `connect`), `disconnecting` and `disconnect` are the server's own
        events; the latter two have the reason and its description as arguments. Functions
        registered with a socket are called without it. Raises TypeError for a function that can't
        be a handler, ValueError for a reserved name.
        """
        if function is None:
            return lambda decorated: self.on(event, decorated)
        self._registry().add(event, function)
        return function

    @overload
    def once(self, event: str) -> Callable[[Function], Function]: ...
    @overload
    def once(self, event: str, function: Function) -> Function: ...

    def once(self, event: str, function: Any = None) -> Any:
        """Do as `on`, for the next event only."""
        if function is None:
            return lambda decorated: self.once(event, decorated)
        self._registry().add(event, function, once=True)
        return function

    @overload
    def prepend(self, event: str) -> Callable[[Function], Function]: ...
    @overload
    def prepend(self, event: str, function: Function) -> Function: ...

    def prepend(self, event: str, function: Any = None) -> Any:
        """Do as `on`, before the handlers that are there."""
        if function is None:
            return lambda decorated: self.prepend(event, decorated)
        self._registry().add(event, function, first=True)
        return function

    def off(self, event: str | None = None, function: Callable[..., Any] | None = None) -> None:
        """Remove a function, an event's functions, or all."""
        self._registry().remove(event, function)

    def on_any(self, function: Function, *, first: bool = False) -> Function:
        """Call `function(socket, event, *args)` for every event that comes in, before all else.

        A socket's own are called without the socket.
        """
        registry = self._registry()
        handler = Handler(function, takes_socket=registry.takes_socket)
        registry.any.insert(0 if first else len(registry.any), handler)
        registry.refresh()
        return function

    def off_any(self, function: Callable[..., Any] | None = None) -> None:
        """Remove a listener of `on_any`, or all."""
        registry = self._registry()
        registry.any[:] = without(registry.any, function)
        registry.refresh()

    def register(self, handlers: object) -> None:
        """Register the methods of an object that `socketio_core.event` has marked."""
        found = False
        for name in dir(type(handlers)):
            for event in getattr(inspect.getattr_static(handlers, name), EVENT_MARK, ()):
                self.on(event, getattr(handlers, name))
                found = True
        if not found:
            raise TypeError(f"{type(handlers).__name__} has no method marked with @event(...)")


class Registering(Listening):
    """What namespaces and the server have in common."""

    __slots__ = ()

    def use(self, middleware: Middleware) -> Middleware:
        """Call `middleware(socket)` before a client is let in, in order of registration.

        Plain or async; to refuse, raise ConnectError: its message and data reach the client.
        A namespace has its own; those of "/" are not run for others.
        """
        self._registry().middlewares.append(_callable(middleware))
        return middleware

    def use_event(self, middleware: EventMiddleware) -> EventMiddleware:
        """Call `middleware(socket, event)` before the handlers of each event. Plain or async.

        `event` is `[name, *args]`, to be changed at will. An exception stops the event, and is
        acked or reported as a handler's: an AckError reaches the client. While one is awaited,
        later events of that socket wait.
        """
        registry = self._registry()
        registry.event_middlewares.append(_callable(middleware))
        registry.refresh()
        return middleware

    def on_unhandled(self, function: Function) -> Function:
        """Call `function(socket, event, *args)` for events without a handler; it may answer."""
        self._registry().unhandled = Handler(function)
        return function

    @overload
    def on_server_event(self, event: str) -> Callable[[Function], Function]: ...
    @overload
    def on_server_event(self, event: str, function: Function) -> Function: ...

    def on_server_event(self, event: str, function: Any = None) -> Any:
        """Call `function(*args)` for what another server sends with `server_side_emit`.

        What it returns is the answer, if one was asked for.
        """
        if function is None:
            return lambda decorated: self.on_server_event(event, decorated)
        self._registry().server_events.add(event, Handler(function, takes_socket=False))
        return function


def _callable(middleware: Function) -> Function:
    if not callable(middleware):
        raise TypeError(f"a middleware is a function, not {middleware!r}")
    return middleware


def without(listeners: list[Handler], function: Callable[..., Any] | None) -> list[Handler]:
    """Return the listeners that are left when a function's, or all, are taken out."""
    return [each for each in listeners if function is not None and each.function != function]
