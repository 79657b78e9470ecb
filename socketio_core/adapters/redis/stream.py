"""The bytes of one connection to Redis, after redis-py has opened it: commands out, replies in.

`connection` decides when to write; `replies` parses.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, final

from socketio_core.adapters.redis.library import import_redis
from socketio_core.adapters.redis.replies import ReplyReader

OnReplies = Callable[[list[Any]], None]


class CommandStream(Protocol):
    """An open connection; `open_stream` returns one."""

    is_writable: bool
    """Whether `write` may be called; `on_writable` reports that it may be called again."""

    def write(self, batch: list[bytes]) -> None:
        """Write encoded commands in one piece; not called while `is_writable` is false."""

    async def wait(self, seconds: float) -> None:
        """Wait. Raises the error of the connection as soon as it has ended."""

    def close(self) -> None:
        """Stop reading and writing; the caller closes the connection."""


def open_stream(
    connection: Any, on_replies: OnReplies, on_writable: Callable[[], None]
) -> CommandStream:
    """Return the stream of a connection of redis-py that has just been opened.

    `on_replies(replies)` receives replies in their order; an exception ends the stream.
    """
    # The reader and the writer have been attributes of these names since redis-py 4.2.
    reader = getattr(connection, "_reader", None)
    writer = getattr(connection, "_writer", None)
    if isinstance(reader, asyncio.StreamReader) and isinstance(writer, asyncio.StreamWriter):
        return DirectStream(writer.transport, on_replies, on_writable)
    return LibraryStream(connection, on_replies, on_writable)


class _End:
    """The end of a stream, and its error."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._error: Exception | None = None

    def set(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
            self._event.set()

    async def wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        if self._error is not None:
            raise self._error


@final
class DirectStream(asyncio.Protocol):
    """The transport of the connection, without the reader and the writer of redis-py.

    An `asyncio.StreamReader` wakes a task for each chunk, in another turn of the event loop: 21%
    more CPU time of a broadcast to one client on each of two servers (`benchmarks.scale`).
    """

    def __init__(
        self,
        transport: asyncio.WriteTransport,
        on_replies: OnReplies,
        on_writable: Callable[[], None],
    ) -> None:
        self.is_writable = not transport.is_closing()
        self._transport = transport
        self._replies = ReplyReader()
        self._on_replies = on_replies
        self._on_writable = on_writable
        self._end = _End()
        transport.set_protocol(self)
        if transport.is_closing():
            self.connection_lost(None)

    def write(self, batch: list[bytes]) -> None:
        """Write encoded commands in one piece; not called while `is_writable` is false."""
        self._transport.write(b"".join(batch))

    async def wait(self, seconds: float) -> None:
        """Wait. Raises the error of the connection as soon as it has ended."""
        await self._end.wait(seconds)

    def close(self) -> None:
        """Stop reading and writing."""
        self.is_writable = False
        self._on_replies = _ignore

    def data_received(self, data: bytes) -> None:
        """Parse bytes of Redis."""
        try:
            self._on_replies(self._replies.feed(data))
        except Exception as error:
            self.close()
            self._end.set(error)

    def pause_writing(self) -> None:
        """Stop writing, because Redis does not read."""
        self.is_writable = False

    def resume_writing(self) -> None:
        """Allow writes again, and report that to the owner."""
        self.is_writable = True
        self._on_writable()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end of the connection."""
        self.is_writable = False
        self._end.set(exc or ConnectionError("the server closed the connection"))


@final
class LibraryStream:
    """A connection whose transport is not found: redis-py reads and writes."""

    def __init__(
        self, connection: Any, on_replies: OnReplies, on_writable: Callable[[], None]
    ) -> None:
        self.is_writable = True
        self._connection = connection
        self._on_replies = on_replies
        self._on_writable = on_writable
        self._end = _End()
        loop = asyncio.get_running_loop()
        self._reading = loop.create_task(self._run(self._read))
        self._writing: asyncio.Task[None] | None = None

    def write(self, batch: list[bytes]) -> None:
        """Write encoded commands in one piece; not called while `is_writable` is false."""
        self.is_writable = False
        loop = asyncio.get_running_loop()
        self._writing = loop.create_task(self._run(self._write, batch))

    async def wait(self, seconds: float) -> None:
        """Wait. Raises the error of the connection as soon as it has ended."""
        await self._end.wait(seconds)

    def close(self) -> None:
        """Stop reading and writing."""
        self._reading.cancel()
        if self._writing is not None:
            self._writing.cancel()

    async def _run(self, work: Callable[..., Awaitable[None]], *args: Any) -> None:
        try:
            await work(*args)
        except Exception as error:
            self._end.set(error)

    async def _write(self, batch: list[bytes]) -> None:
        await self._connection.send_packed_command(batch, check_health=False)
        self.is_writable = True
        self._on_writable()

    async def _read(self) -> None:
        response_error: type[Exception] = import_redis("redis.exceptions").ResponseError
        while True:
            try:
                reply = await self._connection.read_response(disconnect_on_error=False)
            except response_error as error:
                reply = error
            self._on_replies([reply])


def _ignore(replies: list[Any]) -> None:
    """Drop replies that arrive after the end."""
