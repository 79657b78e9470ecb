"""HTTP requests to the Unix socket of the application, over connections that are used again.

h11 reads and writes the messages. With httpx 0.28, a forwarded POST took 2.1 ms of the CPU time of
a gateway, against 0.8 ms here, on a busy machine (the load of `benchmarks.scale --only hub` with
ten clients). `http_proxy` decides which headers are forwarded.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, final

import h11

READ_SIZE: Final = 64 * 1024
#: Responses that the application sends have heads far below this size, in bytes.
MAXIMUM_HEAD: Final = 256 * 1024
#: Connections that wait for a request, and the seconds after which one is not used again.
MAXIMUM_IDLE, IDLE_SECONDS = 32, 10.0

Headers = list[tuple[bytes, bytes]]


class UpstreamError(Exception):
    """The application is not reachable, or its connection ended during a request."""


@final
class Upstream:
    """The connections of one gateway to the application."""

    def __init__(self, path: Path, maximum_requests: int, connect_seconds: float) -> None:
        self._path = str(path)
        self._slots = asyncio.Semaphore(maximum_requests)
        self._connect_seconds = connect_seconds
        self._idle: list[tuple[float, _Connection]] = []

    @contextlib.asynccontextmanager
    async def request(
        self, method: str, target: bytes, headers: Headers, body: AsyncIterator[bytes] | None
    ) -> AsyncIterator[UpstreamResponse]:
        """Send a request and yield its response, whose body must be read inside the block.

        `headers` must contain Host, and describe the length of a body. The connection serves a
        further request only if both messages are complete.

        Raises UpstreamError, and the exceptions of `body`.
        """
        await self._acquire()
        try:
            connection = self._take_idle() or await self._connect()
            try:
                head = h11.Request(method=method, target=target, headers=headers)
                yield await connection.exchange(head, body)
            finally:
                if connection.begin_next() and len(self._idle) < MAXIMUM_IDLE:
                    self._idle.append((asyncio.get_running_loop().time(), connection))
                else:
                    connection.close()
        except (OSError, h11.ProtocolError) as error:
            raise UpstreamError(f"{type(error).__name__}: {error}") from error
        finally:
            self._slots.release()

    async def _acquire(self) -> None:
        try:
            async with asyncio.timeout(self._connect_seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise UpstreamError("too many requests at the same time") from None

    def _take_idle(self) -> _Connection | None:
        oldest = asyncio.get_running_loop().time() - IDLE_SECONDS
        while self._idle and self._idle[0][0] < oldest:
            self._idle.pop(0)[1].close()
        while self._idle:
            _, connection = self._idle.pop()
            if connection.is_usable:
                return connection
            connection.close()
        return None

    async def _connect(self) -> _Connection:
        async with asyncio.timeout(self._connect_seconds):  # TimeoutError is an OSError
            return _Connection(*await asyncio.open_unix_connection(self._path))

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop()[1].close()


@final
class UpstreamResponse:
    """The head of a response, and its body while it arrives."""

    def __init__(self, connection: _Connection, head: h11.Response) -> None:
        self._connection = connection
        self.status = head.status_code
        self.headers: Headers = list(head.headers)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the parts of the body. Raises OSError or h11.ProtocolError."""
        while isinstance(event := await self._connection.next_event(), h11.Data):
            yield bytes(event.data)


class _Connection:
    """One connection, and the state of HTTP on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAXIMUM_HEAD)
        self._sending: asyncio.Future[None] | None = None

    @property
    def is_usable(self) -> bool:
        """Whether the application has not closed the connection."""
        return not (self._reader.at_eof() or self._writer.is_closing())

    async def exchange(
        self, head: h11.Request, body: AsyncIterator[bytes] | None
    ) -> UpstreamResponse:
        """Send a request and return its response without the body.

        The rest of the body is sent while the response arrives: an application that refuses a body
        may answer and close before it has read the body.
        """
        self._write(head)
        if body is None:
            self._write(h11.EndOfMessage())
            return await self._read_head()
        reading = asyncio.ensure_future(self._read_head())
        self._sending = asyncio.ensure_future(self._send_body(body))
        try:
            await asyncio.wait({reading, self._sending}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                self._sending.result()
            return await reading
        finally:
            reading.cancel()

    async def _send_body(self, body: AsyncIterator[bytes]) -> None:
        with contextlib.suppress(ConnectionError):  # the response explains the end
            async for chunk in body:
                self._write(h11.Data(data=chunk))
                await self._writer.drain()
            self._write(h11.EndOfMessage())

    async def _read_head(self) -> UpstreamResponse:
        while True:
            event = await self.next_event()
            if isinstance(event, h11.Response):
                return UpstreamResponse(self, event)

    def _write(self, event: Any) -> None:
        data = self._http.send(event)
        if data:
            self._writer.write(data)

    async def next_event(self) -> Any:
        """Return the next part of the response."""
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(READ_SIZE))
        if isinstance(event, h11.ConnectionClosed):
            raise ConnectionResetError("the application closed the connection")
        return event

    def begin_next(self) -> bool:
        """Prepare for a further request; return whether the connection allows one."""
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        with contextlib.suppress(h11.ProtocolError):
            if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
                self._http.start_next_cycle()
                return self.is_usable
        return False

    def close(self) -> None:
        self._writer.close()
