"""Acks that are awaited: of one socket, and of all that a broadcast reached.

Knows: ids, deadlines, who has answered and who can't any more.
Does not know: packets, sockets, namespaces; the clock is injected.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from inspect import isawaitable
from typing import Any, Final, NamedTuple, Protocol

from engineio_core.clock import Clock
from socketio_core.errors import AckTimeoutError, DisconnectedError
from socketio_core.misuse import EMITTED

logger = logging.getLogger("socketio_core")

MAX_PENDING: Final = 10_000


class AckSink(Protocol):
    """Who waits for one ack of one socket."""

    def acked(self, socket_id: str, data: list[Any]) -> None:
        """The socket answered; called once, unless `left` is."""

    def left(self, socket_id: str) -> None:
        """The socket left and can't answer any more."""


class PendingAcks:
    """The acks that one socket owes; a client that never answers owes `MAX_PENDING` at most."""

    __slots__ = ("_ids", "_socket_id", "_waiting")

    def __init__(self, socket_id: str) -> None:
        self._socket_id = socket_id
        self._waiting: dict[int, AckSink] = {}
        self._ids: dict[AckSink, int] = {}  # so that nobody has to be looked for

    def expect(self, ack_id: int, sink: AckSink) -> None:
        """Expect an ack for `sink`. Whoever has waited longest is told that it won't come."""
        if len(self._waiting) >= MAX_PENDING:
            oldest = self._waiting.pop(next(iter(self._waiting)))
            del self._ids[oldest]
            oldest.left(self._socket_id)
        self._waiting[ack_id] = sink
        self._ids[sink] = ack_id

    def forget(self, sink: AckSink) -> None:
        """Expect nothing for `sink` any more: an ack that comes late is ignored."""
        ack_id = self._ids.pop(sink, None)
        if ack_id is not None:
            del self._waiting[ack_id]

    def receive(self, ack_id: int, data: list[Any]) -> bool:
        """Take an ack; False if nobody waits for it."""
        sink = self._waiting.pop(ack_id, None)
        if sink is None:
            return False
        del self._ids[sink]
        sink.acked(self._socket_id, data)
        return True

    def fail_all(self) -> None:
        """The socket has left: nothing comes any more."""
        waiting, self._waiting = self._waiting, {}
        self._ids.clear()
        for sink in waiting.values():
            sink.left(self._socket_id)

    def __len__(self) -> int:
        return len(self._waiting)


class SingleAck:
    """The ack of one socket, to be awaited once with `result`."""

    __slots__ = ("_clock", "_future", "_timeout")

    def __init__(self, clock: Clock, timeout: float | None) -> None:
        self._clock = clock
        self._timeout = timeout
        self._future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def acked(self, socket_id: str, data: list[Any]) -> None:
        """The socket answered: the result is its first argument."""
        if not self._future.done():
            self._future.set_result(data[0] if data else None)

    def left(self, socket_id: str) -> None:
        """The socket left."""
        if not self._future.done():
            self._future.set_exception(DisconnectedError())

    def _expire(self) -> None:
        if not self._future.done():
            self._future.set_exception(AckTimeoutError())

    async def result(self, forget: Callable[[AckSink], None]) -> Any:
        """Await the answer. Raises AckTimeoutError or DisconnectedError; forgets in any case."""
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


class BroadcastAnswers(NamedTuple):
    """What came back from a broadcast: the first argument of each ack, and who did not answer."""

    responses: list[Any]
    missing: list[str]


class BroadcastAck:
    """The acks of all sockets that a broadcast reached."""

    __slots__ = ("_asked", "_clock", "_future", "_missing", "_responses", "_settled",
                 "_timeout")  # fmt: skip

    def __init__(self, clock: Clock, timeout: float | None) -> None:
        self._clock = clock
        self._timeout = timeout
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._responses: list[Any] = []
        self._asked: set[str] | None = None
        self._settled: set[str] = set()
        self._missing: set[str] = set()

    def acked(self, socket_id: str, data: list[Any]) -> None:
        """One socket answered."""
        self._responses.append(data[0] if data else None)
        self._settle(socket_id)

    def left(self, socket_id: str) -> None:
        """One socket left: it stays missing."""
        self._missing.add(socket_id)
        self._settle(socket_id)

    def _settle(self, socket_id: str) -> None:
        self._settled.add(socket_id)
        if self._asked is not None and self._settled >= self._asked:
            self._finish()

    def _finish(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def result(
        self, asked: Iterable[str], forget: Callable[[AckSink], None]
    ) -> BroadcastAnswers:
        """Await until all of `asked` have answered or left, or time is up."""
        asked = list(asked)
        self._asked = set(asked)
        if self._settled >= self._asked:
            self._finish()
        timer = None
        if self._timeout is not None:
            timer = self._clock.call_later(self._timeout, self._finish)
        try:
            await self._future
        finally:
            if timer is not None:
                timer.cancel()
            forget(self)
        still_out = (self._asked - self._settled) | self._missing
        return BroadcastAnswers(self._responses, [each for each in asked if each in still_out])
