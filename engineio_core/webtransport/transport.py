"""WebTransport as the transport of a session: packets on one bidirectional stream.

`ClientStream` is the interface to QUIC, which `stream` implements; the transport itself uses no
event loop. The opening handshake belongs to `opening`.

A browser acknowledges bytes before the page has read them, and discards unread bytes when the
WebTransport session closes (W3C WebTransport, "cleanup"; Chromium does). The end of a session
therefore waits until the client answers a ping behind the last packet.
"""

from __future__ import annotations

import logging
from typing import Final, Protocol, final

from engineio_core.budgets import LARGE_MESSAGE, Hold, hold
from engineio_core.codec.encoded_packet import PING_PACKET, PONG_PACKET, EncodedPacket
from engineio_core.codec.packet import malformed
from engineio_core.errors import CloseReason, ProtocolError
from engineio_core.read_turn import TURN_BYTES, ReadTurn
from engineio_core.session import Session
from engineio_core.session_state import SessionState
from engineio_core.transports.interface import NULL_LISTENER, TransportContext, TransportListener
from engineio_core.webtransport.frames import PacketReader, encode_header

logger = logging.getLogger("engineio_core")

# Bytes that wait for the network above which the session keeps further packets in its outbox, and
# below which it sends them.
HIGH_WATER: Final = 64 * 1024
LOW_WATER: Final = 16 * 1024
# The pings behind the last packet. The pong of a heartbeat ping may be on its way as well, so that
# only the second pong proves that the client has read everything.
CLOSING_PINGS: Final = 2
# Packets that are dropped at once after the end. A datagram has fewer; all those with which a
# client has filled a paused session would take the event loop for long.
MAX_DROPPED: Final = 2000
#: Bytes that a packet counts in addition to its length: short packets take as long as this.
PACKET_BYTES: Final = 1024
_PING: Final = encode_header(1, False) + PING_PACKET.payload


class ClientStream(Protocol):
    """The stream of a client, and the WebTransport session that contains it."""

    def write(self, data: bytes) -> None:
        """Send bytes in this iteration of the event loop, or queue them."""

    def unsent_amount(self) -> int:
        """Return the number of written bytes that have not been sent."""

    def unacknowledged_amount(self) -> int:
        """Return the number of written bytes that the client has not acknowledged."""

    def hold(self, is_held: bool) -> None:
        """Let the client send only as much as its flow control window still allows."""

    def finish(self, code: int, reason: str, *, is_unread: bool) -> None:
        """End the stream; close the WebTransport session when the client has all bytes.

        If `is_unread`, the session also waits for `confirm`.
        """

    def confirm(self) -> None:
        """Close the WebTransport session when the client has all bytes: it has read them."""

    def abort(self) -> None:
        """Close the WebTransport session immediately; unsent bytes are dropped."""


@final
class WebTransportTransport:
    """The packets of one client, from the acceptance of its session to the end of its stream."""

    __slots__ = (
        "_context", "_ending", "_held_size", "_hold", "_is_closed", "_is_delivering", "_is_paused",
        "_iteration", "_missing_pongs", "_partial", "_reader", "_sent_in", "_stream", "_turn",
        "_work", "listener", "writable",
    )  # fmt: skip

    name = "webtransport"

    def __init__(self, stream: ClientStream, context: TransportContext) -> None:
        self.listener: TransportListener = NULL_LISTENER
        self.writable = True
        self._stream = stream
        self._reader = PacketReader(context.options.max_http_buffer_size)
        self._partial = 0
        self._hold: Hold | None = None  # memory for an unfinished packet
        self._held_size = 0
        self._is_paused = False
        self._is_delivering = False
        self._is_closed = False
        self._ending: str | None = None  # the reason of an end that has arrived
        self._turn: ReadTurn | None = None  # since the first check
        self._work = 0  # since the last check
        self._missing_pongs = 0
        self._context = context
        self._iteration = context.iteration
        self._sent_in = -1

    # -- called by the stream

    def data_received(self, data: bytes) -> None:
        """Deliver the packets of a chunk. No exception leaves this method."""
        if not self._is_closed:
            self._reader.feed(data)
            self._deliver()
            self._partial += min(len(data), self._reader.buffered_amount)
        elif self._missing_pongs:
            self._read_pongs(data)

    def check_writable(self) -> None:
        """Send the packets of the outbox if enough bytes have left."""
        if not self.writable and not self._is_closed and self._stream.unsent_amount() <= LOW_WATER:
            self.writable = True
            self._stream.hold(self._is_paused or self._is_interrupted())
            self.listener._transport_writable()

    def stream_ended(self, description: str) -> None:
        """Report the end of the stream, or of the connection, behind the arrived packets."""
        if self._is_closed or self._ending is not None:
            return
        # The client has left: deliver the packets that arrived during a pause.
        self._is_paused = False
        self._ending = description
        self._deliver()
        self._report_end()

    def _report_end(self) -> None:
        """Report an end that has arrived, unless packets wait for the next turn."""
        if self._ending is not None and not self._is_closed and not self._is_interrupted():
            listener = self._stop()
            listener._transport_closed(CloseReason.TRANSPORT_CLOSE, self._ending)

    def _is_interrupted(self) -> bool:
        """Return whether packets wait for the next turn."""
        return self._turn is not None and self._turn.is_interrupted

    def _is_turn_over(self) -> bool:
        if self._turn is None:
            self._turn = ReadTurn(self._context.clock, self._proceed)
        return self._turn.is_over()

    def _proceed(self) -> None:
        """Deliver the packets that have waited for this turn."""
        self._deliver()
        if not self._is_closed and not self._is_interrupted():
            self._stream.hold(self._is_paused or not self.writable)
            self._report_end()

    def _deliver(self) -> None:
        if self._is_delivering or self._is_interrupted():  # a callback resumed reading
            return
        self._is_delivering = True
        try:
            while not self._is_paused and not self._is_closed:
                if self._work > TURN_BYTES:
                    self._work = 0
                    if self._is_turn_over():
                        self._stream.hold(True)
                        return
                packet = self._reader.next_packet()
                if packet is None:
                    self._reserve(self._reader.announced_size)
                    return
                self._work += len(packet[1]) + PACKET_BYTES
                self._pass_on(*packet)
        except ProtocolError as error:
            self._fail(error)
        finally:
            self._is_delivering = False

    def _reserve(self, size: int) -> None:
        """Reserve memory for an unfinished packet. Raises ProtocolError if there is none."""
        if size <= LARGE_MESSAGE:
            size = 0
        if size == self._held_size:
            return
        self._hold = None
        self._held_size = size
        if size:
            listener = self.listener
            self._hold = hold(
                self._context.budgets, size,
                is_stranger=getattr(listener, "_is_stranger", True),
                accounts=getattr(listener, "_accounts", ()),
            )  # fmt: skip
            if self._hold is None:
                raise ProtocolError("too many unfinished messages")

    def _pass_on(self, is_binary: bool, payload: bytes) -> None:
        try:
            if is_binary:
                self.listener._receive_binary(payload)
            else:
                self.listener._receive_text(payload)
        except ProtocolError:
            raise
        except Exception as error:
            if not is_binary and isinstance(error, UnicodeDecodeError) and not _is_utf8(payload):
                raise malformed("text is not valid UTF-8") from None
            # An exception in a callback does not close the connection.
            logger.exception("a callback of a WebTransport session failed")

    # -- Transport

    def send(self, packet: EncodedPacket) -> None:
        """Send one packet in this iteration of the event loop."""
        self._write(packet.payload, packet.is_binary)

    def send_bare(self, packet: bytes) -> None:
        """Send one encoded text packet in this iteration of the event loop."""
        self._write(packet, False)

    def _write(self, payload: bytes, is_binary: bool) -> None:
        if self._is_closed:
            return
        self._stream.write(encode_header(len(payload), is_binary) + payload)
        iteration = self._iteration
        self._sent_in = iteration.number
        if not iteration.is_noted:
            iteration.note()
        if self._stream.unsent_amount() > HIGH_WATER:
            self.writable = False
            # A client that sends requests without reading the answers must not fill the memory.
            self._stream.hold(True)

    def wake(self) -> None:
        """Do nothing: `check_writable` fetches the outbox."""

    def is_idle(self) -> bool:
        """Return whether all written bytes have been sent."""
        return self.writable and not self._stream.unsent_amount()

    def has_just_sent(self) -> bool:
        """Return whether a packet was sent in this iteration of the event loop."""
        return self._sent_in == self._iteration.number

    def buffered_amount(self) -> int:
        """Return the number of written bytes that the client has not acknowledged."""
        return self._stream.unacknowledged_amount()

    def partial_amount(self) -> int:
        """Return the number of bytes that have arrived of incomplete packets, in total."""
        return self._partial

    def close(self) -> bool:
        """Close after the written packets; the session counts as closed immediately."""
        listener = self.listener
        # Before a session exists, and after its end, the client answers no ping.
        if isinstance(listener, Session) and listener.state is SessionState.CLOSING:
            self._stop()
            self._missing_pongs = CLOSING_PINGS
            self._stream.write(_PING * CLOSING_PINGS)
            self._stream.hold(False)
            self._stream.finish(0, "", is_unread=True)
        else:
            self.end(0, "")
        return True

    def end(self, code: int, reason: str) -> None:
        """Close after the written packets, with a code and a reason for the page."""
        if not self._is_closed:
            self._stop()
            self._stream.finish(code, reason, is_unread=False)

    def discard(self) -> None:
        """Close the session; drop the written packets if the client reads no more data."""
        if self.writable:
            self.close()
        elif not self._is_closed:
            self._stop()
            self._stream.abort()

    def pause_reading(self) -> None:
        """Deliver no further packet until `resume_reading`, including those already received."""
        if not self._is_closed:
            self._is_paused = True
            self._stream.hold(True)

    def resume_reading(self) -> None:
        """Deliver packets again after `pause_reading`."""
        self._is_paused = False
        if not self._is_closed:
            self._deliver()
        if not self._is_closed:
            self._stream.hold(self._is_paused or not self.writable or self._is_interrupted())

    # -- the end

    def _fail(self, error: ProtocolError) -> None:
        """Close after a protocol error of the client, and report it to the listener."""
        if not self._is_closed:
            listener = self._stop()
            self._stream.finish(0, "", is_unread=False)
            listener._transport_failed(error)

    def _read_pongs(self, data: bytes) -> None:
        """Drop the packets of a client that reads its last packets, except for the pongs."""
        self._reader.feed(data)
        try:
            for _ in range(MAX_DROPPED):
                packet = self._reader.next_packet()
                if packet is None:
                    break
                self._missing_pongs -= packet == (False, PONG_PACKET.payload)
                if not self._missing_pongs:
                    break
        except ProtocolError:
            self._missing_pongs = 0
        if not self._missing_pongs:
            self._stream.confirm()

    def _stop(self) -> TransportListener:
        """Deliver and accept no further packets; return the former listener."""
        self._is_closed = True
        self.writable = False
        self._hold = None
        listener, self.listener = self.listener, NULL_LISTENER
        return listener


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
