"""The interface between a client session and its transports, and the objects that both use."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from email.message import Message
from http.cookiejar import CookieJar
from typing import Any, Protocol
from urllib.request import Request

from engineio_core.client.address import Address, make_target
from engineio_core.client.network import Network
from engineio_core.client.options import EngineClientOptions
from engineio_core.clock import Clock
from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.errors import CloseReason

USER_AGENT = "socketio-core"
PROTOCOL = "4"


class TransportListener(Protocol):
    """The session, as a transport uses it. No method is called after `transport_ended`."""

    def transport_opened(self, transport: ClientTransport) -> None:
        """Handle a connection that is ready for packets, before the handshake."""

    def packet_received(self, transport: ClientTransport, packet: bytes, is_binary: bool) -> None:
        """Handle a packet: text with its type digit, or the bytes of a binary message.

        Raises ProtocolError for an invalid packet.
        """

    def transport_drained(self, transport: ClientTransport) -> None:
        """Send queued packets: the transport is writable again."""

    def transport_ended(
        self, transport: ClientTransport, reason: CloseReason, error: Exception | None
    ) -> None:
        """Handle the end of a transport."""


class ClientTransport(Protocol):
    """A transport of one session."""

    name: str
    is_writable: bool
    """Whether `send` may be called."""

    def open(self) -> None:
        """Connect; the listener receives the result."""

    def send(self, packets: list[EncodedPacket]) -> None:
        """Send packets; the transport may not be writable afterwards."""

    def pause_reading(self) -> None:
        """Deliver no further packets for now."""

    def resume_reading(self) -> None:
        """Deliver packets again after `pause_reading`."""

    def close(self) -> None:
        """Notify the server, and end; the transport does not call the listener any more."""

    def abort(self) -> None:
        """End at once, without a notice for the server."""

    async def wait_closed(self) -> None:
        """Wait until all tasks and connections have ended."""


class ClientContext:
    """The common objects of all sessions of a client: address, options, clock, network, cookies."""

    def __init__(
        self, address: Address, options: EngineClientOptions, clock: Clock, network: Network
    ) -> None:
        self.address = address
        self.options = options
        self.clock = clock
        self.network = network
        self.has_used_websocket = False
        self._cookies = CookieJar() if options.cookies else None

    def target(self, transport: str, sid: str | None) -> str:
        """Return the path and query of a request."""
        query = {**dict(self.address.query), **self.options.query}
        query |= {"EIO": PROTOCOL, "transport": transport}
        if sid is not None:
            query["sid"] = sid
        path = self.options.path.rstrip("/") + "/"
        return make_target(path, query)

    def headers(self, target: str) -> list[tuple[str, str]]:
        """Return the headers of a request, without those of its body or of WebSocket."""
        options = self.options
        given = {name.lower() for name in options.extra_headers}
        headers = [("Host", self.address.authority), ("Accept", "*/*"), ("User-Agent", USER_AGENT)]
        if self.address.authorization is not None:
            headers.append(("Authorization", self.address.authorization))
        if self._cookies is not None and (cookie := self._cookie_header(target)):
            headers.append(("Cookie", cookie))
        headers = [(name, value) for name, value in headers if name.lower() not in given]
        return [*headers, *options.extra_headers.items()]

    def _cookie_header(self, target: str) -> str | None:
        assert self._cookies is not None, "the caller checks it"
        request = Request(self.address.origin + target)
        self._cookies.add_cookie_header(request)
        return request.get_header("Cookie")

    def store_cookies(self, target: str, headers: list[tuple[str, str]]) -> None:
        """Keep the cookies of a response."""
        if self._cookies is None or not any(n.lower() == "set-cookie" for n, _ in headers):
            return
        message = Message()
        for name, value in headers:
            if name.lower() == "set-cookie":
                message[name] = value
        self._cookies.extract_cookies(_Response(message), Request(self.address.origin + target))  # type: ignore[arg-type]  # the jar calls info() only


class _Response:
    """A response as a cookie jar reads it."""

    def __init__(self, headers: Message) -> None:
        self._headers = headers

    def info(self) -> Message:
        return self._headers


class TaskGroup:
    """The tasks of a transport, with an end that does not depend on the server."""

    __slots__ = ("tasks",)

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()

    def start(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Run a coroutine as a task."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def cancel(self) -> None:
        """Cancel all tasks but the current one."""
        current = asyncio.current_task() if self.tasks else None
        for task in self.tasks:
            if task is not current:
                task.cancel()

    async def wait(self) -> None:
        """Wait for the ends of all tasks but the current one."""
        current = asyncio.current_task()
        # Without ended tasks, for which `gather` does not suspend since Python 3.12
        while tasks := {each for each in self.tasks if each is not current and not each.done()}:
            await asyncio.gather(*tasks, return_exceptions=True)
