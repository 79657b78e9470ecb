"""The WebSocket of an ASGI host as a transport of a session."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any, Final, final

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.errors import CloseReason, ProtocolError
from engineio_core.transports.interface import NULL_LISTENER, TransportContext, TransportListener

logger = logging.getLogger("engineio_core")

#: Bytes that wait for the host above which the session keeps further packets in its outbox, and
#: below which it sends them.
HIGH_WATER: Final = 64 * 1024
LOW_WATER: Final = 16 * 1024


@final
class GuestWebSocket:
    """A transport whose frames the host reads and writes.

    The host answers pings, joins fragments, checks UTF-8 and compresses. `run` ends with the
    WebSocket.
    """

    name = "websocket"

    def __init__(
        self,
        context: TransportContext,
        receive: Any,
        send: Any,
        headers: list[tuple[bytes, bytes]],
    ) -> None:
        self.listener: TransportListener = NULL_LISTENER
        self.writable = True
        self._context = context
        self._receive = receive
        self._send = send
        self._headers = headers
        self._queue: deque[EncodedPacket] = deque()
        self._queued = 0
        self._is_sending = False
        self._close_code: int | None = None
        self._is_over = False
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._work = asyncio.Event()
        self._turn = 0

    # -- Transport

    def send(self, packet: EncodedPacket) -> None:
        """Queue one packet for the host, which receives it in this iteration of the loop."""
        self._queue.append(packet)
        self._queued += len(packet.payload)
        if self._queued > HIGH_WATER:
            self.writable = False
        self._work.set()

    def send_bare(self, packet: bytes) -> None:
        """Queue one encoded text packet."""
        self.send(EncodedPacket(packet))

    def wake(self) -> None:
        """Do nothing: the sender fetches the outbox."""

    def is_idle(self) -> bool:
        """Return whether the host has taken all packets."""
        return not self._queue and not self._is_sending

    def has_just_sent(self) -> bool:
        """Return whether a packet waits for the host."""
        return bool(self._queue)

    def buffered_amount(self) -> int:
        """Return the number of bytes that the host has not taken."""
        return self._queued

    def partial_amount(self) -> int:
        """Return 0: the host delivers whole messages."""
        return 0

    def close(self) -> bool:
        """Close after the queued packets; the session counts as closed immediately."""
        self._end(1000)
        return True

    def discard(self) -> None:
        """Close without the queued packets."""
        self._queue.clear()
        self._end(1000)

    def pause_reading(self) -> None:
        """Deliver no further message until `resume_reading`."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        """Deliver messages again, after `pause_reading`."""
        self._may_read.set()

    def flush(self) -> None:
        """Do nothing: the packets of the handshake follow the acceptance."""

    def _end(self, code: int) -> None:
        self.listener = NULL_LISTENER
        self.writable = False
        if self._close_code is None:
            self._close_code = code
        self._may_read.set()
        self._work.set()

    # -- called by the guest

    async def run(self) -> None:
        """Accept the WebSocket, and carry messages until it ends."""
        await self._send({"type": "websocket.accept", "headers": self._headers})
        sender = asyncio.ensure_future(self._send_all())
        try:
            await self._receive_all()
        finally:
            self._is_over = True
            self._work.set()
            listener, self.listener = self.listener, NULL_LISTENER
            listener._transport_closed(CloseReason.TRANSPORT_CLOSE, "the client closed")
            await _finish(sender)

    async def _receive_all(self) -> None:
        limit = self._context.options.max_http_buffer_size
        while True:
            await self._may_read.wait()
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            try:
                if text is not None:
                    packet = text.encode()
                    if len(packet) > limit:
                        raise _too_large()
                    self.listener._receive_text(packet)
                else:
                    data = bytes(message.get("bytes") or b"")
                    if len(data) > limit:
                        raise _too_large()
                    self.listener._receive_binary(data)
            except ProtocolError as error:
                listener = self.listener
                self._end(error.websocket_code or 1000)
                listener._transport_failed(error)
            except Exception:
                # An exception in a callback does not close the connection.
                logger.exception("a callback of a WebSocket failed")

    async def _send_all(self) -> None:
        """Pass packets to the host, which may suspend this task while the client reads slowly."""
        queue = self._queue
        try:
            while not self._is_over:
                while queue:
                    packet = queue.popleft()
                    payload = packet.payload
                    self._is_sending = True
                    if packet.is_binary:
                        await self._send({"type": "websocket.send", "bytes": payload})
                    else:
                        await self._send({"type": "websocket.send", "text": payload.decode()})
                    self._is_sending = False
                    self._queued -= len(payload)
                    if not self.writable and self._queued < LOW_WATER and self._close_code is None:
                        self.writable = True
                        self.listener._transport_writable()
                if self._close_code is not None:
                    await self._send({"type": "websocket.close", "code": self._close_code})
                    return
                self._work.clear()
                await self._work.wait()
        except Exception as error:
            # The client has left; `receive` reports it as well.
            logger.debug("the host did not take a message: %s", error)
            self._queue.clear()


def _too_large() -> ProtocolError:
    return ProtocolError("a message exceeds max_http_buffer_size", websocket_code=1009)


async def _finish(sender: asyncio.Future[None]) -> None:
    if not sender.done():
        sender.cancel()
    await asyncio.gather(sender, return_exceptions=True)
