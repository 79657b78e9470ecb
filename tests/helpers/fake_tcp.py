"""A TCP connection without a network: it records what is written and can be told to stall."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from .fake_clock import FakeClock

HIGH_WATER = 64 * 1024
SEGMENT = 256 * 1024  # what a loop reads at once, at the most


class FakeTcp(asyncio.Transport):
    """The server's end of a connection, as asyncio's transports behave.

    `feed` is what the client sends: it waits while reading is paused. `written` is what the
    client has received, all of it unless it was taken by `take`. A client that `stall`s reads
    nothing: what is written stays in the buffer, and above a limit the protocol is told.
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

    # -- what a protocol calls

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return cast("asyncio.BaseProtocol", self._protocol)

    def write(self, data: Any) -> None:
        assert isinstance(data, bytes | bytearray | memoryview), f"not bytes: {data!r}"
        assert not self.has_written_eof, "a write after the end of file"
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
        assert self.can_write_eof(), "TLS has no half-closed connections"
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
        # As strict as uvloop.
        if self.is_closed:
            raise RuntimeError("reading can't be paused when closing")
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False
        self._clock.call_soon(self._read)

    # -- what the network does

    def feed(self, data: bytes) -> None:
        """Let the client send `data`."""
        self._unread += data
        self._read()

    @property
    def unread(self) -> int:
        """How many bytes the server has left in the kernel."""
        return len(self._unread)

    def finish(self) -> None:
        """Let the client end its side of the connection."""
        self._is_finished = True
        self._read()

    def lose(self, error: Exception | None = None) -> None:
        """Let the connection break."""
        self.is_closed = True
        self._lose(error)
        self._clock.run()

    def stall(self) -> None:
        """Let the client read nothing more."""
        self._is_stalled = True

    def unstall(self) -> None:
        """Let the client read again, and read all that waits."""
        self._is_stalled = False
        self.written += self._buffer
        self._buffer.clear()
        if self._is_writing_paused:
            self._is_writing_paused = False
            self._protocol.resume_writing()
        if self.is_closed:
            self._lose(None)
        self._clock.run()

    def take(self) -> bytes:
        """Return what the client has received since the last time."""
        taken = bytes(self.written)
        self.written.clear()
        return taken

    @property
    def is_over(self) -> bool:
        """Whether the client sees the end of the connection."""
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
