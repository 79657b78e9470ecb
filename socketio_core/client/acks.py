"""Acks that a client awaits, and the queue of events that are sent until they are acknowledged."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, final

from engineio_core.clock import Clock
from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core.acknowledgement import AckSink
from socketio_core.errors import AckTimeoutError, DisconnectedError, SocketError


@final
class OutgoingEvent:
    """An encoded event; `sink` receives its ack."""

    __slots__ = ("ack_id", "data", "is_volatile", "packets", "sink", "size")

    def __init__(
        self,
        data: list[Any],
        packets: tuple[EncodedPacket, ...],
        ack_id: int | None,
        is_volatile: bool,
    ) -> None:
        self.data = data
        self.packets = packets
        self.ack_id = ack_id
        self.sink: AckSink | None = None
        self.is_volatile = is_volatile
        self.size = sum(len(packet.payload) for packet in packets)


@final
class AwaitedAck:
    """An ack, to be awaited once with `result`; all its arguments are the result."""

    __slots__ = ("_clock", "_future", "_timeout")

    def __init__(self, clock: Clock, timeout: float | None) -> None:
        self._clock = clock
        self._timeout = timeout
        self._future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

    def acked(self, socket_id: str, data: list[Any]) -> None:
        """Set the arguments of the ack as the result."""
        if not self._future.done():
            self._future.set_result(data)

    def left(self, socket_id: str) -> None:
        """Fail with DisconnectedError, because the connection was lost."""
        self.fail(DisconnectedError())

    def fail(self, error: SocketError) -> None:
        """Fail with an error."""
        if not self._future.done():
            self._future.set_exception(error)

    async def result(self, forget: Callable[[AckSink], None]) -> list[Any]:
        """Await the answer, then call `forget`. Raises AckTimeoutError or DisconnectedError."""
        timer = None
        if self._timeout is not None:
            timer = self._clock.call_later(self._timeout, self.fail, AckTimeoutError())
        try:
            return await self._future
        finally:
            if timer is not None:
                timer.cancel()
            forget(self)


@final
class RetriedEvent:
    """An event of a `RetryQueue`. It receives its own ack, and reports the final result.

    `failed` receives the error after the last attempt.
    """

    __slots__ = ("_failed", "_queue", "event", "is_pending", "sink", "timer", "tries")

    def __init__(
        self, queue: RetryQueue, event: OutgoingEvent, failed: Callable[[SocketError], None] | None
    ) -> None:
        self._queue = queue
        self._failed = failed
        self.event = event
        self.sink = event.sink
        self.tries = 0
        self.is_pending = False
        self.timer: Any = None

    def acked(self, socket_id: str, data: list[Any]) -> None:
        """Pass the answer on, and send the next event."""
        self._queue.settled(self)
        if self.sink is not None:
            self.sink.acked(socket_id, data)

    def left(self, socket_id: str) -> None:
        """Send the event again after the next connection."""
        self._queue.attempt_failed(self, DisconnectedError())

    def expire(self) -> None:
        """Send the event again: its ack did not arrive in time."""
        self._queue.attempt_failed(self, AckTimeoutError())

    def give_up(self, error: SocketError) -> None:
        """Report the error of the last attempt."""
        if self._failed is not None:
            self._failed(error)


@final
class RetryQueue:
    """Events that are sent one after the other, each until it is acknowledged.

    An event is sent at most `retries + 1` times; a lost connection counts as an attempt, as with
    socket.io-client. All attempts have the same ack id, so that a late ack counts.
    """

    __slots__ = ("_clock", "_emptied", "_events", "_forget", "_is_connected", "_retries", "_send",
                 "_timeout", "size")  # fmt: skip

    def __init__(
        self,
        retries: int,
        clock: Callable[[], Clock],
        *,
        is_connected: Callable[[], bool],
        send: Callable[[OutgoingEvent], None],
        forget: Callable[[AckSink], None],
        emptied: Callable[[], None],
    ) -> None:
        self._emptied = emptied
        self._retries = retries
        self._clock = clock
        self._is_connected = is_connected
        self._send = send
        self._forget = forget
        self._events: deque[tuple[RetriedEvent, float]] = deque()
        self.size = 0  # in bytes

    def __len__(self) -> int:
        return len(self._events)

    def add(
        self,
        event: OutgoingEvent,
        timeout: float,
        failed: Callable[[SocketError], None] | None,
    ) -> None:
        """Append an event, whose ack must arrive within `timeout` after each attempt."""
        retried = RetriedEvent(self, event, failed)
        event.sink = retried
        self._events.append((retried, timeout))
        self.size += event.size
        self.drain()

    def forget(self, sink: AckSink) -> None:
        """Remove the event whose ack `sink` no longer awaits."""
        for entry in self._events:
            if entry[0].sink is sink:
                self._stop(entry[0])
                self._events.remove(entry)
                self.size -= entry[0].event.size
                self.drain()
                break

    def fail_awaited(self, error: SocketError) -> None:
        """Remove the events whose acks are awaited: the socket does not connect by itself."""
        for entry in [each for each in self._events if each[0].sink is not None]:
            self._stop(entry[0])
            self._events.remove(entry)
            self.size -= entry[0].event.size
            entry[0].give_up(error)

    def drain(self) -> None:
        """Send the first event, unless its ack is pending."""
        if not self._events:
            self._emptied()
            return
        if not self._is_connected():
            return
        first, timeout = self._events[0]
        if first.is_pending:
            return
        first.is_pending = True
        first.tries += 1
        first.timer = self._clock().call_later(timeout, first.expire)
        self._send(first.event)

    def settled(self, retried: RetriedEvent) -> None:
        """Remove an acknowledged event and send the next one."""
        self._stop(retried)
        if self._events and self._events[0][0] is retried:
            self._remove_first()
        self.drain()

    def attempt_failed(self, retried: RetriedEvent, error: SocketError) -> None:
        """Send an event again, or give it up."""
        self._stop(retried)
        if retried.tries > self._retries and self._events and self._events[0][0] is retried:
            self._remove_first()
            retried.give_up(error)
        self.drain()

    def _stop(self, retried: RetriedEvent) -> None:
        retried.is_pending = False
        if retried.timer is not None:
            retried.timer.cancel()
        self._forget(retried)

    def _remove_first(self) -> None:
        retried, _ = self._events.popleft()
        self.size -= retried.event.size
