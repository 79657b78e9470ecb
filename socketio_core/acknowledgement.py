"""Pending acks: of one socket, and of all sockets that a broadcast reached.

The namespace assigns the ack ids; the clock is an argument.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Iterable
from enum import Enum
from inspect import isawaitable
from typing import Any, Final, Generic, NamedTuple, Protocol, TypedDict, TypeVar

from engineio_core.clock import Clock
from socketio_core.adapters.interface import RemoteMissing
from socketio_core.errors import AckTimeoutError, DisconnectedError
from socketio_core.misuse import EMITTED

logger = logging.getLogger("socketio_core")

MAX_PENDING: Final = 10_000
Result = TypeVar("Result")


class AckSink(Protocol):
    """The receiver of one ack of one socket."""

    def acked(self, socket_id: str, data: list[Any]) -> None:
        """Receive the answer; called at most once, and not after `left`."""

    def left(self, socket_id: str) -> None:
        """Stop waiting: the socket has left without an answer."""


class PendingAcks:
    """The pending acks of one socket; at most `MAX_PENDING`, in case a client never answers."""

    __slots__ = ("_ids", "_socket_id", "_waiting")

    def __init__(self, socket_id: str) -> None:
        self._socket_id = socket_id
        self._waiting: dict[int, AckSink] = {}
        self._ids: dict[AckSink, int] = {}  # finds the id in `forget` without a search

    def expect(self, ack_id: int, sink: AckSink, event: str | None = None) -> None:
        """Add a pending ack. Above the limit, the oldest pending ack fails."""
        if len(self._waiting) >= MAX_PENDING:
            oldest = self._waiting.pop(next(iter(self._waiting)))
            del self._ids[oldest]
            oldest.left(self._socket_id)
        self._waiting[ack_id] = sink
        self._ids[sink] = ack_id

    def forget(self, sink: AckSink) -> None:
        """Remove the pending ack of `sink`; a late answer is ignored."""
        ack_id = self._ids.pop(sink, None)
        if ack_id is not None:
            del self._waiting[ack_id]

    def receive(self, ack_id: int, data: list[Any]) -> bool:
        """Pass an answer to its sink; return False for an unexpected ack id."""
        sink = self._waiting.pop(ack_id, None)
        if sink is None:
            return False
        del self._ids[sink]
        sink.acked(self._socket_id, data)
        return True

    def fail_all(self) -> None:
        """Fail all pending acks, because the socket has left."""
        waiting, self._waiting = self._waiting, {}
        self._ids.clear()
        for sink in waiting.values():
            sink.left(self._socket_id)

    def __len__(self) -> int:
        return len(self._waiting)


class AckOutcome(Enum):
    """The ends of the wait for an ack."""

    ACKED = "acked"
    MISSED = "missed"  # the timeout is over, or the sender waits no more
    LEFT = "left"  # the socket has left, or owes more than MAX_PENDING acks


class AckObserver(Protocol):
    """An instrument that follows the acks that clients owe."""

    def ack_requested(self, socket: AckOwner, event: str | None) -> Any:
        """Note an event that requests an ack; return the argument of `ack_ended`.

        `event` is None for an event of a broadcast.
        """

    def ack_ended(self, requested: Any, outcome: AckOutcome) -> None:
        """Note the end of the wait."""


class AckOwner(Protocol):
    """The socket that owes acks."""

    @property
    def id(self) -> str:
        """The public id of the socket, unlike the sid of its session."""


class ObservedAcks(PendingAcks):
    """The pending acks of one socket of an instrumented server."""

    __slots__ = ("_observers", "_requested", "_socket")

    def __init__(self, socket: AckOwner, observers: Iterable[AckObserver]) -> None:
        super().__init__(socket.id)
        self._socket = socket
        self._observers = tuple(observers)
        self._requested: dict[int, list[Any]] = {}

    def expect(self, ack_id: int, sink: AckSink, event: str | None = None) -> None:
        """Add a pending ack and inform the observers."""
        if len(self._waiting) >= MAX_PENDING:
            self._end(next(iter(self._waiting)), AckOutcome.LEFT)
        super().expect(ack_id, sink)
        self._requested[ack_id] = [
            observer.ack_requested(self._socket, event) for observer in self._observers
        ]

    def forget(self, sink: AckSink) -> None:
        """Remove the pending ack of `sink`, if it has not arrived."""
        ack_id = self._ids.get(sink)
        super().forget(sink)
        if ack_id is not None:
            self._end(ack_id, AckOutcome.MISSED)

    def receive(self, ack_id: int, data: list[Any]) -> bool:
        """Pass an answer to its sink; return False for an unexpected ack id."""
        self._end(ack_id, AckOutcome.ACKED)
        return super().receive(ack_id, data)

    def fail_all(self) -> None:
        """Fail all pending acks, because the socket has left."""
        for ack_id in list(self._requested):
            self._end(ack_id, AckOutcome.LEFT)
        super().fail_all()

    def _end(self, ack_id: int, outcome: AckOutcome) -> None:
        requested = self._requested.pop(ack_id, None)
        if requested is not None:
            for observer, each in zip(self._observers, requested, strict=True):
                observer.ack_ended(each, outcome)


class SingleAck:
    """The ack of one socket, to be awaited once with `result`."""

    __slots__ = ("_clock", "_future", "_timeout")

    def __init__(self, clock: Clock, timeout: float | None) -> None:
        self._clock = clock
        self._timeout = timeout
        self._future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def acked(self, socket_id: str, data: list[Any]) -> None:
        """Set the first argument of the answer as the result."""
        if not self._future.done():
            self._future.set_result(data[0] if data else None)

    def left(self, socket_id: str) -> None:
        """Fail with DisconnectedError, because the socket left."""
        if not self._future.done():
            self._future.set_exception(DisconnectedError())

    def _expire(self) -> None:
        if not self._future.done():
            self._future.set_exception(AckTimeoutError())

    async def result(self, forget: Callable[[AckSink], None]) -> Any:
        """Await the answer, then call `forget`. Raises AckTimeoutError or DisconnectedError."""
        timer = None
        if self._timeout is not None:
            timer = self._clock.call_later(self._timeout, self._expire)
        try:
            return await self._future
        finally:
            if timer is not None:
                timer.cancel()
            forget(self)


class CallbackAck:
    """The ack of one socket, for a function that is called with all its arguments.

    `run(awaitable, role)` awaits the result of an async function.
    """

    __slots__ = ("_callback", "_run")

    def __init__(
        self, callback: Callable[..., Any], run: Callable[[Awaitable[Any], str], None]
    ) -> None:
        self._callback = callback
        self._run = run

    def acked(self, socket_id: str, data: list[Any]) -> None:
        """Call the function with the answer of the socket."""
        try:
            result = self._callback(*data)
            if result is not None and isawaitable(result) and result is not EMITTED:
                self._run(result, f"the ack callback of socket {socket_id}")
        except Exception:
            logger.exception("the ack callback of socket %s failed", socket_id)

    def left(self, socket_id: str) -> None:
        """Do nothing: the callback is never called."""


class TimedCallbackAck:
    """The ack of one socket, for a function that gets an error or None, then the answer.

    The error is an AckTimeoutError after the timeout, a DisconnectedError if the socket leaves.
    """

    __slots__ = ("_forget", "_inner", "_timer")

    def __init__(
        self,
        inner: CallbackAck,
        socket_id: str,
        clock: Clock,
        timeout: float,
        forget: Callable[[AckSink], None],
    ) -> None:
        self._inner = inner
        self._forget = forget
        self._timer = clock.call_later(timeout, self._expire, socket_id)

    def acked(self, socket_id: str, data: list[Any]) -> None:
        """Call the function with None and the answer of the socket."""
        self._timer.cancel()
        self._inner.acked(socket_id, [None, *data])

    def left(self, socket_id: str) -> None:
        """Call the function with a DisconnectedError."""
        self._timer.cancel()
        self._inner.acked(socket_id, [DisconnectedError()])

    def _expire(self, socket_id: str) -> None:
        self._forget(self)
        self._inner.acked(socket_id, [AckTimeoutError()])


class EmitOptions(TypedDict, total=False):
    """The keywords that `emit` accepts."""

    ack: Callable[..., Any] | None


class _Answers(NamedTuple):
    responses: list[Any]
    missing: list[str]


class BroadcastAnswers(_Answers):
    """The answers to a broadcast: the first argument of each ack, and the ids without an ack.

    `missing` lists sockets of this server. `missing_remote` counts the clients and the servers
    elsewhere that did not answer; it is not part of the tuple.
    """

    missing_remote: RemoteMissing = RemoteMissing()

    @property
    def is_complete(self) -> bool:
        """Whether all clients answered, on all servers."""
        return not self.missing and not any(self.missing_remote)


class Completion(Generic[Result]):
    """An awaitable that the first call of `set` completes."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

    def set(self, result: Result) -> None:
        """Set the result; later calls have no effect."""
        if not self._future.done():
            self._future.set_result(result)

    def __await__(self) -> Generator[Any, None, Result]:
        return self._future.__await__()


class BroadcastAck:
    """The acks of all sockets that a broadcast reached."""

    __slots__ = ("_asked", "_cancel_remote", "_clock", "_future", "_missing", "_missing_remote",
                 "_responses", "_settled", "timeout")  # fmt: skip

    def __init__(self, clock: Clock, timeout: float | None) -> None:
        self._clock = clock
        self.timeout = timeout
        # While other servers may answer: ends the request to them
        self._cancel_remote: Callable[[], RemoteMissing] | None = None
        self._missing_remote = RemoteMissing()
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._responses: list[Any] = []
        self._asked: set[str] | None = None
        self._settled: set[str] = set()
        self._missing: set[str] = set()

    def acked(self, socket_id: str, data: list[Any]) -> None:
        """Add the answer of one socket."""
        self._responses.append(data[0] if data else None)
        self._settle(socket_id)

    def left(self, socket_id: str) -> None:
        """Count one socket as missing, because it left."""
        self._missing.add(socket_id)
        self._settle(socket_id)

    def remote_started(self, cancel: Callable[[], RemoteMissing]) -> None:
        """Wait for other servers as well, until `remote_ended`."""
        self._cancel_remote = cancel

    def remote_acked(self, value: Any) -> None:
        """Add the answer of one socket of another server."""
        self._responses.append(value)

    def remote_ended(self, missing: RemoteMissing) -> None:
        """Stop waiting for other servers."""
        self._cancel_remote = None
        self._missing_remote = missing
        self._finish_if_settled()

    def _settle(self, socket_id: str) -> None:
        self._settled.add(socket_id)
        self._finish_if_settled()

    def _finish_if_settled(self) -> None:
        asked = self._asked
        if asked is not None and self._settled >= asked and self._cancel_remote is None:
            self._finish()

    def _finish(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def result(
        self, asked: Iterable[str], forget: Callable[[AckSink], None]
    ) -> BroadcastAnswers:
        """Wait until all sockets in `asked` have answered or left, at most for the timeout."""
        asked = list(asked)
        self._asked = set(asked)
        self._finish_if_settled()
        timer = None
        if self.timeout is not None:
            timer = self._clock.call_later(self.timeout, self._finish)
        try:
            await self._future
        finally:
            if timer is not None:
                timer.cancel()
            forget(self)
            if self._cancel_remote is not None:
                self._cancel_remote()
        still_out = (self._asked - self._settled) | self._missing
        missing = [each for each in asked if each in still_out]
        answers = BroadcastAnswers(self._responses, missing)
        answers.missing_remote = self._missing_remote
        return answers
