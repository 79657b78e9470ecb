"""Running handlers, and where what they return or raise ends up.

Knows: acks, errors and who is told of them.  Does not know: the wire, rooms, signatures.
A coroutine handler runs at once up to its first suspension; only one that suspends costs a task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeAlias

from .errors import AckError, PayloadInvalid
from .handler import Handler
from .runner import SUSPENDED, Runner

logger = logging.getLogger("socketio_core")


class Reporter:
    """Who is told of what goes wrong; counts it, too."""

    __slots__ = ("count", "listeners")

    def __init__(self) -> None:
        self.count = 0
        self.listeners: list[Callable[[Exception, Any, str], Any]] = []

    def report(self, error: Exception, socket: Any, event: str) -> None:
        """Tell the listeners; without any, log a handler's bug with its traceback."""
        self.count += 1
        for listener in self.listeners:
            try:
                listener(error, socket, event)
            except Exception:
                logger.exception("a listener of errors failed")
        if self.listeners:
            return
        if isinstance(error, PayloadInvalid):
            logger.info("event %.100r of socket %s does not fit: %s", event, socket.id, error)
        else:
            logger.error(
                "the handler of %.100r failed for socket %s", event, socket.id, exc_info=error
            )


class Dispatch:
    """Runs handlers for all sockets of a server, and sees to what they return or raise."""

    __slots__ = ("_error_ack", "_timeout", "reporter", "runner")

    def __init__(self, error_ack: Callable[[Exception], Any], timeout: float | None) -> None:
        self.runner = Runner()
        self.reporter = Reporter()
        self._error_ack = error_ack
        self._timeout = timeout

    def run(self, handler: Handler, socket: HandlingSocket, data: list[Any], ack: Ack) -> None:
        """Call a handler with the arguments of an event; answer its ack with what it returns."""
        # hot path: benchmarks/hop_budget.py
        try:
            args = data[1:]
            if handler.parameters is not None or not handler.least <= len(args) <= handler.most:
                args = handler.prepare(args)
            result = (
                handler.function(socket, *args) if handler.takes_socket else handler.function(*args)
            )
            if handler.is_async:
                coroutine = result
                result = self.runner.begin(coroutine)
                if result is SUSPENDED:
                    self._hand_over(coroutine, socket, data[0], ack)
                    return
            if ack is not None:
                self._answer(socket, ack, result)
        except Exception as error:
            self.failed(error, socket, data[0], ack)

    def _hand_over(
        self, coroutine: Coroutine[Any, Any, Any], socket: HandlingSocket, event: Any, ack: Ack
    ) -> None:
        def done(result: Any, error: BaseException | None) -> None:
            socket.handler_ended()
            if isinstance(error, Exception):
                self.failed(error, socket, event, ack)
            elif error is None and ack is not None:
                try:
                    self._answer(socket, ack, result)
                except Exception as failure:
                    self.failed(failure, socket, event, ack)

        socket.handler_suspended()
        self.runner.hand_over(coroutine, done, f"socketio {str(event)[:40]!r}", self._timeout)

    def _answer(self, socket: HandlingSocket, ack: int | SharedAck, result: Any) -> None:
        if isinstance(ack, SharedAck):
            if ack.settles(result):
                socket.send_ack(ack.ack_id, ack.result)
        else:
            socket.send_ack(ack, result)

    def failed(self, error: Exception, socket: HandlingSocket, event: Any, ack: Ack) -> None:
        """An event failed: the client gets an error ack if it asked for one, we get to know.

        An AckError is an answer, and a payload that does not fit is the client's fault: they are
        reported only where no ack takes them.
        """
        is_answer = isinstance(error, AckError | PayloadInvalid) and ack is not None
        if not is_answer:
            self.reporter.report(error, socket, str(event))
        if ack is not None:
            try:
                self._answer(socket, ack, self._error_ack(error))
            except Exception:
                logger.exception("an error ack could not be sent")


class HandlingSocket(Protocol):
    """What the dispatch asks of a socket."""

    @property
    def id(self) -> str:
        """The public id."""

    def send_ack(self, ack_id: int, result: Any) -> None:
        """Send an ack: a tuple is several arguments, None is none."""

    def handler_suspended(self) -> None:
        """A handler goes on later."""

    def handler_ended(self) -> None:
        """A handler that went on has ended."""


class SharedAck:
    """One ack for several handlers: the first that returns something answers."""

    __slots__ = ("_left", "ack_id", "result")

    def __init__(self, ack_id: int, handlers: int) -> None:
        self.ack_id = ack_id
        self._left = handlers
        self.result: Any = None

    def settles(self, result: Any) -> bool:
        """Take one handler's result; tell whether it is to be sent."""
        if self._left <= 0:
            return False
        self._left -= 1
        if result is not None:
            self._left = 0
            self.result = result
        return self._left == 0


Ack: TypeAlias = int | SharedAck | None
