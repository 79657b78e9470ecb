"""The events that one socket of a client sends: encoding, buffers, pending acks and retries."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, final

from socketio_core.acknowledgement import AckSink, CallbackAck, PendingAcks, TimedCallbackAck
from socketio_core.client.acks import AwaitedAck, OutgoingEvent, RetryQueue
from socketio_core.client.errors import BufferFullError
from socketio_core.client.interface import SocketManager
from socketio_core.client.waiters import DrainWaiters
from socketio_core.errors import DisconnectedError, SocketError

logger = logging.getLogger("socketio_core")


@final
class Outbox:
    """The outgoing events of one namespace.

    An event that is not sent at once waits in the buffer for the connection, or in the queue of
    retries for the acks of earlier events.
    """

    def __init__(
        self, manager: SocketManager, namespace: str, is_connected: Callable[[], bool]
    ) -> None:
        self._manager = manager
        self._namespace = namespace
        self._is_connected = is_connected
        self._ack_ids = itertools.count()
        self._pending = PendingAcks(namespace)
        self._buffer: deque[OutgoingEvent] = deque()
        self._buffered = 0  # bytes
        self._retries = RetryQueue(
            manager.options.retries,
            lambda: manager._clock,
            is_connected=is_connected,
            send=self._transmit,
            forget=self._pending.forget,
            emptied=self._check_drained,
        )
        self._drains = DrainWaiters()
        self.listeners: list[Callable[..., Any]] = []
        """The functions of `on_any_outgoing`."""

    def __len__(self) -> int:
        return len(self._buffer) + len(self._retries)

    @property
    def amount(self) -> int:
        """The size of the waiting events in bytes."""
        return self._buffered + self._retries.size

    # -- sending

    def emit(
        self, data: list[Any], ack: Callable[..., Any] | None, timeout: float | None, volatile: bool
    ) -> None:
        """Send an event, and call `ack` with its ack.

        Raises BufferFullError, TypeError or ValueError.
        """
        options = self._manager.options
        limit = timeout if timeout is not None else options.ack_timeout
        event = self._encode(data, ack is not None, volatile)
        failed: Callable[[SocketError], None] | None = None
        if ack is not None:
            inner = CallbackAck(ack, self._manager.dispatch.reporter.run)
            if limit is None:
                event.sink = inner
            elif options.retries and not volatile:
                event.sink = _Prefixed(inner)
                failed = lambda error: inner.acked(self._namespace, [error])  # noqa: E731 - one line
            else:
                event.sink = TimedCallbackAck(
                    inner, self._namespace, self._manager._clock, limit, self._forget
                )
        self._submit(event, limit, failed)

    async def request(
        self, data: list[Any], timeout: float | None, total: float | None, volatile: bool
    ) -> list[Any]:
        """Send an event, and return the arguments of its ack.

        `timeout` limits each attempt, `total` all attempts together. Raises AckTimeoutError,
        DisconnectedError, BufferFullError, TypeError or ValueError.
        """
        options = self._manager.options
        limit = timeout if timeout is not None else options.ack_timeout
        if total is None and (volatile or not options.retries):
            total = limit
        event = self._encode(data, True, volatile)
        sink = AwaitedAck(self._manager._clock, total)
        event.sink = sink
        self._submit(event, limit, sink.fail)
        return await sink.result(self._forget)

    def _encode(self, data: list[Any], needs_ack: bool, volatile: bool) -> OutgoingEvent:
        options = self._manager.options
        needs_ack = needs_ack or (options.retries > 0 and not volatile)
        ack_id = next(self._ack_ids) if needs_ack else None
        packets = options.parser.encode_event(self._namespace, data, ack_id)
        event = OutgoingEvent(data, packets, ack_id, volatile)
        limit = self._manager._buffer_size
        if not volatile and self._manager.amount + event.size > limit:
            raise BufferFullError(
                f"unsent events must not exceed max_buffer_size, {limit} bytes: await drain() "
                "between events, or raise the option"
            )
        return event

    def _submit(
        self,
        event: OutgoingEvent,
        timeout: float | None,
        failed: Callable[[SocketError], None] | None,
    ) -> None:
        if self._manager.options.retries and not event.is_volatile:
            assert timeout is not None, "the options require ack_timeout with retries"
            self._retries.add(event, timeout, failed)
        else:
            self._transmit(event)

    def _transmit(self, event: OutgoingEvent) -> None:
        """Send an event, or keep it until the socket is connected."""
        if event.is_volatile and not (self._is_connected() and self._manager.is_writable):
            if event.sink is not None:
                event.sink.left(self._namespace)
        elif self._is_connected():
            self._write(event)
        else:
            self._buffer.append(event)
            self._buffered += event.size

    def _write(self, event: OutgoingEvent) -> None:
        for listener in tuple(self.listeners):
            try:
                listener(*event.data)
            except Exception:
                logger.exception("a listener of on_any_outgoing failed")
        if event.sink is not None and event.ack_id is not None:
            self._pending.expect(event.ack_id, event.sink)
        self._manager._send(event.packets)

    def _forget(self, sink: AckSink) -> None:
        """Stop waiting for an ack; an event that was not sent is not sent any more."""
        self._pending.forget(sink)
        self._retries.forget(sink)
        for event in self._buffer:
            if event.sink is sink:
                self._buffer.remove(event)
                self._buffered -= event.size
                self._check_drained()
                break

    async def drain(self) -> None:
        """Wait until no event waits for the connection, or for its ack with `retries`.

        Raises DisconnectedError if the connection is lost first.
        """
        if len(self):
            await self._drains.wait()

    def _check_drained(self) -> None:
        if not len(self):
            self._drains.succeed()

    # -- called by the socket

    def ack_received(self, ack_id: int, data: list[Any]) -> None:
        """Pass an ack to its receiver; ignore an unexpected one."""
        self._pending.receive(ack_id, data)

    def flush(self) -> None:
        """Send the waiting events: the socket is connected."""
        while self._buffer and self._is_connected():
            event = self._buffer.popleft()
            self._buffered -= event.size
            self._write(event)
        self._retries.drain()
        self._check_drained()

    def fail_pending(self) -> None:
        """Fail the acks of sent events, and `drain`: the connection was lost."""
        self._pending.fail_all()
        self._drains.fail(DisconnectedError())

    def fail_waiting(self) -> None:
        """Fail the acks of unsent events: the socket does not connect again by itself.

        Unsent events without an ack are kept for the next `connect`.
        """
        kept: deque[OutgoingEvent] = deque()
        for event in self._buffer:
            if event.sink is None:
                kept.append(event)
            else:
                self._buffered -= event.size
                event.sink.left(self._namespace)
        self._buffer = kept
        self._retries.fail_awaited(DisconnectedError())
        self._drains.fail(DisconnectedError())


@final
class _Prefixed:
    """The ack of a retried event for a function that gets an error or None first."""

    __slots__ = ("_inner",)

    def __init__(self, inner: CallbackAck) -> None:
        self._inner = inner

    def acked(self, socket_id: str, data: list[Any]) -> None:
        """Call the function with None and the answer."""
        self._inner.acked(socket_id, [None, *data])

    def left(self, socket_id: str) -> None:
        """Do nothing: the event is sent again."""
