"""WebSocket: asyncio's protocol and the session's transport in one object, two lanes.

Knows: masked frames in, frames out, the close handshake, TCP's back-pressure.
Does not know: HTTP (the handshake is over when this begins), what a packet means.

Fast lane: FIN, text or binary, masked, no RSV bit, no fragment in progress, within the limit;
split and unmasked here. Everything else goes, frame by frame, through `websockets`, which judges
it. With permessage-deflate negotiated, the library has all that comes in.

A frame that arrives whole is delivered before the next is looked at, and what the listener sends
meanwhile leaves in one write when the chunk is done.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from engineio_core.codec.encoded_packet import LONGEST_SHORT, TEXT_HEADS, EncodedPacket
from engineio_core.codec.websocket_frame import apply_mask, judge_header
from engineio_core.errors import CloseReason, ProtocolError
from engineio_core.transports.interface import NULL_LISTENER
from engineio_core.transports.websocket_slow_path import EndedLane, LibraryLane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from websockets.extensions import Extension

    from engineio_core.transports.interface import TransportContext, TransportListener

logger = logging.getLogger("engineio_core")

FIN_TEXT: Final = 0x81
FIN_BINARY: Final = 0x82
FIN_CLOSE: Final = 0x88
_SHORT: Final = (6, 8)
_USUAL_CODES: Final = (b"", b"\x03\xe8", b"\x03\xe9")  # none, normal, going away
ENDED: Final = EndedLane()
# A batch that grows past this is written at once, so that TCP's back-pressure can speak.
MAX_BATCH: Final = 64 * 1024
SLICE: Final = 1024


class WebSocketTransport(asyncio.Protocol):
    """One WebSocket connection, from the end of its handshake to the end of TCP."""

    __slots__ = (
        "_batch", "_batch_size", "_closed", "_closing_timer", "_context", "_deflates", "_is_fast",
        "_is_in_message", "_is_reading_paused", "_lane", "_library_only", "_listener", "_max_size",
        "_partial", "_receive_binary", "_receive_text", "_slow_bytes", "_tcp", "_wanted",
        "writable",
    )  # fmt: skip

    name = "websocket"

    def __init__(
        self,
        tcp: asyncio.Transport,
        context: TransportContext,
        extensions: Sequence[Extension] = (),
        head: bytes = b"",
    ) -> None:
        """Make it; the head of the handshake's answer leaves with the first `flush`."""
        # The connection
        self._tcp = tcp
        self._context = context
        self._closed = False
        self._closing_timer: Any = None
        # Reading: the fast lane
        self._max_size = context.options.max_http_buffer_size
        self._partial: bytearray | None = None
        self._wanted = 0  # how long `_partial` must be for the next step
        self._is_reading_paused = False
        self._is_fast = not extensions  # may the next frame be looked at here?
        # Reading: the library's lane
        self._slow_bytes = 0  # what is still to come of a frame that began there
        self._is_in_message = False  # fragments of one are there
        self._deflates = self._library_only = bool(extensions)
        self._lane = LibraryLane(self._max_size, extensions) if extensions else None
        # Writing
        self.writable = True
        self._batch: list[bytes] | None = [head] if head else None
        self._batch_size = len(head)

    @property
    def listener(self) -> TransportListener:
        """Who hears what arrives."""
        return self._listener

    @listener.setter
    def listener(self, listener: TransportListener) -> None:
        self._listener = listener
        self._receive_text = listener.receive_text
        self._receive_binary = listener.receive_binary

    # -- called by asyncio

    def data_received(self, data: bytes) -> None:
        """Deliver what a chunk completes. Nothing escapes from here."""
        # hot path: benchmarks/hop_budget.py
        if self._partial is not None:
            self._partial += data
            if len(self._partial) < self._wanted:
                return  # a long message costs one copy, however small its pieces are
            data = bytes(self._partial)
            self._partial = None
        self._batch = []
        try:
            consumed = 0 if self._library_only else self._split(data)
            if consumed < len(data):
                rest = data[consumed:]
                if self._library_only:
                    rest = self._feed_slices(rest)
                if rest:
                    self._partial = bytearray(rest)
        except ProtocolError as error:
            self._fail(error)
        except Exception:
            logger.exception("reading from a WebSocket failed")
            self._fail(ProtocolError("internal error", websocket_code=1011))
        batch, self._batch = self._batch, None
        if batch:
            self._batch_size = 0
            self._tcp.write(batch[0] if len(batch) == 1 else b"".join(batch))

    def flush(self) -> None:
        """Write what was gathered since the handshake; from here on packets leave at once."""
        self._write_batch()
        self._batch = None

    def eof_received(self) -> bool:
        """Close: a WebSocket does not live half."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End: TCP has."""
        if self._closing_timer is not None:
            self._closing_timer.cancel()
            self._closing_timer = None
        self._partial = self._lane = None
        self._library_only = True
        if not self._closed:
            self._stop()
            self._listener.transport_closed(
                CloseReason.TRANSPORT_CLOSE, str(exc) if exc else "the connection was lost"
            )
        # Nothing comes any more. The session is let go of, so that both are freed now, and not
        # when cycles are looked for.
        self.listener = NULL_LISTENER

    def pause_writing(self) -> None:
        """The kernel takes no more: packets go to the outbox, and reading stops too."""
        if not self._closed:
            self.writable = False
            # A client that asks on without reading what it is answered is not listened to.
            self._pause_tcp()

    def resume_writing(self) -> None:
        """The kernel takes packets again."""
        if self._closed:
            return
        self.writable = True
        self._listener.outbox_wanted()
        self._go_on_reading()

    # -- the fast lane

    def _split(self, data: bytes) -> int:
        """Deliver the whole frames in `data`; return how many bytes they took."""
        position, end = 0, len(data)
        if self._slow_bytes:
            position = self._feed_frame(data, 0, self._slow_bytes)
        limit = -1 if self._is_in_message else self._max_size
        while self._is_fast:
            if end - position < 2:
                self._wanted = 2
                break
            first, length = data[position], data[position + 1] - 0x80  # below 0: not masked
            start = position + 6
            if length > 125:
                start += 2 if length == 126 else 8
                length = int.from_bytes(data[position + 2 : start - 4], "big")
            if (first == FIN_TEXT or first == FIN_BINARY) and 0 <= length <= limit:
                stop = start + length
                if stop > end:
                    self._wanted = (start if start > end else stop) - position
                    break
                payload = apply_mask(data[start:stop], data[start - 4 : start])
                position = stop
                try:
                    if first == FIN_TEXT:
                        # Bound first: the interpreter is quicker at an attribute and a call
                        # than at what looks like a method and is none.
                        receive_text = self._receive_text
                        receive_text(payload)
                    else:
                        self._receive_binary(payload)
                except (Exception, asyncio.CancelledError) as error:
                    self._judge_failure(error, payload, first == FIN_TEXT)
                continue
            if start - 4 > end:
                self._wanted = start - 4 - position
                break
            if first == FIN_CLOSE and self._answers_close(data[position : start + length]):
                return end
            # The library looks at the length first: what is too long is its to refuse.
            held = self._lane.held if self._lane else 0
            if length <= self._max_size - held and (
                complaint := judge_header(first, data[position + 1])
            ):
                raise ProtocolError(complaint, websocket_code=1002)
            position = self._feed_frame(data, position, start - position + length)
            limit = -1 if self._is_in_message else self._max_size
        return position

    def _answers_close(self, frame: bytes) -> bool:
        """End in good order, if this is how nearly all clients close; tell whether it is."""
        if self._is_in_message or len(frame) not in _SHORT or frame[1] != 0x80 | len(frame) - 6:
            return False
        code = apply_mask(frame[6:], frame[2:6])
        if code not in _USUAL_CODES:
            return False
        self._lane = ENDED
        self._stop()
        self._listener.transport_closed(CloseReason.TRANSPORT_CLOSE, "the client closed")
        # 5.5.1: "When sending a Close frame in response, the endpoint typically echos the status
        # code it received."
        self._write(bytes((FIN_CLOSE, len(code))) + code)
        self._write_batch()
        if self._tcp.can_write_eof() and not self._tcp.get_write_buffer_size():
            # 5.5.1: "The server MUST close the underlying TCP connection immediately": nothing
            # that a client may send comes behind its close frame, nothing of ours is on its way.
            self._tcp.close()
        else:
            self._shut_down()
        return True

    def _deliver(self, is_text: bool, payload: bytes) -> None:
        try:
            if is_text:
                self._receive_text(payload)
            else:
                self._receive_binary(payload)
        except (Exception, asyncio.CancelledError) as error:
            self._judge_failure(error, payload, is_text)

    @staticmethod
    def _judge_failure(error: BaseException, payload: bytes, is_text: bool) -> None:
        """Tell what the client has broken from a listener that failed."""
        if isinstance(error, ProtocolError):
            raise error
        if is_text and isinstance(error, UnicodeDecodeError):
            try:
                payload.decode()
            except UnicodeDecodeError:
                # 8.1: "When an endpoint is to interpret a byte stream as UTF-8 but finds that the
                # byte stream is not, in fact, a valid UTF-8 stream, that endpoint MUST _Fail the
                # WebSocket Connection_."
                raise ProtocolError("a text is not UTF-8", websocket_code=1007) from None
        # Nobody's bug closes a connection: the next frame is a new chance.
        logger.error("a listener failed", exc_info=error)

    # -- the library's lane

    def _feed_frame(self, data: bytes, position: int, length: int) -> int:
        """Hand the library what is there of one frame; return where that ends."""
        stop = min(position + length, len(data))
        self._slow_bytes = length - (stop - position)
        self._feed_library(data[position:stop])
        return stop

    def _feed_slices(self, data: bytes) -> bytes:
        """Hand the library a chunk, slice by slice; return what waits, as reading is paused.

        All messages of a slice are inflated before the first is delivered, and a byte may become
        a thousand.
        """
        position, end = 0, len(data)
        while position < end and not self._is_reading_paused:
            self._feed_library(data[position : position + SLICE])
            position += SLICE
        self._wanted = 0
        return data[position:]

    def _feed_library(self, data: bytes) -> None:
        lane = self._get_lane()
        for message in lane.feed(data):
            if self._closed:
                continue
            if message is None:
                self._stop()
                self._listener.transport_closed(CloseReason.TRANSPORT_CLOSE, "the client closed")
            else:
                self._deliver(*message)
        self._is_in_message = lane.is_in_message
        if lane.error is not None and not self._closed:
            self._stop()
            self._listener.fail(ProtocolError(lane.error))
        self._write_lane(lane)

    def _get_lane(self) -> LibraryLane:
        if self._lane is None:
            self._lane = LibraryLane(self._max_size)
        return self._lane

    def _write_lane(self, lane: LibraryLane) -> None:
        for data in lane.output():
            if data:
                self._write(data)
            else:
                self._shut_down()

    # -- Transport

    def send(self, packet: EncodedPacket) -> None:
        """Send one packet: in this chunk's batch, or at once."""
        # hot path: benchmarks/hop_budget.py
        if self._deflates:
            self._send_deflated(packet)
            return
        frame = packet.made_frame or packet.frame
        batch = self._batch
        if batch is None:
            self._tcp.write(frame)
            return
        batch.append(frame)
        self._batch_size += len(frame)
        if self._batch_size > MAX_BATCH:
            self._write_batch()

    def send_bare(self, packet: bytes) -> None:
        """Send one text packet, given as its bytes: it needs no object, nor to be kept."""
        # hot path: benchmarks/hop_budget.py
        if self._deflates or len(packet) > LONGEST_SHORT:
            self.send(EncodedPacket(packet))
        else:
            self._write(TEXT_HEADS[len(packet)] + packet)

    def _send_deflated(self, packet: EncodedPacket) -> None:
        rule = self._context.options.per_message_deflate
        assert rule is not None, "it was negotiated"
        if not packet.compress or len(packet.payload) < rule.threshold:
            # RFC 7692, section 6: a message that is not compressed leaves RSV1 clear.
            self._write(packet.frame)
            return
        lane = self._get_lane()
        if lane.is_open:  # else the client's close frame is among what was read already
            lane.deflate(packet)
            self._write_lane(lane)

    def wake(self) -> None:
        """Do nothing: `resume_writing` fetches what waits."""

    def is_idle(self) -> bool:
        """Whether the kernel has taken all that was written."""
        return self.writable and not self._batch and not self._tcp.get_write_buffer_size()

    def buffered_amount(self) -> int:
        """Return the bytes written and not yet taken by the kernel."""
        return self._batch_size + self._tcp.get_write_buffer_size()

    def close(self) -> bool:
        """Begin the close handshake; the session counts as closed from here."""
        if not self._closed:
            self._send_close(None, "")
        return True

    def discard(self) -> None:
        """Close; where the client takes nothing any more, cut the connection."""
        if self._closed or self.writable:
            self.close()
        else:
            self._stop()
            self._tcp.abort()

    def pause_reading(self) -> None:
        """Read nothing more from this client; what is here already waits as well."""
        if not self._closed:
            self._is_reading_paused = True
            self._is_fast = False
            self._pause_tcp()

    def resume_reading(self) -> None:
        """Read again, unless the client does not read either."""
        self._is_reading_paused = False
        self._go_on_reading()

    def _go_on_reading(self) -> None:
        if not self._may_read():
            return
        self._is_fast = not self._library_only
        if self._partial is not None and self._batch is None:
            self._wanted = 0
            self.data_received(b"")
        if self._may_read():  # still
            self._resume_tcp()

    def _may_read(self) -> bool:
        return self.writable and not self._is_reading_paused

    # -- writing

    def _write(self, data: bytes) -> None:
        if self._batch is None:
            self._tcp.write(data)
            return
        self._batch.append(data)
        self._batch_size += len(data)
        if self._batch_size > MAX_BATCH:
            self._write_batch()

    def _write_batch(self) -> None:
        batch = self._batch
        if batch:
            self._batch_size = 0
            self._batch = []
            self._tcp.write(batch[0] if len(batch) == 1 else b"".join(batch))

    # -- the end

    def _stop(self) -> None:
        """No packet goes in or out any more; what still arrives is the library's."""
        self._closed = True
        self.writable = False
        self._is_fast = False
        self._library_only = True
        self._is_reading_paused = False

    def _fail(self, error: ProtocolError) -> None:
        """Close because the peer broke a rule, and tell the listener."""
        if not self._closed:
            self._send_close(error.websocket_code, error.description)
            self._listener.fail(error)

    def _send_close(self, code: int | None, description: str) -> None:
        self._stop()
        lane = self._get_lane()
        lane.close(code, description)
        self._write_lane(lane)
        self._await_end()

    def _shut_down(self) -> None:
        """End TCP after the close handshake, and read on so that no reset overtakes it."""
        self._write_batch()
        if self._tcp.is_closing():
            return
        if self._tcp.can_write_eof():
            self._tcp.write_eof()
        else:
            self._tcp.close()
        self._await_end()

    def _await_end(self) -> None:
        """Give the client some time to see the close, whatever was paused."""
        self._resume_tcp()
        if self._closing_timer is None:
            self._closing_timer = self._context.clock.call_later(
                self._context.options.close_timeout, self._tcp.abort
            )

    def _pause_tcp(self) -> None:
        if not self._tcp.is_closing():  # uvloop raises there
            self._tcp.pause_reading()

    def _resume_tcp(self) -> None:
        if not self._tcp.is_closing():
            self._tcp.resume_reading()
