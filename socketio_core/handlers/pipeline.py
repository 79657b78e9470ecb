"""Slow path for incoming events: per-socket listeners, middlewares and queueing.

The namespace owns the pipeline. Dispatch runs the handlers and routes their results.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, Final, final

from socketio_core.errors import AckError
from socketio_core.handlers.ack import run_handlers
from socketio_core.handlers.dispatch import Dispatch
from socketio_core.handlers.event_table import event_name
from socketio_core.handlers.registry import Registry
from socketio_core.handlers.runner import CANCELLED
from socketio_core.handlers.socket_core import SocketCore, SocketListeners
from socketio_core.misuse import SENT, is_refusal
from socketio_core.socket_state import SocketState

logger = logging.getLogger("socketio_core")

Step = tuple[Callable[..., Any], tuple[Any, ...]]
"""A middleware and its arguments."""

CONNECTED: Final = SocketState.CONNECTED


@final
class EventPipeline:
    """Passes the events of one namespace through listeners and middlewares to the handlers."""

    __slots__ = ("_any", "_dispatch", "_middlewares", "_namespace", "_registry", "_single")

    def __init__(self, namespace: str, registry: Registry, dispatch: Dispatch) -> None:
        self._namespace = namespace
        self._registry = registry
        self._dispatch = dispatch
        # Tables of the registry, which changes them in place: a lookup less for each event
        self._any = registry.any
        self._middlewares = registry.event_middlewares
        self._single = registry.single

    def enqueue_or_dispatch(self, socket: SocketCore, data: list[Any], ack_id: int | None) -> None:
        """Dispatch an event, or queue it while earlier events of the socket are pending."""
        listeners = socket._listeners
        if listeners is None:
            self.dispatch_event(socket, data, ack_id)
        elif listeners.is_busy:
            listeners.queue.append((data, ack_id))
            socket._event_queued()
        elif listeners.serializes:
            self._dispatch_serialized(socket, listeners, data, ack_id)
            self.drain(socket, listeners)
        else:
            self.dispatch_event(socket, data, ack_id)

    def _dispatch_serialized(
        self,
        socket: SocketCore,
        listeners: SocketListeners,
        data: list[Any],
        ack_id: int | None,
    ) -> None:
        """Dispatch an event; its handler counts as running from its first step on."""
        listeners.running += 1
        try:
            self.dispatch_event(socket, data, ack_id)
        finally:
            listeners.running -= 1

    def dispatch_event(self, socket: SocketCore, data: list[Any], ack_id: int | None) -> None:
        """Pass an event to the listeners, through the middlewares, and to the handlers."""
        # hot path for servers that limit or count events: most middlewares are plain functions.
        own = socket._listeners
        any_listeners = self._any if own is None else [*own.registry.any, *self._any]
        if any_listeners:
            for listener in tuple(any_listeners):
                self._dispatch.run(listener, socket, [data[0], *data], None)
        passed = 0
        try:
            for middleware in self._middlewares:
                outcome = middleware(socket, data)
                passed += 1
                if outcome is not None and not _accepts(outcome):
                    self._hold(socket, outcome, passed, data, ack_id)
                    return
            own = socket._listeners  # a listener or a middleware may have added some
            if own is None:
                handler = self._single.get(data[0])
                if handler is not None:
                    # Node ignores an event whose socket a middleware has disconnected.
                    if socket._state is CONNECTED:
                        self._dispatch.run(handler, socket, data, ack_id)
                    return
            else:
                for middleware in own.registry.event_middlewares:
                    outcome = middleware(data)
                    passed += 1
                    if outcome is not None and not _accepts(outcome):
                        self._hold(socket, outcome, passed, data, ack_id)
                        return
        except (Exception, CANCELLED) as error:
            self._fail(error, socket, data, ack_id)
            return
        if socket._accepts_events():
            self._run_handlers(socket, data, ack_id)

    def _hold(
        self,
        socket: SocketCore,
        outcome: Awaitable[Any],
        passed: int,
        data: list[Any],
        ack_id: int | None,
    ) -> None:
        """Continue after an async middleware; `passed` counts the middlewares called so far."""
        own = socket._need_listeners()
        chain: list[Step] = [(each, (socket, data)) for each in self._registry.event_middlewares]
        chain += [(each, (data,)) for each in own.registry.event_middlewares]
        rest = self._continue(socket, outcome, chain[passed:], data, ack_id)
        own.is_held = True
        self._dispatch.run_coroutine(rest, socket, data[0])
        self.drain(socket, own)

    async def _continue(
        self,
        socket: SocketCore,
        outcome: Awaitable[Any],
        chain: list[Step],
        data: list[Any],
        ack_id: int | None,
    ) -> None:
        """Await a middleware, run the remaining ones, then the handlers. Later events wait."""
        try:
            _check(await outcome)
            for middleware, args in chain:
                result = middleware(*args)
                if not _accepts(result):
                    _check(await result)
        except Exception as error:
            self._fail(error, socket, data, ack_id)
        else:
            if socket._accepts_events():
                self._run_handlers(socket, data, ack_id)
        finally:
            socket._need_listeners().is_held = False

    def _run_handlers(self, socket: SocketCore, data: list[Any], ack_id: int | None) -> None:
        """Run the handlers of the namespace, then those of the socket."""
        if not data:
            self._fail(IndexError(), socket, data, ack_id)
            return
        name = data[0] if data[0].__class__ is str else event_name(data[0])
        handlers = self._registry.find(name)
        if socket._listeners is not None:
            handlers += socket._listeners.registry.find(name)
        if not handlers:
            unhandled = self._registry.unhandled
            if unhandled is not None:
                self._dispatch.run(unhandled, socket, [data[0], *data], ack_id)
            elif not self._registry.any:
                self._dispatch.reporter.note_unhandled(self._namespace, name)
            return
        run_handlers(self._dispatch, handlers, socket, data, ack_id)

    def _fail(
        self, error: BaseException, socket: SocketCore, data: list[Any], ack_id: int | None
    ) -> None:
        """Report the error of a middleware, also of one that emptied the event."""
        if not data:
            error = TypeError(
                "an event middleware must keep the name as the first item of the event, got []: "
                "return False to refuse the event"
            )
        self._dispatch.failed(error, socket, data[0] if data else "", ack_id)

    def drain(self, socket: SocketCore, listeners: SocketListeners) -> None:
        """Dispatch waiting events until one must wait again; then end a departure."""
        while listeners.queue and not listeners.must_wait:
            data, ack_id = listeners.queue.popleft()
            if not socket._accepts_events() or self._dispatch.runner.is_closing:
                self.drop(socket, listeners)
            elif listeners.serializes:
                self._dispatch_serialized(socket, listeners, data, ack_id)
            else:
                self.dispatch_event(socket, data, ack_id)
            # After the event: the session may resume reading now, and newer events must not
            # overtake this one.
            socket._event_unqueued()
        if listeners.departure is not None and not listeners.is_busy:
            socket._end_departure()

    def drop(self, socket: SocketCore, listeners: SocketListeners) -> None:
        """Drop the waiting events: the server has disconnected the socket, or stops."""
        named: Any = socket
        while listeners.queue:
            data, _ = listeners.queue.popleft()
            logger.info("event %.100r of socket %s was dropped: the server ended the connection",
                        data[0], named.id)  # fmt: skip
            socket._event_unqueued()


def _accepts(outcome: Any) -> bool:
    """Return whether the result of a middleware accepts the event; False if it is awaitable.

    Raises AckError for a refusal, TypeError for an unexpected result.
    """
    if outcome is not SENT and isawaitable(outcome):
        return False
    _check(outcome)
    return True


def _check(outcome: Any) -> None:
    """Raise AckError for a refusal, TypeError for an unexpected result, such as a coroutine."""
    if is_refusal("an event middleware", outcome):
        raise AckError("REFUSED", "the event was refused")
