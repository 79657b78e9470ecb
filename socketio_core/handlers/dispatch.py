"""Runs handlers and routes their results and exceptions: to acks, listeners or the log.

A coroutine handler runs at once up to its first suspension; only one that suspends costs a task.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from inspect import isawaitable
from types import CoroutineType
from typing import Any, Final, final

from engineio_core.codec.packet import IS_COMPILED
from socketio_core.errors import (
    AckError,
    AckTimeoutError,
    ConnectError,
    DisconnectedError,
    PayloadValidationError,
    UnsendableResultError,
)
from socketio_core.handlers.ack import CONNECTION_RESULT, NO_ACK, OwedAck, SharedAck
from socketio_core.handlers.handler_call import HandlerCall, HandlingSocket
from socketio_core.handlers.runner import CANCELLED, Runner, Suspended
from socketio_core.handlers.socket_core import SocketCore
from socketio_core.misuse import SENT, add_equivalent, refuse_awaitable

logger = logging.getLogger("socketio_core")


# A compiled module reads a Final name of its own faster than an imported name.
_COROUTINE: Final = CoroutineType
_IS_COMPILED: Final = IS_COMPILED
_SUSPENDED: Final = Suspended

MAX_UNHANDLED: Final = 100  # names of events without a handler that are logged


class Reporter:
    """Counts the errors of handlers and passes them to the listeners, or logs them."""

    __slots__ = ("_runner", "_unhandled", "count", "listeners")

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._unhandled: set[tuple[str, str]] = set()
        self.count = 0
        self.listeners: list[Callable[[BaseException, Any, str], Any]] = []

    def report(self, error: BaseException, socket: Any, event: str) -> None:
        """Call the listeners; without a listener, log a handler's bug with its traceback."""
        self.count += 1
        if isinstance(error, AttributeError):
            add_equivalent(error)
        for listener in self.listeners:
            try:
                result = listener(error, socket, event)
                if isawaitable(result) and result is not SENT:
                    self.run(result, "a listener of on_error")
            except Exception:
                logger.exception("a listener of on_error failed")
        if self.listeners:
            return
        address = _address_of(socket)
        sender = f"{socket.id} ({address})"
        # A client that causes very many of these lines does not hide those of others.
        extra = {"client": address}
        if isinstance(error, PayloadValidationError):
            logger.info(
                "event %.100r of socket %s has invalid data: %s", event, sender, error, extra=extra
            )
        elif isinstance(error, AckError):
            # The error is an answer for the client, which requested no ack: not a bug.
            logger.info(
                "event %.100r of socket %s was refused: %s", event, sender, error, extra=extra
            )
        elif isinstance(error, UnsendableResultError):
            logger.error("event %.100r of socket %s: %s", event, sender, error, extra=extra)
        elif isinstance(error, AckTimeoutError | DisconnectedError):
            # The handler waited for an ack of a client that left or is slow: not a bug.
            logger.info(
                "the handler of %.100r for socket %s ended: %s",
                event,
                sender,
                error,
                exc_info=error if logger.isEnabledFor(logging.DEBUG) else None,
                extra=extra,
            )
        else:
            logger.error(
                "the handler of %.100r failed for socket %s",
                event,
                sender,
                exc_info=error,
                extra=extra,
            )

    def run(self, awaitable: Awaitable[Any], role: str) -> None:
        """Await the result of a callback in a task, and log its exception."""

        def done(result: Any, error: BaseException | None) -> None:
            if error is not None and not self._runner.is_closing:
                logger.error("%s failed", role, exc_info=error)

        self._runner.start(_await(awaitable), done, f"socketio {role}")

    def note_unhandled(self, namespace: str, event: str) -> None:
        """Log the first event of a name that has no handler."""
        key = (namespace, event)
        if key not in self._unhandled and len(self._unhandled) < MAX_UNHANDLED:
            self._unhandled.add(key)
            logger.info("event %.100r of namespace %.100s has no handler", event, namespace)


def _address_of(socket: Any) -> str:
    """Return the address of the client of a socket; `-` for an object without a handshake."""
    handshake = getattr(socket, "handshake", None)
    return "-" if handshake is None else str(handshake.address)


async def _await(awaitable: Awaitable[Any]) -> None:
    await awaitable


async def _await_result(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


@final
class Dispatch:
    """Runs the handlers of all sockets of a server; sends or reports their results and errors."""

    __slots__ = ("_error_ack", "_timeout", "loop_thread", "reporter", "runner", "wrap")

    def __init__(
        self, runner: Runner, error_ack: Callable[[BaseException], Any], timeout: float | None
    ) -> None:
        self.runner = runner
        self.reporter = Reporter(runner)
        self.loop_thread = 0  # the thread in which clients connect; 0 before the first one
        self._error_ack = error_ack
        self._timeout = timeout
        # For tracing: returns the call that replaces that of a handler
        self.wrap: Callable[[HandlerCall, OwedAck], HandlerCall] | None = None

    def run(  # noqa: PLR0912 - a call per event is slower
        self, handler: HandlerCall, socket: HandlingSocket, data: list[Any], ack: OwedAck
    ) -> None:
        """Call a handler with the arguments of an event; send its result as the ack."""
        # hot path: benchmarks/hop_budget.py
        if self.wrap is not None:
            handler = self.wrap(handler, ack)
        try:
            if handler.given == 1 and len(data) == 2:
                # Most events have one argument. Unpacking a list costs twice as much as the call.
                result = handler.function(socket, data[1])
            else:
                result = handler.call(socket, data)
            if type(result) is _COROUTINE:
                coroutine = result
                result = self.runner.begin(coroutine)
                if type(result) is _SUSPENDED:
                    self._hand_over(result, socket, data[0], ack)
                    return
            if ack is not None and isinstance(ack, int):
                if _IS_COMPILED and isinstance(socket, SocketCore):
                    SocketCore._send_ack(socket, ack, result)  # without a look-up of the method
                else:
                    socket._send_ack(ack, result)
            elif result is not None and isinstance(result, Coroutine):
                self._run_compiled(result, socket, data[0], ack)
            elif ack is not None and (result is not None or ack is not CONNECTION_RESULT):
                _share(socket, ack, result)
        except UnsendableResultError as error:
            if isinstance(error.result, Coroutine):
                # Found here only, because a check of each result costs time.
                self._run_compiled(error.result, socket, data[0], ack)
            else:
                self.failed(error, socket, data[0], ack)
        except (Exception, CANCELLED) as error:
            self.failed(error, socket, data[0], ack)

    def _run_compiled(
        self, coroutine: Coroutine[Any, Any, Any], socket: HandlingSocket, event: Any, ack: OwedAck
    ) -> None:
        """Run the coroutine of a compiled function (mypyc, Cython), which has its own type."""
        try:
            result = self.runner.begin(_await_result(coroutine))
            if result.__class__ is Suspended:
                self._hand_over(result, socket, event, ack)
            else:
                _answer(socket, ack, result)
        except (Exception, CANCELLED) as error:
            self.failed(error, socket, event, ack)

    def run_coroutine(
        self, coroutine: Coroutine[Any, Any, None], socket: HandlingSocket, event: Any
    ) -> None:
        """Run the asynchronous middlewares of an event; report their errors."""
        try:
            result = self.runner.begin(coroutine)
            if result.__class__ is Suspended:
                self._hand_over(result, socket, event, None)
        except (Exception, CANCELLED) as error:
            self.failed(error, socket, event, None)

    def _hand_over(
        self, suspended: Suspended, socket: HandlingSocket, event: Any, ack: OwedAck
    ) -> None:
        def done(result: Any, error: BaseException | None) -> None:
            try:
                if error is None:
                    _answer(socket, ack, result)
            except Exception as failure:
                error = failure
            if error is not None and not self.runner.is_closing:
                self.failed(error, socket, event, ack)
            socket._handler_ended()

        socket._handler_suspended()
        self.runner.hand_over(suspended, done, f"socketio {str(event)[:40]!r}", self._timeout)

    def failed(
        self, error: BaseException, socket: HandlingSocket, event: Any, ack: OwedAck
    ) -> None:
        """Report the error of an event, and send an error ack if the client requested an ack.

        An AckError is an answer, and invalid arguments are the client's fault: both are
        reported only if no ack takes them.
        """
        if ack is CONNECTION_RESULT:
            # The built-in ConnectionRefusedError has the name of python-socketio's refusal.
            if isinstance(error, ConnectError | ConnectionRefusedError):
                _disconnect_late(socket, f"raised {error!r:.100}")
                return
            ack = None
        if not isinstance(ack, int) and ack is not None and ack.is_answered:
            ack = None
        is_answer = isinstance(error, AckError | PayloadValidationError) and ack is not None
        if not is_answer:
            self.reporter.report(error, socket, str(event))
        if ack is None:
            return
        try:
            answer = self._error_ack(error)
            refuse_awaitable("error_ack", answer)
            if isinstance(ack, int):
                socket._send_ack(ack, answer)
            else:
                ack.is_answered = True
                socket._send_ack(ack.ack_id, answer)
        except Exception:
            logger.exception("an error ack could not be sent")


def _disconnect_late(socket: Any, how: str) -> None:
    """Disconnect a socket that a `connection` handler refuses: a CONNECT_ERROR is too late."""
    logger.warning(
        "socket %s was disconnected after its CONNECT, since a 'connection' handler %s: "
        "refuse clients in a middleware, @io.use, which runs before",
        socket.id, how,
    )  # fmt: skip
    socket.disconnect()


def _answer(socket: HandlingSocket, ack: OwedAck, result: Any) -> None:
    if isinstance(ack, int):
        socket._send_ack(ack, result)
    elif ack is not None:
        _share(socket, ack, result)


def _share(socket: HandlingSocket, ack: SharedAck, result: Any) -> None:
    if ack is CONNECTION_RESULT:
        if result is False:
            _disconnect_late(socket, "returned False")
        elif result.__class__ is CoroutineType:  # an async handler returned a check unawaited
            result.close()
            _disconnect_late(socket, "returned a coroutine without await")
    elif ack.settles(result):
        socket._send_ack(ack.ack_id, None if result is NO_ACK else result)
        ack.is_answered = True
