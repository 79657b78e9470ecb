"""Running handlers, and where what they return or raise ends up.

Knows: acks, errors and who is told of them.  Does not know: the wire, rooms, signatures.
A coroutine handler runs at once up to its first suspension; only one that suspends costs a task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import Any, Protocol, TypeAlias

from socketio_core.errors import AckError, PayloadValidationError
from socketio_core.handlers.handler import Handler
from socketio_core.handlers.runner import CANCELLED, Runner, Suspended

logger = logging.getLogger("socketio_core")


class Reporter:
    """Who is told of what goes wrong; counts it, too."""

    __slots__ = ("count", "listeners")

    def __init__(self) -> None:
        self.count = 0
        self.listeners: list[Callable[[BaseException, Any, str], Any]] = []

    def report(self, error: BaseException, socket: Any, event: str) -> None:
        """Tell the listeners; without any, log a handler's bug with its traceback."""
        self.count += 1
        for listener in self.listeners:
            try:
                listener(error, socket, event)
            except Exception:
                logger.exception("a listener of errors failed")
        if self.listeners:
            return
        if isinstance(error, PayloadValidationError):
            logger.info("event %.100r of socket %s does not fit: %s", event, socket.id, error)
        elif isinstance(error, AckError):
            # Meant for the client, which has asked for no ack: no bug of ours.
            logger.info("event %.100r of socket %s was refused: %s", event, socket.id, error)
        else:
            logger.error(
                "the handler of %.100r failed for socket %s", event, socket.id, exc_info=error
            )


class Dispatch:
    """Runs handlers for all sockets of a server, and sees to what they return or raise."""

    __slots__ = ("_error_ack", "_timeout", "reporter", "runner")

    def __init__(
        self, runner: Runner, error_ack: Callable[[BaseException], Any], timeout: float | None
    ) -> None:
        self.runner = runner
        self.reporter = Reporter()
        self._error_ack = error_ack
        self._timeout = timeout

    def run(self, handler: Handler, socket: HandlingSocket, data: list[Any], ack: Ack) -> None:
        """Call a handler with the arguments of an event; answer its ack with what it returns."""
        # hot path: benchmarks/hop_budget.py
        try:
            if handler.given == 1 and len(data) == 2:
                # Nearly all events. Unpacking a list of arguments costs twice as much as the call.
                result = handler.function(socket, data[1])
            else:
                result = handler.call(socket, data)
            if result.__class__ is CoroutineType:
                coroutine = result
                result = self.runner.begin(coroutine)
                if result.__class__ is Suspended:
                    self._hand_over(result, socket, data[0], ack)
                    return
            if ack is None:
                return
            if isinstance(ack, int):
                socket._send_ack(ack, result)
            else:
                _share(socket, ack, result)
        except (Exception, CANCELLED) as error:
            self.failed(error, socket, data[0], ack)

    def run_coroutine(
        self, coroutine: Coroutine[Any, Any, None], socket: HandlingSocket, event: Any
    ) -> None:
        """Run what precedes handlers; its errors are reported."""
        try:
            result = self.runner.begin(coroutine)
            if result.__class__ is Suspended:
                self._hand_over(result, socket, event, None)
        except (Exception, CANCELLED) as error:
            self.failed(error, socket, event, None)

    def _hand_over(
        self, suspended: Suspended, socket: HandlingSocket, event: Any, ack: Ack
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

    def failed(self, error: BaseException, socket: HandlingSocket, event: Any, ack: Ack) -> None:
        """An event failed: the client gets an error ack if it asked for one, we get to know.

        An AckError is an answer, and a payload that does not fit is the client's fault: they are
        reported only where no ack takes them.
        """
        is_answer = isinstance(error, AckError | PayloadValidationError) and ack is not None
        if not is_answer:
            self.reporter.report(error, socket, str(event))
        if ack is None:
            return
        try:
            answer = self._error_ack(error)
            if isinstance(ack, int):
                socket._send_ack(ack, answer)
            elif not ack.is_answered:
                ack.is_answered = True
                socket._send_ack(ack.ack_id, answer)
        except Exception:
            logger.exception("an error ack could not be sent")


class HandlingSocket(Protocol):
    """What the dispatch asks of a socket."""

    @property
    def id(self) -> str:
        """The public id."""

    def _send_ack(self, ack_id: int, result: Any) -> None:
        """Send an ack: a tuple is several arguments, None is none."""

    def _handler_suspended(self) -> None:
        """A handler goes on later."""

    def _handler_ended(self) -> None:
        """A handler that went on has ended."""


class SharedAck:
    """One ack for several handlers: the first that returns something, or fails, answers."""

    __slots__ = ("_left", "ack_id", "is_answered")

    def __init__(self, ack_id: int, handlers: int) -> None:
        self.ack_id = ack_id
        self.is_answered = False
        self._left = handlers

    def settles(self, result: Any) -> bool:
        """Take one handler's result; tell whether it is to be sent."""
        self._left -= 1
        return not self.is_answered and (result is not None or self._left == 0)


Ack: TypeAlias = int | SharedAck | None


def _answer(socket: HandlingSocket, ack: Ack, result: Any) -> None:
    if isinstance(ack, int):
        socket._send_ack(ack, result)
    elif ack is not None:
        _share(socket, ack, result)


def _share(socket: HandlingSocket, ack: SharedAck, result: Any) -> None:
    if ack.settles(result):
        socket._send_ack(ack.ack_id, result)
        ack.is_answered = True
