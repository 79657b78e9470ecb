"""Handlers of a client: the server's events, the client's own events, and catch-all listeners.

The dispatch of `socketio_core.handlers` runs them; a handler is called without the socket.
"""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import Any, Final, NamedTuple, final

from engineio_core.callbacks import describe_function, read_signature
from socketio_core.codec.packet import RESERVED_EVENTS
from socketio_core.handlers.ack import refuse_ack, run_handlers
from socketio_core.handlers.dispatch import Dispatch, Reporter
from socketio_core.handlers.event_table import EventTable, event_name
from socketio_core.handlers.handler import Handler
from socketio_core.handlers.handler_call import HandlingSocket
from socketio_core.handlers.registry import Registry
from socketio_core.handlers.signature import MANY
from socketio_core.misuse import EMITTED, check_runs

logger = logging.getLogger("socketio_core")

#: The client's own events, and the number of arguments that their handlers receive
LIFECYCLE: Final = {"connect": 0, "connect_error": 1, "disconnect": 2}

Execute = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Wraps the functions of a client whose handlers run in another thread."""


class ClientRegistry(Registry):
    """The handlers of one socket of a client."""

    __slots__ = ("_execute", "_lock", "own")

    def __init__(self, execute: Execute | None = None) -> None:
        super().__init__(frozenset(LIFECYCLE), takes_socket=False)
        self._execute = execute
        self._lock = threading.RLock()  # a blocking client registers handlers in any thread
        self.own = Signals(LIFECYCLE, execute)

    def add(self, event: str, function: Callable[..., Any], **order: bool) -> None:
        """Register a handler. Raises TypeError for a function that cannot be called like one."""
        if event in LIFECYCLE:
            self.own.add(event, function, **order)
        else:
            with self._lock:
                super().add(event, function, **order)

    def make(self, function: Callable[..., Any]) -> Handler:
        """Return the handler of a function. Raises TypeError for one that cannot be a handler."""
        handler = super().make(function)
        if self._execute is not None:
            refuse_ack(handler, "a handler of the blocking client")
            handler.function = self._execute(function)
        return handler

    def remove(self, event: str | None, function: Callable[..., Any] | None) -> None:
        """Remove the handlers of a function, of an event, or all."""
        if event is None or event in LIFECYCLE:
            self.own.remove(event, function)
        if event not in LIFECYCLE:
            with self._lock:
                super().remove(event, function)

    def find(self, event: str) -> tuple[Handler, ...]:
        """Return the handlers of an event, and remove the handlers registered with `once`."""
        with self._lock:
            return super().find(event)

    def check(self, event: str) -> tuple[EventTable, str]:
        """Return the table of an event and its name there. Raises for a name of no event."""
        if event in RESERVED_EVENTS and event not in LIFECYCLE:
            raise ValueError(
                f"{event!r} is a reserved event name that no server can send: use another name"
            )
        return super().check(event)

    def dispatch(
        self,
        socket: HandlingSocket,
        namespace: str,
        data: list[Any],
        ack_id: int | None,
        run: Dispatch,
    ) -> None:
        """Pass an event, `[name, *args]`, to the catch-all listeners and to its handlers."""
        for listener in tuple(self.any):
            run.run(listener, socket, [data[0], *data], None)
        name = data[0] if data[0].__class__ is str else event_name(data[0])
        handlers = self.find(name)
        if handlers:
            run_handlers(run, handlers, socket, data, ack_id)
        elif self.unhandled is not None:
            run.run(self.unhandled, socket, [data[0], *data], ack_id)
        elif not self.any:
            run.reporter.note_unhandled(namespace, name)


class _Listener(NamedTuple):
    """A function with the number of arguments that it accepts."""

    function: Callable[..., Any]
    accepted: int
    is_once: bool


@final
class Signals:
    """The functions for events that the client raises itself.

    `arguments` maps each event to the number of its arguments; a function may accept fewer.
    """

    __slots__ = ("_arguments", "_execute", "_listeners", "_lock")

    def __init__(self, arguments: Mapping[str, int], execute: Execute | None = None) -> None:
        self._arguments = arguments
        self._execute = execute
        self._listeners: dict[str, tuple[_Listener, ...]] = {}
        self._lock = threading.RLock()

    def add(
        self,
        event: str,
        function: Callable[..., Any],
        *,
        once: bool = False,
        first: bool = False,
    ) -> None:
        """Register a function. Raises TypeError or ValueError for an unknown event or function."""
        if event not in self._arguments:
            raise ValueError(f"the events are {', '.join(self._arguments)}, got {event!r}")
        check_runs(f"the handler of {event!r}", function)
        least, most = _count_parameters(function)
        given = self._arguments[event]
        if least > given:
            raise TypeError(
                f"the handler of {event!r} is called with {given} argument"
                f"{'s' if given != 1 else ''}, but {describe_function(function)} requires {least}"
            )
        used = function if self._execute is None else self._execute(function)
        listener = _Listener(used, min(given, most), once)
        with self._lock:
            others = self._listeners.get(event, ())
            self._listeners[event] = (listener, *others) if first else (*others, listener)

    def remove(self, event: str | None, function: Callable[..., Any] | None) -> None:
        """Remove a function, all functions of an event, or all functions."""
        with self._lock:
            for name in [event] if event is not None else list(self._listeners):
                self._listeners[name] = tuple(
                    each
                    for each in self._listeners.get(name, ())
                    if function is not None and each.function != function
                )

    def fire(self, reporter: Reporter, event: str, *args: Any) -> None:
        """Call the functions of an event; log their errors."""
        with self._lock:
            listeners = self._listeners.get(event, ())
            if any(each.is_once for each in listeners):
                self._listeners[event] = tuple(each for each in listeners if not each.is_once)
        for listener in listeners:
            try:
                result = listener.function(*args[: listener.accepted])
                if isawaitable(result) and result is not EMITTED:
                    reporter.run(result, f"the handler of {event!r}")
            except Exception:
                logger.exception("the handler of %r failed", event)


def _count_parameters(function: Callable[..., Any]) -> tuple[int, int]:
    """Return how many positional arguments a function needs, and how many it accepts."""
    signature = read_signature(function)
    if signature is None:
        return 0, MANY
    least = most = 0
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            most = MANY
        elif parameter.kind in {
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
        }:
            most += 1
            least += parameter.default is inspect.Parameter.empty
    return least, most
