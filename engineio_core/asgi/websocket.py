"""The WebSocket of an ASGI host as a transport of a session."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any, Final, final

from engineio_core.asgi.sender import GuestSender
from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.errors import CloseReason, ProtocolError
from engineio_core.noop import noop
from engineio_core.read_turn import TURN_BYTES, ReadTurn
from engineio_core.transports.interface import NULL_LISTENER, TransportContext, TransportListener

logger = logging.getLogger("engineio_core")

#: Bytes that wait for the host above which the session keeps further packets in its outbox, and
#: below which it sends them.
HIGH_WATER: Final = 64 * 1024
LOW_WATER: Final = 16 * 1024
NORMAL: Final = 1000
#: Bytes that a message counts in addition to its length: short messages take as long as this.
MESSAGE_BYTES: Final = 1024


@final
class GuestWebSocket:
    """A transport whose frames the host reads and writes.

    The host answers pings, joins fragments, checks UTF-8 and compresses. `run` ends with the
    WebSocket. Its task receives the messages and passes the packets that answer a message to the
    host before the next one; packets that are sent at another time get a task of their own.
    """

    __slots__ = (
        "_close_code", "_context", "_headers", "_is_close_sent", "_is_cut", "_is_flushing",
        "_is_reading_paused", "_listener", "_may_read", "_queue", "_queued",
        "_receive", "_receive_binary", "_receive_text", "_send", "_sender", "_sending_task",
        "_task", "writable",
    )  # fmt: skip

    name = "websocket"

    def __init__(
        self,
        context: TransportContext,
        receive: Any,
        send: Any,
        headers: list[tuple[bytes, bytes]],
        sender: GuestSender,
    ) -> None:
        self.listener = NULL_LISTENER
        self.writable = True
        self._context = context
        self._receive = receive
        self._send = send
        self._headers = headers
        # Packets that the host has not taken: text as bytes, binary messages as EncodedPacket
        self._queue: deque[bytes | EncodedPacket] = deque()
        self._queued = 0
        # A task passes the queue to the host, or does so soon: `run` after the acceptance
        self._is_flushing = True
        self._sender = sender
        self._task: asyncio.Task[Any] | None = None  # runs `run`
        # The task that passes packets to the host now
        self._sending_task: asyncio.Task[Any] | None = None
        self._close_code: int | None = None
        self._is_close_sent = False
        self._is_cut = False
        self._is_reading_paused = False
        self._may_read = asyncio.Event()

    @property
    def listener(self) -> TransportListener:
        """The receiver of packets and events."""
        return self._listener

    @listener.setter
    def listener(self, listener: TransportListener) -> None:
        self._listener = listener
        self._receive_text = listener._receive_text
        self._receive_binary = listener._receive_binary

    # -- Transport

    def send(self, packet: EncodedPacket) -> None:
        """Queue one packet for the host, which receives it in this iteration of the loop."""
        # hot path: benchmarks/hop_budget.py
        payload = packet.payload
        self._queue.append(packet if packet.is_binary else payload)
        self._queued += len(payload)
        if self._queued > HIGH_WATER:
            self.writable = False
        if not self._is_flushing:
            self._is_flushing = True
            self._sender.add(self)

    def send_bare(self, packet: bytes) -> None:
        """Queue one encoded text packet, without an EncodedPacket."""
        # hot path: benchmarks/hop_budget.py
        self._queue.append(packet)
        self._queued += len(packet)
        if self._queued > HIGH_WATER:
            self.writable = False
        if not self._is_flushing:
            self._is_flushing = True
            self._sender.add(self)

    def wake(self) -> None:
        """Do nothing: `_flush` fetches the outbox."""

    def is_idle(self) -> bool:
        """Return whether the host has taken all packets."""
        return not self._queue and self._sending_task is None

    def has_just_sent(self) -> bool:
        """Return whether a packet waits for the host; a packet that the host took has left."""
        return bool(self._queue)

    def buffered_amount(self) -> int:
        """Return the number of bytes that the host has not taken."""
        return self._queued

    def partial_amount(self) -> int:
        """Return 0: the host delivers whole messages."""
        return 0

    def close(self) -> bool:
        """Close after the queued packets; the session counts as closed immediately."""
        self._end(NORMAL)
        return True

    def discard(self) -> None:
        """Close without the queued packets, even if the host does not take a packet."""
        self._queue.clear()
        self._end(NORMAL)
        if self._sending_task is not None and self._task is not None:
            # The host takes no close frame either, and may not report the end of the client.
            self._cut_off()
            self._task.cancel()

    def _cut_off(self) -> None:
        """Stop passing packets to the host."""
        self._is_cut = True
        if self._sending_task is not None and self._sending_task is not self._task:
            self._sending_task.cancel()

    def pause_reading(self) -> None:
        """Deliver no further message until `resume_reading`."""
        self._is_reading_paused = True
        self._may_read.clear()

    def resume_reading(self) -> None:
        """Deliver messages again, after `pause_reading`."""
        self._is_reading_paused = False
        self._may_read.set()

    def flush(self) -> None:
        """Do nothing: the packets of the handshake follow the acceptance."""

    def _end(self, code: int) -> None:
        self.listener = NULL_LISTENER
        self.writable = False
        if self._close_code is None:
            self._close_code = code
        self.resume_reading()
        if not self._is_flushing:
            self._is_flushing = True
            self._sender.add(self)

    # -- called by the guest

    async def run(self) -> None:
        """Accept the WebSocket, and carry messages until it ends."""
        task = self._task = asyncio.current_task()
        assert task is not None, "the host calls the application in a task"
        self._sender.enter_loop()
        try:
            await self._send({"type": "websocket.accept", "headers": self._headers})
            await self._flush(task)
            self._is_flushing = False
            await self._receive_all(task)
        except asyncio.CancelledError:
            if not self._is_cut:
                raise
            task.uncancel()
        finally:
            self._is_flushing = True
            self._task = None
            self._cut_off()
            listener, self.listener = self._listener, NULL_LISTENER
            listener._transport_closed(CloseReason.TRANSPORT_CLOSE, "the client closed")

    async def _receive_all(self, task: asyncio.Task[Any]) -> None:  # noqa: PLR0912, PLR0915 - hot
        """Deliver each message of the host, and pass the answers to the host."""
        # hot path: benchmarks/hop_budget.py
        receive = self._receive
        queue = self._queue
        limit = self._context.options.max_http_buffer_size
        # A host that has read many messages returns them without an iteration of the event loop.
        turn = ReadTurn(self._context.clock, noop)
        work = 0
        while True:
            if work > TURN_BYTES:
                work = 0
                if turn.is_over():
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)  # one iteration is for the others: see `ReadTurn`
            if self._is_reading_paused:
                await self._may_read.wait()
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            was_flushing = self._is_flushing
            self._is_flushing = True
            try:
                text = message.get("text")
                if text is not None:
                    packet = text.encode()
                    size = len(packet)
                    work += size + MESSAGE_BYTES
                    if size > limit:
                        raise _too_large()
                    self._receive_text(packet)
                else:
                    data = bytes(message.get("bytes") or b"")
                    size = len(data)
                    work += size + MESSAGE_BYTES
                    if size > limit:
                        raise _too_large()
                    self._receive_binary(data)
            except ProtocolError as error:
                listener = self._listener
                self._end(error.websocket_code or NORMAL)
                listener._transport_failed(error)
            except Exception:
                # An exception in a callback does not close the connection.
                logger.exception("a callback of a WebSocket failed")
            if not was_flushing:
                if queue or self._close_code is not None:
                    await self._flush(task)
                self._is_flushing = False

    async def _flush_queue(self, task: asyncio.Task[Any]) -> None:
        """Pass the queue to the host in `task`, which `GuestSender` runs."""
        try:
            if not self._is_cut:
                await self._flush(task)
                self._is_flushing = self._is_cut
        except asyncio.CancelledError:
            if not self._is_cut:
                raise
            task.uncancel()

    async def _flush(self, task: asyncio.Task[Any]) -> None:
        """Pass packets to the host, which may suspend the task while the client reads slowly."""
        # hot path: benchmarks/hop_budget.py
        queue, send = self._queue, self._send
        self._sending_task = task
        try:
            while queue:
                packet = queue.popleft()
                if isinstance(packet, bytes):
                    size = len(packet)
                    await send({"type": "websocket.send", "text": packet.decode()})
                else:
                    size = len(packet.payload)
                    await send({"type": "websocket.send", "bytes": packet.payload})
                self._queued -= size
                if not self.writable and self._queued < LOW_WATER and self._close_code is None:
                    self.writable = True
                    self._listener._transport_writable()
            if self._close_code is not None and not self._is_close_sent:
                self._is_close_sent = True
                await send({"type": "websocket.close", "code": self._close_code})
        except Exception as error:
            # The client has left; `receive` reports it as well.
            logger.debug("the host did not take a message: %s", error)
            queue.clear()
        finally:
            self._sending_task = None


def _too_large() -> ProtocolError:
    return ProtocolError("a message exceeds max_http_buffer_size", websocket_code=1009)
