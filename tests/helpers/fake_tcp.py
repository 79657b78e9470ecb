"""A TCP transport without a network that records the written bytes and can stall."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from .fake_clock import FakeClock

HIGH_WATER = 64 * 1024
LOW_WATER = 16 * 1024
SEGMENT = 256 * 1024  # the maximum size of one read of an event loop


class FakeTcp(asyncio.Transport):
    """The server end of a connection, with the behavior of the transports of asyncio.

    `feed` sends bytes of the client, which stay in `unread` while reading is paused. `written`
    contains the bytes that the client has received since the last `take`. After `stall`, written
    bytes stay in the write buffer, and above a limit the transport calls `pause_writing`.
    """

    def __init__(self, clock: FakeClock, peer: object = ("192.0.2.7", 50000), **extra: Any) -> None:
        super().__init__(extra={"peername": peer, **extra})
        self._clock = clock
        self._protocol: Any = None
        self._buffer = bytearray()
        self._unread = bytearray()
        self._is_stalled = False
        self._is_writing_paused = False
        self._is_lost = False
        self._is_finished = False
        self.written = bytearray()
        self.writes: list[bytes] = []
        self.is_reading_paused = False
        self.has_written_eof = False
        self.is_aborted = False
        self.is_closed = False

    # -- calls of a protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return cast("asyncio.BaseProtocol", self._protocol)

    def write(self, data: Any) -> None:
        assert isinstance(data, bytes | bytearray | memoryview), (
            f"write() must get bytes, got {data!r}"
        )
        assert not self.has_written_eof, "write() was called after write_eof()"
        if self._is_lost or not data:
            return
        self.writes.append(bytes(data))
        if not self._is_stalled:
            self.written += data
            return
        self._buffer += data
        if len(self._buffer) > HIGH_WATER and not self._is_writing_paused:
            self._is_writing_paused = True
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    def can_write_eof(self) -> bool:
        return self.get_extra_info("sslcontext") is None

    def write_eof(self) -> None:
        assert self.can_write_eof(), "write_eof() must not be called on a TLS connection"
        self.has_written_eof = True

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True
        if not self._buffer:
            self._lose(None)

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True
        self._buffer.clear()
        self._lose(None)

    def is_reading(self) -> bool:
        return not (self.is_reading_paused or self.is_closed)

    def pause_reading(self) -> None:
        # uvloop raises RuntimeError as well.
        if self.is_closed:
            raise RuntimeError("reading can't be paused when closing")
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False
        self._clock.call_soon(self._read)

    # -- actions of the client and the network

    def feed(self, data: bytes) -> None:
        """Receive `data` from the client."""
        self._unread += data
        self._read()

    @property
    def unread(self) -> int:
        """The number of bytes that the server has not read."""
        return len(self._unread)

    def finish(self) -> None:
        """Receive the end of file from the client."""
        self._is_finished = True
        self._read()

    def lose(self, error: Exception | None = None) -> None:
        """Lose the connection, optionally with an error, and run the calls that follow."""
        self.is_closed = True
        self._lose(error)
        self._clock.run()

    def break_off(self, error: Exception | None = None) -> None:
        """Lose the connection, in one iteration of the event loop."""
        self.is_closed = True
        self._lose(error)
        self._clock.run_once()

    def stall(self) -> None:
        """Stop the client from reading."""
        self._is_stalled = True

    def unstall(self) -> None:
        """Let the client read the write buffer and all later bytes."""
        self._is_stalled = False
        self.written += self._buffer
        self._buffer.clear()
        if self._is_writing_paused:
            self._is_writing_paused = False
            self._protocol.resume_writing()
        if self.is_closed:
            self._lose(None)
        self._clock.run()

    def read_some(self, size: int) -> None:
        """Let a stalled client read that many bytes."""
        self.written += self._buffer[:size]
        del self._buffer[:size]
        if self._is_writing_paused and len(self._buffer) <= LOW_WATER:
            self._is_writing_paused = False
            self._protocol.resume_writing()
        self._clock.run()

    def take(self) -> bytes:
        """Return the bytes that the client has received since the last call."""
        taken = bytes(self.written)
        self.written.clear()
        return taken

    @property
    def is_over(self) -> bool:
        """Whether the client has received the end of the connection."""
        return self.is_closed or self.has_written_eof

    def _read(self) -> None:
        if self.is_reading_paused or self.is_closed:
            return
        if self._unread:
            data = bytes(self._unread[:SEGMENT])
            del self._unread[:SEGMENT]
            self._protocol.data_received(data)
            if self._unread:
                self._clock.call_soon(self._read)
        if self._is_finished and not self._unread and not self.is_reading_paused:
            self._is_finished = False
            if not self._protocol.eof_received():
                self.close()

    def _lose(self, error: Exception | None) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._clock.call_soon(lambda: self._protocol.connection_lost(error))
