"""HTTP requests of polling: one connection (`HttpChannel`), and the pool that reuses connections.

h11 parses the responses. The module leaves payloads to `polling`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import h11

from engineio_core.client.deadline import Deadline
from engineio_core.client.errors import TransportError
from engineio_core.client.network import Network
from engineio_core.clock import Clock

#: A server closes idle connections (Node after 5 s), and a POST must not be sent twice.
IDLE_SECONDS: Final = 2.0
MAX_HEAD: Final = 64 * 1024


class Answer(NamedTuple):
    """A response with its whole body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class HttpChannel(asyncio.Protocol):
    """One connection, with at most one request at a time."""

    def __init__(self, clock: Clock, max_size: int) -> None:
        self._clock = clock
        self._max_size = max_size
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._transport: Any = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._head: h11.Response | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._idle_since = 0.0
        self._is_lost = False

    def connection_made(self, transport: Any) -> None:
        """Keep the transport until the connection is lost."""
        self._transport = transport

    @property
    def is_reusable(self) -> bool:
        """Whether another request may be sent on the connection."""
        return (
            not self._is_lost
            and self._http.our_state is h11.IDLE
            and self._clock.time() - self._idle_since <= IDLE_SECONDS
        )

    async def request(
        self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes | None
    ) -> Answer:
        """Send a request and return its response.

        Raises OSError or TransportError. A request that is canceled ends its connection.
        """
        if self._is_lost:
            raise ConnectionResetError("the server closed the connection")
        self._waiter = asyncio.get_running_loop().create_future()
        fields = list(headers)
        if body is not None:
            fields.append(("Content-Length", str(len(body))))
        data = self._http.send(h11.Request(method=method, target=target, headers=fields)) or b""
        if body is not None:
            data += self._http.send(h11.Data(data=body)) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        self._transport.write(data)
        try:
            return await self._waiter
        except BaseException:
            self.abort()
            raise
        finally:
            self._waiter = None

    def data_received(self, data: bytes) -> None:
        """Read a part of the response."""
        try:
            self._http.receive_data(data)
            self._read_events()
        except h11.RemoteProtocolError as error:
            self._fail(TransportError(f"the server sent an invalid HTTP response: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        """End a response that extends to the end of the connection; fail any other."""
        self._is_lost = True
        if self._waiter is not None and self._head is not None and error is None:
            self.data_received(b"")
        self._fail(error or ConnectionResetError("the server closed the connection"))

    def abort(self) -> None:
        """End the connection at once."""
        self._is_lost = True
        if self._transport is not None:
            self._transport.abort()

    def _read_events(self) -> None:
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Response):
                self._head = event
            elif isinstance(event, h11.Data):
                self._size += len(event.data)
                if self._size > self._max_size:
                    self._fail(
                        TransportError(
                            f"a response must not have more than {self._max_size} bytes: "
                            "raise max_message_size"
                        )
                    )
                    return
                self._parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self._complete()
            elif not isinstance(event, h11.InformationalResponse):
                return  # NEED_DATA, PAUSED or the end of the connection

    def _complete(self) -> None:
        head, body = self._head, b"".join(self._parts)
        self._head, self._parts, self._size = None, [], 0
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._idle_since = self._clock.time()
        elif not self._is_lost:
            self._is_lost = True
            self._transport.close()
        if self._waiter is not None and not self._waiter.done() and head is not None:
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in
                       head.headers]  # fmt: skip
            self._waiter.set_result(Answer(head.status_code, headers, body))

    def _fail(self, error: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self.abort()


class HttpPool:
    """The connections of one polling session: usually one for the poll and one for POSTs."""

    def __init__(self, network: Network, clock: Clock, max_size: int) -> None:
        self._network = network
        self._clock = clock
        self._max_size = max_size
        self._channels: set[HttpChannel] = set()
        self._busy: set[HttpChannel] = set()

    async def request(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        body: bytes | None = None,
        *,
        connect_timeout: float,
        timeout: float | None,
    ) -> Answer:
        """Send a request, on a new connection if none is idle, and return its response.

        Without `timeout`, the caller must end the request. Raises OSError, which includes
        TimeoutError, or TransportError.
        """
        async with Deadline(self._clock, timeout):
            channel = self._find_idle()
            if channel is None:
                async with Deadline(self._clock, connect_timeout):
                    channel = await self._network.connect(self._create, is_tunnel=False)
            self._channels.add(channel)
            self._busy.add(channel)
            try:
                return await channel.request(method, target, headers, body)
            finally:
                self._busy.discard(channel)

    def _create(self) -> HttpChannel:
        return HttpChannel(self._clock, self._max_size)

    def _find_idle(self) -> HttpChannel | None:
        for channel in list(self._channels):
            if channel in self._busy:
                continue
            if channel.is_reusable:
                return channel
            self._channels.discard(channel)
            channel.abort()
        return None

    def close(self) -> None:
        """End all connections at once; their requests fail."""
        for channel in self._channels | self._busy:
            channel.abort()
        self._channels.clear()
