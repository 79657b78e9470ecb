"""Acks of events: of one handler, of several handlers, and before a handler ends."""

from __future__ import annotations

from threading import get_ident
from typing import Any, Final, Generic, Protocol, TypeAlias

from engineio_core.callbacks import describe_function
from socketio_core.handlers.handler import Handler
from socketio_core.handlers.handler_call import HandlerCall
from socketio_core.handlers.signature import EarlyAck
from socketio_core.misuse import EMITTED, refuse_thread
from socketio_core.server_events import Answer


class AckReceiver(Protocol):
    """The socket, as an ack uses it."""

    def _send_ack(self, ack_id: int, result: Any) -> None:
        """Send an ack: a tuple becomes several arguments; None becomes an ack without them."""


class _NoAck:
    """The type of `NO_ACK`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NO_ACK"


NO_ACK: Final = _NoAck()
"""The result of a handler that leaves its event without an ack; the client's timeout then ends."""


class SharedAck:
    """One ack for several handlers: the first result but None, or the first error, answers."""

    __slots__ = ("_declined", "_handlers", "_left", "ack_id", "is_answered")

    def __init__(self, ack_id: int, handlers: int) -> None:
        self.ack_id = ack_id
        self.is_answered = False
        self._left = self._handlers = handlers
        self._declined = 0  # handlers that returned NO_ACK

    def settles(self, result: Any) -> bool:
        """Take the result of one handler; return whether to send it."""
        self._left -= 1
        if result is NO_ACK:
            self._declined += 1
            return self._left == 0 and self._needs_empty_ack()
        is_answer = result is not None and result is not EMITTED
        return not self.is_answered and (is_answer or self._left == 0)

    def _needs_empty_ack(self) -> bool:
        """Return whether a handler returned None and none has answered."""
        return not self.is_answered and self._declined < self._handlers


CONNECTION_RESULT: Final = SharedAck(0, 0)
"""The ack of `connection` handlers: False, or a ConnectError, disconnects the socket."""

OwedAck: TypeAlias = int | SharedAck | None
"""The ack of an event: its id, or an object that several handlers share; None without a request."""


class Ack(SharedAck, EarlyAck, Generic[Answer]):
    """The ack of an event, for a handler that answers before it ends.

        @io.on("import")
        async def start(socket: Socket, path: str, ack: Ack[str]) -> None:
            ack("accepted")
            await run_import(path)

    The parameter is the last one, or a keyword; `Ack[X]` declares the type of the answer for
    documents. The first call sends the ack, later calls and the result of the handler are ignored.
    An error after the call is reported like that of an event without an ack. Without a call, the
    result is the ack.
    """

    __slots__ = ("_loop_thread", "_socket", "requested")

    def __init__(
        self, socket: AckReceiver, ack_id: int | None, handlers: int, loop_thread: int
    ) -> None:
        super().__init__(-1 if ack_id is None else ack_id, handlers)
        self._socket = socket
        self._loop_thread = loop_thread
        self.requested = ack_id is not None
        """Whether the client requested an ack; without a request, a call has no effect."""

    def __call__(self, *answer: Answer) -> None:
        """Send the ack with these arguments, unless it is sent.

        Raises TypeError for a value that cannot be sent, RuntimeError in another thread.
        """
        if get_ident() != self._loop_thread != 0:
            refuse_thread()
        if not self.is_answered:
            if self.requested:
                self._socket._send_ack(self.ack_id, answer)
            self.is_answered = True


class _CallWithAck(HandlerCall):
    """A call of a handler with its ack, as the dispatch runs it."""

    __slots__ = ("_ack", "_handler")

    def __init__(self, handler: Handler, ack: Ack[Any]) -> None:
        super().__init__(handler.function, -1)
        self._handler = handler
        self._ack = ack

    def call(self, socket: Any, data: list[Any]) -> Any:
        """Call the function with the arguments of an event and the ack."""
        return self._handler.call_with_ack(socket, data, self._ack)


class HandlerDispatch(Protocol):
    """The dispatch, as `run_handlers` uses it."""

    loop_thread: int

    def run(self, handler: HandlerCall, socket: Any, data: list[Any], ack: OwedAck) -> None:
        """Call a handler; send its result as the ack."""


def run_handlers(
    dispatch: HandlerDispatch,
    handlers: tuple[Handler, ...],
    socket: AckReceiver,
    data: list[Any],
    ack_id: int | None,
) -> None:
    """Run the handlers of an event, which share one ack."""
    if any(each.ack_name is not None for each in handlers):
        early: Ack[Any] = Ack(socket, ack_id, len(handlers), dispatch.loop_thread)
        owed = early if early.requested else None
        for handler in handlers:
            call = handler if handler.ack_name is None else _CallWithAck(handler, early)
            dispatch.run(call, socket, data, owed)
    elif len(handlers) == 1:
        dispatch.run(handlers[0], socket, data, ack_id)
    else:
        ack = None if ack_id is None else SharedAck(ack_id, len(handlers))
        for handler in handlers:
            dispatch.run(handler, socket, data, ack)


def refuse_ack(handler: Handler, role: str) -> Handler:
    """Return a handler. Raises TypeError if it takes an ack, although it handles no event."""
    if handler.ack_name is not None:
        raise TypeError(
            f"{describe_function(handler.function)} must not take the ack {handler.ack_name!r} as "
            f"{role}: only handlers of events can answer before they end"
        )
    return handler
