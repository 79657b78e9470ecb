"""WebSocket of a client: the connection, with frames and handshake of the `websockets` library."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from engineio_core.client.deadline import Deadline
from engineio_core.client.errors import TransportError, refused
from engineio_core.client.interface import ClientContext, TaskGroup, TransportListener
from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.errors import CloseReason, ProtocolError
from engineio_core.websocket_deflate import beyond_final_blocks

#: The library logs each frame at level DEBUG.
_logger: Final = logging.getLogger("engineio_core.client.websocket")
_logger.setLevel(logging.INFO)
#: Headers that the handshake of WebSocket defines itself
_OWN_HEADERS: Final = frozenset({"host", "upgrade", "connection", "accept"})


class WebSocketTransport(asyncio.Protocol):
    """The WebSocket transport of one session; with a `sid`, the candidate of an upgrade."""

    name = "websocket"

    def __init__(
        self, context: ClientContext, listener: TransportListener, sid: str | None = None
    ) -> None:
        self._context = context
        self._listener = listener
        self._target = context.target(self.name, sid)
        self._tasks = TaskGroup()
        self._tcp: Any = None
        self._websocket = self._create_protocol()
        self._fragments: list[bytes] = []
        self._is_text = False
        self._is_open = False
        self._is_paused = False
        self._has_sent = False  # in this iteration of the event loop
        self._is_over = False
        self._close_timer: Any = None
        self._lost: asyncio.Future[None] | None = None
        self.is_writable = False

    def _create_protocol(self) -> ClientProtocol:
        options, address = self._context.options, self._context.address
        scheme = "wss" if address.is_secure else "ws"
        return ClientProtocol(
            parse_uri(f"{scheme}://{address.authority}{self._target}"),
            extensions=(
                [ClientPerMessageDeflateFactory(compress_settings={"memLevel": 5})]
                if options.per_message_deflate
                else None
            ),
            max_size=options.max_message_size,
            logger=_logger,
        )

    def open(self) -> None:
        """Connect and send the handshake."""
        self._tasks.start(self._connect(), "socketio websocket")

    async def _connect(self) -> None:
        try:
            async with Deadline(self._context.clock, self._context.options.timeout):
                await self._context.network.connect(lambda: self, is_tunnel=True)
        except Exception as error:  # OSError, TransportError, or an invalid host name
            self._end(CloseReason.TRANSPORT_ERROR, error)

    # -- calls of the TCP transport

    def connection_made(self, transport: Any) -> None:
        """Send the handshake over the new connection."""
        self._tcp = transport
        self._lost = asyncio.get_running_loop().create_future()
        if self._is_over:
            transport.abort()
            return
        request = self._websocket.connect()
        for name, value in self._context.headers(self._target):
            if name.lower() not in _OWN_HEADERS:
                request.headers[name] = value
        self._websocket.send_request(request)
        self._write()

    def data_received(self, data: bytes) -> None:
        """Read the handshake or frames, and deliver complete messages."""
        self._websocket.receive_data(data)
        self._write()
        try:
            for event in self._websocket.events_received():
                if self._is_over:
                    break
                if isinstance(event, Response):
                    self._handshake_received(event)
                else:
                    assert isinstance(event, Frame), "the library has two kinds of events"
                    self._frame_received(event)
        except ProtocolError as error:
            self._end(CloseReason.PARSE_ERROR, error)
            return
        self._check_state()

    def eof_received(self) -> None:
        """Complete the last frame; asyncio closes the connection."""
        self._websocket.receive_eof()

    def connection_lost(self, error: Exception | None) -> None:
        """Report the end of the session."""
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)
        if self._close_timer is not None:
            self._close_timer.cancel()
        if not self._is_open:
            self._end(
                CloseReason.TRANSPORT_ERROR,
                error or ConnectionResetError("the server closed the connection"),
            )
        else:
            self._end(CloseReason.TRANSPORT_CLOSE, self._describe_close(error))

    def pause_writing(self) -> None:
        """Queue packets in the session: the server reads slowly."""
        self._is_paused = True
        self.is_writable = False

    def resume_writing(self) -> None:
        """Send queued packets again."""
        self._is_paused = False
        self._become_writable()

    # -- frames

    def _handshake_received(self, response: Response) -> None:
        headers = list(response.headers.raw_items())
        self._context.store_cookies(self._target, headers)
        if self._websocket.handshake_exc is None:
            self._websocket.extensions = beyond_final_blocks(self._websocket.extensions)
            self._is_open = True
            self.is_writable = not self._is_paused
            self._listener.transport_opened(self)

    def _frame_received(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.BINARY:
            self._is_text = frame.opcode is Opcode.TEXT
            if frame.fin:
                self._listener.packet_received(self, bytes(frame.data), not self._is_text)
            else:
                self._fragments = [bytes(frame.data)]
        elif frame.opcode is Opcode.CONT:
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                data, self._fragments = b"".join(self._fragments), []
                self._listener.packet_received(self, data, not self._is_text)

    def _check_state(self) -> None:
        """Report a failed handshake or a closing handshake."""
        failure = self._websocket.handshake_exc
        if failure is not None:
            self._end(CloseReason.TRANSPORT_ERROR, _refusal(failure))
        elif self._websocket.parser_exc is not None:
            self._end(CloseReason.TRANSPORT_ERROR, self._describe_close(None))
        elif self._websocket.state is State.CLOSING and not self._is_over:
            # The server has closed, and the library has answered its close frame.
            self._end(CloseReason.TRANSPORT_CLOSE, self._describe_close(None))

    def _describe_close(self, error: Exception | None) -> Exception | None:
        """Return the error of the connection, or one with the code of the close frame."""
        if self._websocket.parser_exc is not None:
            return self._websocket.parser_exc
        received = self._websocket.close_rcvd
        if received is not None and received.code not in {1000, 1005}:
            reason = f": {received.reason}" if received.reason else ""
            return TransportError(f"the server closed the WebSocket with {received.code}{reason}")
        return error

    # -- calls of the session

    def send(self, packets: list[EncodedPacket]) -> None:
        """Send packets, one frame each, in one write; drop them behind the server's close frame.

        The close frame may arrive in the same chunk as a packet that these packets answer.
        """
        if self._websocket.state is not State.OPEN:
            self.is_writable = False
            return
        for packet in packets:
            if packet.is_binary:
                self._websocket.send_binary(packet.payload)
            else:
                self._websocket.send_text(packet.payload)
        self._write()
        # As on Node, the transport is writable again in the next iteration of the event loop:
        # packets of one iteration leave in two writes, and volatile events behind others are
        # dropped.
        self.is_writable = False
        if not self._has_sent:
            self._has_sent = True
            self._context.clock.call_soon(self._end_iteration)

    def _end_iteration(self) -> None:
        self._has_sent = False
        self._become_writable()

    def _become_writable(self) -> None:
        if self._is_open and not (self._is_over or self._is_paused or self._has_sent):
            self.is_writable = True
            self._listener.transport_drained(self)

    def pause_reading(self) -> None:
        """Read no further bytes for now; messages that were read are delivered."""
        if self._tcp is not None and not self._tcp.is_closing():
            self._tcp.pause_reading()

    def resume_reading(self) -> None:
        """Read bytes again after `pause_reading`."""
        if self._tcp is not None and not self._tcp.is_closing():
            self._tcp.resume_reading()

    def close(self) -> None:
        """Send a close frame; end the connection at the latest after `close_timeout`."""
        if self._is_over:
            return
        self._is_over = True
        self.is_writable = False
        if not self._is_open or self._tcp is None:
            self.abort()
            return
        self._shut_down()

    def abort(self) -> None:
        """End the connection at once."""
        self._is_over = True
        self.is_writable = False
        self._tasks.cancel()
        if self._tcp is not None:
            self._tcp.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection has ended."""
        await self._tasks.wait()
        if self._lost is not None:
            await asyncio.shield(self._lost)

    def _shut_down(self) -> None:
        if self._websocket.state is State.OPEN:
            self._websocket.send_close(1000)
        self._write()
        timeout = self._context.options.close_timeout
        self._close_timer = self._context.clock.call_later(timeout, self._tcp.abort)

    def _end(self, reason: CloseReason, error: Exception | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        self.is_writable = False
        if self._tcp is not None:
            if self._is_open and self._websocket.state in {State.OPEN, State.CLOSING}:
                self._shut_down()
            else:
                self._tcp.abort()
        self._listener.transport_ended(self, reason, error)

    def _write(self) -> None:
        for data in self._websocket.data_to_send():
            if data:
                self._tcp.write(data)
            else:
                self._tcp.close()  # the end of the connection: the library has nothing to write


def _refusal(error: Exception) -> Exception:
    """Return the error of a refused handshake."""
    if isinstance(error, InvalidStatus):
        response = error.response
        body = bytes(response.body or b"")
        return refused("the WebSocket handshake", response.status_code, body)
    return TransportError(f"the WebSocket handshake failed: {error}")
