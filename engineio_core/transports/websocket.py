"""The WebSocket transport: an asyncio protocol and the transport of a session in one object.

It connects a `FrameReader` and, for the frames that the reader does not split, a `SlowPath` with
TCP: back-pressure, batched writes, the close handshake. The opening handshake has succeeded before
the transport exists; the listener interprets the packets.

The transport delivers each message before it reads the next frame, and writes the packets that the
listener sends meanwhile in one piece at the end of the chunk.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from engineio_core.accounts import Account
from engineio_core.budgets import LARGE_MESSAGE, Hold, hold
from engineio_core.codec.encoded_packet import LONGEST_SHORT, TEXT_HEADS, EncodedPacket
from engineio_core.codec.frame_reader import FIN_CLOSE, FrameReader, ReaderState
from engineio_core.errors import CloseReason, ProtocolError
from engineio_core.read_turn import ReadTurn
from engineio_core.timers import Timer
from engineio_core.transports.interface import NULL_LISTENER
from engineio_core.transports.websocket_slow_path import SlowPath

if TYPE_CHECKING:
    from collections.abc import Sequence

    from websockets.extensions import Extension

    from engineio_core.transports.interface import TransportContext, TransportListener

logger = logging.getLogger("engineio_core")

# The limit of a batch in bytes; a larger batch would bypass TCP's back-pressure.
MAX_BATCH: Final = 64 * 1024
#: Control frames and small fragments that a client may send in `SMALL_FRAMES_SECONDS` seconds. Each
#: takes up to 30 us; clients send a few per minute.
MAX_SMALL_FRAMES: Final = 10_000
SMALL_FRAMES_SECONDS: Final = 10.0
# A compiled module reads a Final name of its own faster than a member of an enum.
_PAUSED: Final = ReaderState.PAUSED
_CLOSED: Final = ReaderState.CLOSED
_TRANSPORT_CLOSE: Final = CloseReason.TRANSPORT_CLOSE
NO_STATUS: Final = 1005  # RFC 6455, section 7.1.5: a close frame without a code


@final
class WebSocketTransport(asyncio.Protocol):
    """One WebSocket connection, from the end of its handshake to the end of TCP."""

    __slots__ = (
        "_batch", "_batch_size", "_closing_timer", "_context", "_deflate", "_fragments_hold",
        "_frame_hold", "_iteration", "_listener", "_reader", "_sent_in", "_slow_path",
        "_small_since", "_tcp", "_turn", "_usual_close", "writable",
    )  # fmt: skip

    name = "websocket"

    def __init__(
        self,
        tcp: asyncio.Transport,
        context: TransportContext,
        extensions: Sequence[Extension] = (),
        head: bytes = b"",
    ) -> None:
        """Create the transport; the first `flush` writes `head`, the response to the handshake."""
        options = context.options
        max_size = options.max_http_buffer_size
        self._tcp = tcp
        self._context = context
        context.upgraded.add(tcp)
        self._closing_timer: Timer | None = None
        self._usual_close: bytes | None = None  # the code of a close frame, not decoded
        # Reading
        self._reader = FrameReader(self, max_size, has_extensions=bool(extensions))
        self._slow_path = SlowPath(max_size, extensions) if extensions else None
        self._small_since = context.clock.time() if extensions else 0.0
        self._frame_hold: Hold | None = None
        self._fragments_hold: Hold | None = None
        self._turn: ReadTurn | None = None  # since the first chunk that checks it
        # Writing
        self._deflate = options.per_message_deflate if extensions else None
        self.writable = True
        self._batch: list[bytes] | None = [head] if head else None
        self._batch_size = len(head)
        # The number of the iteration of the event loop in which a frame was written alone
        self._iteration = context.iteration
        self._sent_in = -1

    @property
    def listener(self) -> TransportListener:
        """The receiver of packets and events."""
        return self._listener

    @listener.setter
    def listener(self, listener: TransportListener) -> None:
        self._listener = listener
        self._reader.receive_text = listener._receive_text
        self._reader.receive_binary = listener._receive_binary

    @property
    def close_frame(self) -> tuple[int, str] | None:
        """Code and reason of the client's close frame: valid in `_transport_closed`."""
        if self._usual_close is not None:
            return int.from_bytes(self._usual_close, "big") or NO_STATUS, ""
        return None if self._slow_path is None else self._slow_path.received_close

    # -- called by asyncio

    def data_received(self, data: bytes) -> None:
        """Deliver the messages of a chunk, then write the packets sent meanwhile in one piece.

        No exception leaves this method.
        """
        # hot path: benchmarks/hop_budget.py
        self._batch = []
        try:
            self._reader.feed(data)
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
        """Write the packets sent since the handshake; write later packets immediately."""
        self._write_batch()
        self._batch = None

    def eof_received(self) -> bool:
        """Treat EOF as a close; half-open WebSockets are not supported."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end of the TCP connection, behind the messages that have arrived."""
        self._context.upgraded.discard(self._tcp)
        turn = self._turn
        if (turn is not None and turn.is_interrupted) or self._reader.state is _PAUSED:
            self.writable = False
            self._deliver_pending()
            turn = self._turn
            if turn is not None and turn.is_interrupted:
                turn.proceed = partial(self._deliver_to_the_end, exc)
                return
        if self._closing_timer is not None:
            self._closing_timer.cancel()
            self._closing_timer = None
        if self._reader.state is not _CLOSED:
            self._stop()
            self._listener._transport_closed(
                _TRANSPORT_CLOSE, str(exc) if exc else "the connection was lost"
            )
        # Break the reference cycles with the session and the reader: reference counting then frees
        # all three immediately.
        self._slow_path = self._frame_hold = self._fragments_hold = self._turn = None
        self._reader.stop()
        self.listener = NULL_LISTENER

    def _deliver_to_the_end(self, exc: Exception | None) -> None:
        """Deliver the messages of one more turn; the last turn reports the end."""
        self._reader.pause()
        self.connection_lost(exc)

    def _deliver_pending(self) -> None:
        """Deliver the messages of one turn that have waited: the client has left."""
        if self._is_closed() or not self._reader.has_pending:
            return
        self._reader.resume()
        self._batch = []
        try:
            self._reader.feed(b"")
        except Exception:
            logger.info("a WebSocket ended with invalid frames", exc_info=True)
        self._batch = None

    def pause_writing(self) -> None:
        """Stop writing and reading: the kernel's send buffer is full."""
        if not self._is_closed():
            self.writable = False
            # A client that sends requests without reading the answers must not fill the memory.
            self._pause_tcp()

    def resume_writing(self) -> None:
        """Send the packets of the outbox and continue to read."""
        if self._is_closed():
            return
        self.writable = True
        self._listener._transport_writable()
        self._continue_reading()

    # -- called by the frame reader

    def slow_data_received(self, data: bytes) -> int:
        """Read bytes with the library, deliver the messages, write the library's answers."""
        slow_path = self._get_slow_path()
        for message in slow_path.feed(data):
            if self._is_closed():
                continue
            if message is None:
                self._stop()
                self._listener._transport_closed(_TRANSPORT_CLOSE, "the client closed")
            else:
                self._deliver(*message)
        if slow_path.small_frames > MAX_SMALL_FRAMES and not self._is_closed():
            self._check_small_frames(slow_path)
        if slow_path.error is not None and not self._is_closed():
            if slow_path.is_too_large:
                logger.warning(
                    "a WebSocket is closed with code 1009: %s; the limit is "
                    "max_http_buffer_size=%d bytes",
                    slow_path.error, self._context.options.max_http_buffer_size,
                )  # fmt: skip
            self._stop()
            self._listener._transport_failed(
                ProtocolError(slow_path.error, websocket_code=slow_path.sent_code)
            )
        self._write_output(slow_path)
        held = slow_path.held
        if held > LARGE_MESSAGE or self._fragments_hold is not None:
            self._fragments_hold = None
            if held > LARGE_MESSAGE and not self._is_closed():
                self._fragments_hold = self._reserve(held)
        return held

    def hold(self, size: int) -> None:
        """Reserve memory for an incomplete frame. Raises ProtocolError if there is none."""
        self._frame_hold = self._reserve(size)

    def release(self) -> None:
        """Release the memory of an incomplete frame."""
        self._frame_hold = None

    def _reserve(self, size: int) -> Hold:
        listener: Any = self._listener
        is_stranger: bool = getattr(listener, "_is_stranger", True)
        accounts: tuple[Account, ...] = getattr(listener, "_accounts", ())
        held = hold(self._context.budgets, size, is_stranger=is_stranger, accounts=accounts)
        if held is None:
            # RFC 6455, section 11.7, and the registry of close codes: 1013 is "Try Again Later".
            raise ProtocolError("too many unfinished messages", websocket_code=1013)
        return held

    def is_turn_over(self) -> bool:
        """Return whether the rest of a chunk must wait; TCP is then paused until it is read."""
        if not self._get_turn().is_over():
            return False
        self._pause_tcp()
        return True

    def end_turn(self) -> None:
        """Let the rest of a chunk wait; TCP is paused until it is read."""
        self._get_turn().end()
        self._pause_tcp()

    def _get_turn(self) -> ReadTurn:
        if self._turn is None:
            self._turn = ReadTurn(self._context.clock, self._continue_reading)
        return self._turn

    def close_received(self, code: bytes) -> None:
        """Answer a close frame without the library and end TCP; the reader has stopped."""
        self.writable = False
        self._usual_close = code
        self._listener._transport_closed(_TRANSPORT_CLOSE, "the client closed")
        # RFC 6455, section 5.5.1: "When sending a Close frame in response, the endpoint typically
        # echos the status code it received."
        self._write(bytes((FIN_CLOSE, len(code))) + code)
        self._write_batch()
        if self._tcp.can_write_eof() and not self._tcp.get_write_buffer_size():
            # RFC 6455, section 5.5.1: "The server MUST close the underlying TCP connection
            # immediately". A client sends nothing after its close frame, and the kernel has taken
            # all of the server's output, so that no reset can overtake it.
            self._tcp.close()
        else:
            self._shut_down()

    def listener_failed(self, error: BaseException, payload: bytes, is_text: bool) -> None:
        """Raise ProtocolError if the client caused the failure of a listener; log it if not."""
        if isinstance(error, ProtocolError) or not isinstance(
            error, (Exception, asyncio.CancelledError)
        ):
            raise error
        if is_text and isinstance(error, UnicodeDecodeError):
            try:
                payload.decode()
            except UnicodeDecodeError:
                # RFC 6455, section 8.1: "When an endpoint is to interpret a byte stream as UTF-8
                # but finds that the byte stream is not, in fact, a valid UTF-8 stream, that
                # endpoint MUST _Fail the WebSocket Connection_."
                raise ProtocolError("text is not valid UTF-8", websocket_code=1007) from None
        # An exception in a callback does not close the connection.
        logger.error("a callback of a WebSocket failed", exc_info=error)

    def _deliver(self, is_text: bool, payload: bytes) -> None:
        try:
            if is_text:
                self._reader.receive_text(payload)
            else:
                self._reader.receive_binary(payload)
        except BaseException as error:
            self.listener_failed(error, payload, is_text)

    def _check_small_frames(self, slow_path: SlowPath) -> None:
        """Raise ProtocolError if a client sends small frames faster than the limit."""
        now = self._context.clock.time()
        if now - self._small_since < SMALL_FRAMES_SECONDS:
            raise ProtocolError("too many control frames or small fragments", websocket_code=1008)
        self._small_since = now
        slow_path.small_frames = 0

    def _get_slow_path(self) -> SlowPath:
        if self._slow_path is None:
            self._slow_path = SlowPath(self._context.options.max_http_buffer_size)
            self._small_since = self._context.clock.time()
        return self._slow_path

    def _write_output(self, slow_path: SlowPath) -> None:
        for data in slow_path.output():
            if data:
                self._write(data)
            else:
                self._shut_down()

    # -- Transport

    def send(self, packet: EncodedPacket) -> None:
        """Send one packet: with the batch of the current chunk, or immediately."""
        # hot path: benchmarks/hop_budget.py
        if self._deflate is not None:
            self._send_deflated(packet)
            return
        frame = packet.made_frame or packet.frame
        batch = self._batch
        if batch is None:
            self._tcp.write(frame)
            iteration = self._iteration
            self._sent_in = iteration.number
            if not iteration.is_noted:
                iteration.note()
            return
        batch.append(frame)
        self._batch_size += len(frame)
        if self._batch_size > MAX_BATCH:
            self._write_batch()

    def send_bare(self, packet: bytes) -> None:
        """Send one encoded text packet without an EncodedPacket if its frame is short."""
        # hot path: benchmarks/hop_budget.py
        if self._deflate is not None or len(packet) > LONGEST_SHORT:
            self.send(EncodedPacket(packet))
        else:
            self._write(TEXT_HEADS[len(packet)] + packet)

    def _send_deflated(self, packet: EncodedPacket) -> None:
        rule = self._deflate
        assert rule is not None, "the handshake has negotiated permessage-deflate"
        if not packet.compress or len(packet.payload) < rule.threshold:
            # RFC 7692, section 6: a message that is not compressed leaves RSV1 clear.
            self._write(packet.frame)
            return
        slow_path = self._get_slow_path()
        if slow_path.is_open:  # False if the chunk that is being read contains a close frame
            slow_path.deflate(packet)
            self._write_output(slow_path)

    def wake(self) -> None:
        """Do nothing: `resume_writing` fetches the outbox."""

    def is_idle(self) -> bool:
        """Return whether the kernel has taken all written bytes."""
        return self.writable and not self._batch and not self._tcp.get_write_buffer_size()

    def has_just_sent(self) -> bool:
        """Return whether a frame was sent in this iteration of the event loop."""
        return bool(self._batch) or self._sent_in == self._iteration.number

    def buffered_amount(self) -> int:
        """Return the number of written bytes that the kernel has not taken."""
        return self._batch_size + self._tcp.get_write_buffer_size()

    def partial_amount(self) -> int:
        """Return the number of bytes of incomplete frames and fragmented messages, in total."""
        return self._reader.partial_amount

    def close(self) -> bool:
        """Begin the close handshake; the session counts as closed immediately."""
        if not self._is_closed():
            self._send_close(None)
        return True

    def ping(self) -> None:
        """Send a ping frame; the client answers it with a pong."""
        if not self._is_closed():
            slow_path = self._get_slow_path()
            slow_path.ping()
            self._write_output(slow_path)

    @property
    def pongs(self) -> int:
        """The number of received pongs."""
        return 0 if self._slow_path is None else self._slow_path.pongs

    def close_with(self, code: int | None, reason: str = "") -> None:
        """Begin the close handshake with a code and a reason; None sends an empty close frame."""
        if not self._is_closed():
            self._stop()
            slow_path = self._get_slow_path()
            slow_path.begin_close(code, reason)
            self._write_output(slow_path)
            self._await_end()

    def discard(self) -> None:
        """Close the WebSocket; abort the TCP connection if the client reads no more data."""
        if self._is_closed() or self.writable:
            self.close()
        else:
            self._stop()
            self._tcp.abort()

    def pause_reading(self) -> None:
        """Deliver no further message until `resume_reading`, including those already received."""
        if not self._is_closed():
            self._reader.pause()
            self._pause_tcp()

    def resume_reading(self) -> None:
        """Continue to read, unless the kernel's send buffer is full."""
        self._reader.resume()
        self._continue_reading()

    def _continue_reading(self) -> None:
        if not self._may_read():
            return
        if self._reader.has_pending and self._batch is None:
            self.data_received(b"")
        # A listener may have paused reading again, or the turn is over again.
        if self._may_read() and not (self._turn is not None and self._turn.is_interrupted):
            self._resume_tcp()

    def _may_read(self) -> bool:
        if self._is_closed():
            return True  # for the close frame of the client
        return self.writable and self._reader.state is not _PAUSED

    # -- writing

    def _write(self, data: bytes) -> None:
        if self._batch is None:
            self._tcp.write(data)
            iteration = self._iteration
            self._sent_in = iteration.number
            if not iteration.is_noted:
                iteration.note()
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

    def _is_closed(self) -> bool:
        """Return whether the session has ended: only the close handshake may still be running."""
        return self._reader.state is _CLOSED

    def _stop(self) -> None:
        """Deliver and accept no further packets; bytes that arrive go to the close handshake."""
        self._reader.close()
        self.writable = False

    def _fail(self, error: ProtocolError) -> None:
        """Close after a protocol error of the peer and report it to the listener."""
        if not self._is_closed():
            self._send_close(error.websocket_code)
            self._listener._transport_failed(error)

    def _send_close(self, code: int | None) -> None:
        self._stop()
        slow_path = self._get_slow_path()
        slow_path.close(code)
        self._write_output(slow_path)
        self._await_end()

    def _shut_down(self) -> None:
        """End TCP after the close handshake.

        Reading continues, so that no TCP reset overtakes the close frame.
        """
        self._write_batch()
        if self._tcp.is_closing():
            return
        if self._tcp.can_write_eof():
            self._tcp.write_eof()
        else:
            self._tcp.close()
        self._await_end()

    def _await_end(self) -> None:
        """Wait up to `close_timeout` seconds for the client to close TCP, then abort."""
        self._resume_tcp()
        if self._closing_timer is None:
            self._closing_timer = self._context.timers.call_later(
                self._context.options.close_timeout, self._tcp.abort
            )

    def _pause_tcp(self) -> None:
        if not self._tcp.is_closing():  # uvloop raises RuntimeError on a closing transport
            self._tcp.pause_reading()

    def _resume_tcp(self) -> None:
        if not self._tcp.is_closing():
            self._tcp.resume_reading()
