"""What few sockets have: handlers of their own, listeners, a queue; and the long way of an event.

Knows: the order of listeners, middlewares and handlers; which events have to wait.
Does not know: packets, rooms, what becomes of a result: the dispatch does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final

from socketio_core.handlers.dispatch import Ack, SharedAck
from socketio_core.handlers.event_table import event_name
from socketio_core.handlers.registry import Registry
from socketio_core.handlers.runner import CANCELLED

if TYPE_CHECKING:
    from socketio_core.handlers.handler import Handler
    from socketio_core.socket import Socket

Step = tuple[Callable[..., Any], tuple[Any, ...]]
"""A middleware, and what it is called with."""

LIFECYCLE: Final = frozenset({"disconnecting", "disconnect"})


class Extras:
    """What few sockets have; made when it is first needed."""

    __slots__ = ("any_outgoing", "is_held", "queue", "registry", "running", "serializes")

    def __init__(self, serializes: bool) -> None:
        self.registry = Registry(LIFECYCLE, takes_socket=False)
        self.any_outgoing: list[Handler] = []
        # Events that wait: for a middleware, or for the handler before them
        self.serializes = serializes
        self.is_held = False
        self.running = 0
        self.queue: deque[tuple[list[Any], int | None]] = deque()

    @property
    def must_wait(self) -> bool:
        """Whether an event that comes now has to wait."""
        return self.is_held or (self.serializes and self.running > 0)


def receive(socket: Socket, data: list[Any], ack_id: int | None) -> None:
    """Take an event, now or when those before it are done."""
    extras = socket.extras
    if extras is not None and (extras.must_wait or extras.queue):
        extras.queue.append((data, ack_id))
        socket.event_queued()
    else:
        take(socket, data, ack_id)


def take(socket: Socket, data: list[Any], ack_id: int | None) -> None:
    """Take an event to the listeners, through the middlewares, to the handlers."""
    # hot path where a server limits or counts its events: most middlewares are plain functions.
    namespace = socket.namespace
    shared = namespace.registry
    extras = socket.extras
    listeners = shared.any if extras is None else (*extras.registry.any, *shared.any)
    if listeners:
        for listener in tuple(listeners):
            namespace.dispatch.run(listener, socket, [data[0], *data], None)
    passed = 0
    try:
        for middleware in shared.event_middlewares:
            outcome = middleware(socket, data)
            passed += 1
            if outcome is not None and isawaitable(outcome):
                _hold(socket, outcome, passed, data, ack_id)
                return
        extras = socket.extras  # a listener or a middleware may have given it some
        if extras is None:
            handler = shared.single.get(data[0])
            if handler is not None:
                # Node: an event whose socket has left meanwhile is ignored.
                if socket.connected:
                    namespace.dispatch.run(handler, socket, data, ack_id)
                return
        else:
            for middleware in extras.registry.event_middlewares:
                outcome = middleware(data)
                passed += 1
                if outcome is not None and isawaitable(outcome):
                    _hold(socket, outcome, passed, data, ack_id)
                    return
    except (Exception, CANCELLED) as error:
        namespace.dispatch.failed(error, socket, data[0], ack_id)
        return
    if socket.connected:
        run_handlers(socket, data, ack_id)


def _hold(
    socket: Socket, outcome: Awaitable[Any], passed: int, data: list[Any], ack_id: int | None
) -> None:
    """Go on behind a middleware that has to be awaited; `passed` counts it, too."""
    namespace = socket.namespace
    chain: list[Step] = [(each, (socket, data)) for each in namespace.registry.event_middlewares]
    chain += [(each, (data,)) for each in socket.need_extras().registry.event_middlewares]
    rest = _go_on(socket, outcome, chain[passed:], data, ack_id)
    namespace.dispatch.run_coroutine(rest, socket, data[0])


async def _go_on(
    socket: Socket,
    outcome: Awaitable[Any],
    chain: list[Step],
    data: list[Any],
    ack_id: int | None,
) -> None:
    """Await a middleware, run those behind it, then the handlers. Later events wait meanwhile."""
    extras = socket.need_extras()
    extras.is_held = True
    try:
        await outcome
        for middleware, args in chain:
            later = middleware(*args)
            if isawaitable(later):
                await later
    except Exception as error:
        socket.namespace.dispatch.failed(error, socket, data[0], ack_id)
    else:
        if socket.connected:
            run_handlers(socket, data, ack_id)
    finally:
        extras.is_held = False


def run_handlers(socket: Socket, data: list[Any], ack_id: int | None) -> None:
    """Run the handlers of the namespace, then those of the socket."""
    namespace = socket.namespace
    name = data[0] if data[0].__class__ is str else event_name(data[0])
    handlers = namespace.registry.find(name) + socket.own_handlers(name)
    if len(handlers) == 1:
        namespace.dispatch.run(handlers[0], socket, data, ack_id)
        return
    if not handlers:
        unhandled = namespace.registry.unhandled
        if unhandled is not None:
            namespace.dispatch.run(unhandled, socket, [data[0], *data], ack_id)
        return
    ack: Ack = None if ack_id is None else SharedAck(ack_id, len(handlers))
    for handler in handlers:
        namespace.dispatch.run(handler, socket, data, ack)


def drain(socket: Socket, extras: Extras) -> None:
    """Let events go on that have waited, as far as they need not wait any more."""
    while extras.queue and not extras.must_wait:
        data, ack_id = extras.queue.popleft()
        if socket.connected:
            take(socket, data, ack_id)
        # Behind it: more may be read now, and must not come first.
        socket.event_left_queue()
