"""Tables of handlers, listeners and middlewares of a namespace or of one socket, and their API.

The event pipeline decides when each of them is called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final, TypeVar, overload

from engineio_core.callbacks import describe_function
from socketio_core.codec.packet import RESERVED_EVENTS
from socketio_core.handlers.ack import refuse_ack
from socketio_core.handlers.compiled import make_handler
from socketio_core.handlers.event_table import EventTable
from socketio_core.handlers.handler import Handler
from socketio_core.misuse import check_callback, refuse_registration, refuse_unmarked
from socketio_core.server_events import ServerEvent, collect_events

Function = TypeVar("Function", bound=Callable[..., Any])
Middleware = TypeVar("Middleware", bound=Callable[[Any], Any])
EventMiddleware = TypeVar("EventMiddleware", bound=Callable[[Any, list[Any]], Any])

EVENT_MARK: Final = "__socketio_events__"
_DECORATOR: Final[Any] = object()  # no function was passed: `on` is used as a decorator
# The number of arguments that the server passes to handlers of its own events, after the socket
_LIFECYCLE_ARGUMENTS: Final = {"connection": 0, "disconnecting": 2, "disconnect": 2}


def event(name: str) -> Callable[[Function], Function]:
    """Mark a method as the handler of an event, for `register(object)`."""
    check_event_name("@event", name)

    def mark(function: Function) -> Function:
        setattr(function, EVENT_MARK, (*getattr(function, EVENT_MARK, ()), name))
        return function

    return mark


def check_event_name(method: str, name: Any) -> None:
    """Raise TypeError or ValueError for a name under which no event arrives."""
    if callable(name):
        raise TypeError(
            f"{method} needs the name of the event: write {method}({describe_function(name)!r}) "
            "above the function"
        )
    if not isinstance(name, str):
        raise TypeError(f"{method} needs the name of the event as a string, got {name!r}")
    if not name:
        raise ValueError(f"{method} needs the name of an event, got an empty string")
    if name == "*":
        raise ValueError(
            f"{method} has no pattern '*': use on_any(f) for all events, or "
            "on_unhandled(f) for events without a handler"
        )


class Registry:
    """The tables of a namespace, or of a socket, whose handlers do not take the socket.

    `lifecycle` names the events that the server raises itself. A client that sends an event of
    that name does not reach these handlers.
    """

    __slots__ = ("_lifecycle_events", "any", "declared", "direct", "event_middlewares", "lifecycle",
                 "middlewares", "server_events", "single", "table", "takes_socket",
                 "unhandled")  # fmt: skip

    def __init__(self, lifecycle: frozenset[str], *, takes_socket: bool) -> None:
        self.takes_socket = takes_socket
        self._lifecycle_events = lifecycle
        self.table = EventTable()
        self.lifecycle = EventTable()
        self.server_events = EventTable()
        # Events that the application sends, by name
        self.declared: dict[str, ServerEvent[..., Any]] = {}
        self.any: list[Handler] = []
        self.unhandled: Handler | None = None
        self.middlewares: list[Callable[[Any], Any]] = []
        self.event_middlewares: list[Callable[..., Any]] = []
        # Events with exactly one handler; and the fast path, events with one handler that need no
        # listener and no middleware
        self.single: dict[Any, Handler] = {}
        self.direct: dict[Any, Handler] = {}

    def add(self, event: str, function: Callable[..., Any], **order: bool) -> None:
        """Register a handler. Raises TypeError for a function that cannot be called like one."""
        table, name = self.check(event)
        handler = self.make(function)
        if table is self.lifecycle:
            refuse_ack(handler, f"the handler of {event!r}")
        if table is self.lifecycle and handler.least > (most := _LIFECYCLE_ARGUMENTS[name]):
            given = (["the socket"] if self.takes_socket else []) + (
                ["the reason", "the description"] if most else []
            )
            raise TypeError(
                f"the handler of {event!r} is called with {' and '.join(given)}, but "
                f"{describe_function(function)} requires more parameters: the request, auth and "
                "headers are in socket.handshake"
            )
        table.add(name, handler, **order)
        self.refresh()

    def make(self, function: Callable[..., Any]) -> Handler:
        """Return the handler of a function. Raises TypeError for one that cannot be a handler."""
        return make_handler(function, takes_socket=self.takes_socket)

    def remove(self, event: str | None, function: Callable[..., Any] | None) -> None:
        """Remove the handlers of a function, of an event, or all."""
        if event is None:
            self.table.remove(None, function)
            self.lifecycle.remove(None, function)
        else:
            table, name = self.check(event)
            table.remove(name, function)
        self.refresh()

    def check(self, event: str) -> tuple[EventTable, str]:
        """Return the table of an event and its name there. Raises for a name of no event."""
        if not isinstance(event, str):
            raise TypeError(f"the name of an event must be passed as a string, got {event!r}")
        if event == "connect" and "connection" in self._lifecycle_events:
            event = "connection"
        if event in self._lifecycle_events:
            return self.lifecycle, event
        if event in RESERVED_EVENTS:
            raise ValueError(
                f"{event!r} is a reserved event name that no client can send: use another name"
            )
        return self.table, event

    def find(self, event: str) -> tuple[Handler, ...]:
        """Return the handlers of an event, and remove the handlers registered with `once`."""
        table = self.table
        if not table.once:
            return table.handlers.get(event, ())
        found = table.find(event)
        self.refresh()
        return found

    def refresh(self) -> None:
        """Rebuild the tables of the events that need only their one handler."""
        self.single.clear()
        self.direct.clear()
        if not self.table.once:
            handlers = self.table.handlers
            self.single.update(
                {
                    name: each[0]
                    for name, each in handlers.items()
                    if len(each) == 1 and each[0].ack_name is None
                }
            )
            if not (self.any or self.event_middlewares):
                self.direct.update(self.single)

    def copy_from(self, other: Registry) -> None:
        """Add everything that is registered with `other` now."""
        self.table.update(other.table)
        self.lifecycle.update(other.lifecycle)
        self.server_events.update(other.server_events)
        self.declared |= other.declared
        self.any += other.any
        self.middlewares += other.middlewares
        self.event_middlewares += other.event_middlewares
        self.unhandled = other.unhandled
        self.refresh()


class Listening:
    """Registration of event handlers, for namespaces, the server and sockets."""

    __slots__ = ()

    def _registry(self) -> Registry:
        """Return the registry of this object."""
        raise NotImplementedError

    @overload
    def on(self, event: str) -> Callable[[Function], Function]: ...
    @overload
    def on(self, event: str, function: Function) -> Function: ...

    def on(self, event: str, function: Any = _DECORATOR, **unknown: Any) -> Any:
        """Call `function(socket, *args)` for an event; without a function, return a decorator.

        The function may be async. Its result is the ack; its annotations are checked before the
        call. `connection` (or `connect`), `disconnecting` and `disconnect` are events of the
        server; the latter two pass the reason and its description. Functions registered with a
        socket are called without the socket. Raises TypeError for a function that cannot be
        called like this.
        """
        if unknown:
            refuse_registration(unknown)
        if function is _DECORATOR:
            return self._decorator("@on", event, self.on)
        self._add("on", event, function)
        return function

    @overload
    def once(self, event: str) -> Callable[[Function], Function]: ...
    @overload
    def once(self, event: str, function: Function) -> Function: ...

    def once(self, event: str, function: Any = _DECORATOR, **unknown: Any) -> Any:
        """Like `on`, for the next event only."""
        if unknown:
            refuse_registration(unknown)
        if function is _DECORATOR:
            return self._decorator("@once", event, self.once)
        self._add("once", event, function, once=True)
        return function

    @overload
    def prepend(self, event: str) -> Callable[[Function], Function]: ...
    @overload
    def prepend(self, event: str, function: Function) -> Function: ...

    def prepend(self, event: str, function: Any = _DECORATOR, **unknown: Any) -> Any:
        """Like `on`, before the handlers that are registered already."""
        if unknown:
            refuse_registration(unknown)
        if function is _DECORATOR:
            return self._decorator("@prepend", event, self.prepend)
        self._add("prepend", event, function, first=True)
        return function

    def _decorator(
        self, method: str, event: str, register: Callable[[str, Any], Any]
    ) -> Callable[[Function], Function]:
        check_event_name(method, event)
        self._registry().check(event)
        return lambda decorated: register(event, decorated)

    def _add(self, method: str, event: str, function: Any, **order: bool) -> None:
        check_event_name(method, event)
        self._registry().add(event, function, **order)

    def off(self, event: str | None = None, function: Callable[..., Any] | None = None) -> None:
        """Remove the functions of an event, or of all events; with `function`, only this one."""
        if function is not None and not callable(function):
            raise TypeError(f"off() must receive the registered function, got {function!r}")
        self._registry().remove(event, function)

    def on_any(self, function: Function, *, first: bool = False) -> Function:
        """Call `function(socket, event, *args)` for each incoming event, before its handlers.

        Functions registered with a socket are called without the socket.
        """
        registry = self._registry()
        handler = refuse_ack(registry.make(function), "a listener of on_any")
        registry.any.insert(0 if first else len(registry.any), handler)
        registry.refresh()
        return function

    def off_any(self, function: Callable[..., Any] | None = None) -> None:
        """Remove one listener of `on_any`, or all."""
        registry = self._registry()
        registry.any[:] = without(registry.any, function)
        registry.refresh()

    def register(self, handlers: object) -> None:
        """Register the methods of an object that `socketio_core.event` marks."""
        if isinstance(handlers, type):
            raise TypeError(
                f"register() needs an object, got the class {handlers.__name__}: "
                f"write register({handlers.__name__}())"
            )
        found = []
        for name in dir(type(handlers)):
            method = inspect.getattr_static(handlers, name)
            events = getattr(method, EVENT_MARK, ())
            found += [(event, name) for event in events]
            if not events:
                refuse_unmarked(type(handlers).__name__, name, method)
        if not found:
            raise TypeError(
                f"register() found no handler in {type(handlers).__name__}: "
                'mark its methods with @event("name")'
            )
        for event, name in found:
            self.on(event, getattr(handlers, name))


class Registering(Listening):
    """Registration of middlewares and listeners, for namespaces and the server."""

    __slots__ = ()

    def use(self, middleware: Middleware) -> Middleware:
        """Call `middleware(socket)` before a client is connected, in order of registration.

        The middleware may be async. To refuse the client, it raises ConnectError, whose message
        and data reach the client, or returns False. Any result but None, True and False is a
        TypeError and refuses as well. Middlewares of "/" do not run for other namespaces.
        """
        check_callback("a middleware of use()", middleware, ("socket",))
        self._registry().middlewares.append(middleware)
        return middleware

    def use_event(self, middleware: EventMiddleware) -> EventMiddleware:
        """Call `middleware(socket, event)` before the handlers of each event.

        The middleware may be async; later events of the socket wait meanwhile. `event` is
        `[name, *args]` and may be changed. An exception stops the event and is acked or reported
        like an exception of a handler; False stops it with an error ack.
        """
        check_callback("a middleware of use_event()", middleware, ("socket", "event"))
        registry = self._registry()
        registry.event_middlewares.append(middleware)
        registry.refresh()
        return middleware

    def declare(self, *events: ServerEvent[..., Any] | ModuleType | type) -> None:
        """Add events to the documents that describe this server: TypeScript and AsyncAPI.

        An argument is an event (`server_event`), or a module or class that contains events. `emit`
        sends declared and undeclared events alike. Raises ValueError for a second event of a name.
        """
        declared = self._registry().declared
        for each in collect_events(events):
            if declared.setdefault(each.name, each) is not each:
                raise ValueError(f"the event {each.name!r} is already declared: declare it once")

    def on_unhandled(self, function: Function) -> Function:
        """Call `function(socket, event, *args)` for events without a handler.

        Its result is the ack.
        """
        registry = self._registry()
        registry.unhandled = refuse_ack(registry.make(function), "the handler of on_unhandled")
        return function

    @overload
    def on_server_event(self, event: str) -> Callable[[Function], Function]: ...
    @overload
    def on_server_event(self, event: str, function: Function) -> Function: ...

    def on_server_event(self, event: str, function: Any = _DECORATOR) -> Any:
        """Call `function(*args)` for an event that another server sends with `server_side_emit`.

        Its result is the answer to `server_side_emit_with_ack`.
        """
        check_event_name("on_server_event", event)
        if function is _DECORATOR:
            return lambda decorated: self.on_server_event(event, decorated)
        handler = refuse_ack(make_handler(function, takes_socket=False), "a server event handler")
        self._registry().server_events.add(event, handler)
        return function


def without(listeners: list[Handler], function: Callable[..., Any] | None) -> list[Handler]:
    """Return the listeners that do not call a function; without a function, an empty list."""
    return [each for each in listeners if function is not None and each.function != function]
