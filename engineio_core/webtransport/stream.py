"""The stream of a client over aioquic: writes, flow control, and the end of the session.

aioquic has no public interface for the bytes that a stream holds, or for windows that wait for the
application. `unsent`, `unacknowledged`, `has_unacknowledged_end`, `has_many_gaps` and
`limit_windows` use its private attributes; a test fails if these change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from typing import Any, Final, Protocol, final

from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import H3Connection, ProtocolError
from aioquic.quic.connection import MAX_STREAM_DATA_FRAME_CAPACITY, QuicConnection
from aioquic.quic.packet import QuicFrameType
from aioquic.quic.stream import QuicStream, QuicStreamSender

from engineio_core.noop import noop
from engineio_core.webtransport.transport import WebTransportTransport

# Bytes that a client may send on the stream of a session before the server has read them. Other
# streams have room for two request heads.
SESSION_WINDOW: Final = 1024 * 1024
# Unidirectional streams that a client may open: HTTP/3 needs three, Engine.IO none. The window of
# each stream is memory that a client can occupy.
MAX_UNIDIRECTIONAL: Final = 16
# Pieces of a stream behind a missing one, which aioquic searches one by one for each frame. Lost
# datagrams leave at most 450 in the window of a session.
MAX_GAPS: Final = 1000
# draft-ietf-webtrans-http3, section 6
_CLOSE_SESSION: Final = 0x2843
_MAX_REASON: Final = 1024
# Error codes of the draft (WEBTRANSPORT_SESSION_GONE) and of RFC 9114 (H3_REQUEST_REJECTED)
SESSION_GONE: Final = 0x170D7B68
REJECTED: Final = 0x10B


class Connection(Protocol):
    """The QUIC connection, as a stream sees it."""

    @property
    def quic(self) -> QuicConnection:
        """The connection of aioquic."""

    @property
    def http(self) -> H3Connection:
        """The HTTP/3 layer of the connection."""

    def transmit_soon(self) -> None:
        """Send datagrams in this iteration of the event loop."""

    def forget(self, stream: SessionStream) -> None:
        """Remove a session that has ended."""


@final
class SessionStream:
    """One WebTransport session and its bidirectional stream."""

    def __init__(self, connection: Connection, session_id: int, close_timeout: float) -> None:
        self._connection = connection
        self._close_timeout = close_timeout
        self._stream: QuicStream | None = None
        self._is_held = False
        self._is_over = False
        self._is_unread = False
        self._end: tuple[int, str] | None = None  # code and reason of a session that is closing
        self._timer: asyncio.TimerHandle | None = None
        self.session_id = session_id
        """The stream ID of the CONNECT request."""
        self.stream_id: int | None = None
        """The stream ID of the packets, once the client has opened the stream."""
        self.transport: WebTransportTransport | None = None
        self.abandon: Callable[[], None] = noop
        """Called at the shutdown of the server."""

    def open(self, stream_id: int) -> None:
        """Use a stream that the client has opened."""
        self.stream_id = stream_id
        self._stream = self._connection.quic._streams[stream_id]

    # -- ClientStream

    def write(self, data: bytes) -> None:
        """Send bytes in this iteration of the event loop, or queue them."""
        if self.stream_id is not None and not self._is_reset():
            self._connection.quic.send_stream_data(self.stream_id, data)
            self._connection.transmit_soon()

    def unsent_amount(self) -> int:
        """Return the number of written bytes that have not been sent."""
        return 0 if self._stream is None else unsent(self._stream.sender)

    def unacknowledged_amount(self) -> int:
        """Return the number of written bytes that the client has not acknowledged."""
        return 0 if self._stream is None else unacknowledged(self._stream.sender)

    def hold(self, is_held: bool) -> None:
        """Let the client send only as much as its flow control window still allows."""
        if is_held != self._is_held:
            self._is_held = is_held
            self._connection.transmit_soon()

    def finish(self, code: int, reason: str, *, is_unread: bool) -> None:
        """End the stream; close the session when the client has all bytes, or after a time.

        If `is_unread`, the session also waits for `confirm`.
        """
        if self._end is not None or self._is_over:
            return
        self._end = code, reason
        self._is_unread = is_unread
        if self.stream_id is None or self._is_reset():
            self._close_session()
            return
        self._connection.quic.send_stream_data(self.stream_id, b"", end_stream=True)
        self._connection.transmit_soon()
        self._timer = asyncio.get_running_loop().call_later(self._close_timeout, self.abort)

    def confirm(self) -> None:
        """Close the session when the client has all bytes: it has read them."""
        self._is_unread = False
        self.check()

    def abort(self) -> None:
        """Close the session immediately; unsent bytes are dropped."""
        if not self._is_over:
            self._close_session()

    # -- called by the connection

    def window(self) -> int:
        """Return the offset up to which the client may send; 0 to leave it as it is."""
        stream = self._stream
        if stream is None or self._is_held:
            return 0
        return stream.receiver.starting_offset() + SESSION_WINDOW

    def check(self) -> None:
        """Continue after datagrams have arrived: more bytes may leave, or the client has all."""
        if self._end is None:
            if self.transport is not None:
                self.transport.check_writable()
        elif self._stream is None or (self._stream.sender.is_finished and not self._is_unread):
            self.abort()

    def ended(self, description: str) -> None:
        """End the session: the client has closed it, or the connection is lost."""
        if self._is_over:
            return
        if self.transport is not None:
            self.transport.stream_ended(description)
        if self._end is None:
            self._end = 0, ""
        self.abort()

    def lost(self) -> None:
        """End the session of a connection that has ended."""
        self._is_over = True
        self._stop_timer()
        if self.transport is not None:
            self.transport.stream_ended("the connection was lost")
        self._connection.forget(self)

    def _close_session(self) -> None:
        """Send the close capsule, and end all streams of the session."""
        self._is_over = True
        self._stop_timer()
        code, reason = self._end or (0, "")
        connection = self._connection
        text = reason.encode()[:_MAX_REASON]
        value = code.to_bytes(4, "big") + text
        capsule = encode_uint_var(_CLOSE_SESSION) + encode_uint_var(len(value)) + value
        # The client may have reset the CONNECT stream.
        with suppress(ProtocolError, RuntimeError, ValueError):
            connection.http.send_data(self.session_id, capsule, end_stream=True)
        if self._stream is not None and self.stream_id is not None:
            reject(connection.quic, self.stream_id, SESSION_GONE)
        connection.transmit_soon()
        connection.forget(self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_reset(self) -> bool:
        sender = self._stream.sender if self._stream is not None else None
        return sender is None or sender._reset_error_code is not None or self._is_over


def reject(quic: QuicConnection, stream_id: int, code: int) -> None:
    """Stop both directions of a stream of the client."""
    stream = quic._streams.get(stream_id)
    if stream is None:
        return
    if not stream.receiver.is_finished:
        quic.stop_stream(stream_id, code)
    if not stream.sender.is_finished:
        quic.reset_stream(stream_id, code)


def unsent(sender: QuicStreamSender) -> int:
    """Return the number of written bytes that have never been sent."""
    return sender._buffer_stop - sender.highest_offset


def unacknowledged(sender: QuicStreamSender) -> int:
    """Return the number of written bytes that the peer has not acknowledged."""
    return sender._buffer_stop - sender._buffer_start


def has_unacknowledged_end(stream: QuicStream) -> bool:
    """Return whether the server has ended a stream and the peer has not acknowledged the end."""
    return stream.sender._buffer_fin is not None and not stream.sender.is_finished


def has_many_gaps(quic: QuicConnection) -> bool:
    """Return whether more than `MAX_GAPS` pieces of a stream wait for missing ones."""
    streams = chain(quic._streams.values(), quic._crypto_streams.values())
    return any(len(each.receiver._ranges) > MAX_GAPS for each in streams)


def limit_windows(quic: QuicConnection, window: Callable[[int], int]) -> None:
    """Let `window(stream_id)` decide how much the client may send on a stream.

    aioquic doubles the window of a stream whenever half of it is used, without regard to the
    application. `window` returns an offset, or 0 to leave the limit of the stream as it is.
    """

    def write_limits(builder: Any, space: Any, stream: QuicStream) -> None:
        limit = window(stream.stream_id or 0)
        if limit - stream.max_stream_data_local >= SESSION_WINDOW // 2:
            stream.max_stream_data_local = limit
        if stream.max_stream_data_local_sent != stream.max_stream_data_local:
            frame = builder.start_frame(
                QuicFrameType.MAX_STREAM_DATA,
                capacity=MAX_STREAM_DATA_FRAME_CAPACITY,
                handler=quic._on_max_stream_data_delivery,
                handler_args=(stream,),
            )
            frame.push_uint_var(stream.stream_id)
            frame.push_uint_var(stream.max_stream_data_local)
            stream.max_stream_data_local_sent = stream.max_stream_data_local

    quic._write_stream_limits = write_limits  # type: ignore[method-assign]
    streams = quic._local_max_streams_uni
    streams.value = streams.sent = MAX_UNIDIRECTIONAL
