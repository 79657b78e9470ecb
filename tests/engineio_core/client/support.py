"""A client session and a server in memory, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from engineio_core import Engine, Session
from engineio_core.client.address import parse_url
from engineio_core.client.interface import ClientContext
from engineio_core.client.options import EngineClientOptions
from engineio_core.client.session import ClientSession
from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core.testing import VirtualClock
from tests.helpers.memory_network import MemoryNetwork


async def settle() -> None:
    """Run the event loop until nothing happens without time."""
    for _ in range(60):
        await asyncio.sleep(0)


class Pair:
    """An engine that echoes, and clients of it that record their messages and ends."""

    def __init__(self, **server: Any) -> None:
        self.clock = VirtualClock()
        self.engine = Engine(clock=self.clock, **server)
        self.network = MemoryNetwork(self.engine._make_connection, self.clock)
        self.sessions: list[Session] = []
        self.server_received: list[str | bytes] = []
        self.server_closed: list[str] = []
        self.received: list[bytes] = []
        self.closed: list[tuple[str, Exception | None]] = []
        self.opened = 0
        self.context: ClientContext | None = None
        self.engine.on("connection", self._connected)

    def _connected(self, session: Session) -> None:
        self.sessions.append(session)
        session.on_text = self.server_received.append
        session.on_binary = self.server_received.append
        session.on_close = lambda reason, _: self.server_closed.append(str(reason))

    async def connect(self, **options: Any) -> ClientSession:
        """Open a session; return when nothing happens without time."""
        client = self.create(**options)
        client.open()
        await settle()
        return client

    def create(self, url: str = "http://server.example", **options: Any) -> ClientSession:
        if self.context is None or options:
            self.context = ClientContext(
                parse_url(url), EngineClientOptions(**options), self.clock, self.network
            )
        client = ClientSession(self.context)
        client.on_open = self._opened
        client.on_text = self.received.append
        client.on_binary = self.received.append
        client.on_close = lambda reason, error: self.closed.append((str(reason), error))
        return client

    def _opened(self) -> None:
        self.opened += 1


def message(text: str | bytes) -> tuple[EncodedPacket, ...]:
    """Return the packets of one message."""
    return (EncodedPacket.message(text),)


async def until_ended(client: ClientSession, clock: VirtualClock) -> None:
    """Wait until a client has released its tasks and connections."""
    waiting = asyncio.ensure_future(client.wait_closed())
    await settle()
    while not waiting.done():
        await clock.advance(1)
    await waiting
    await settle()
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not left, left


class ScriptedServer(asyncio.Protocol):
    """A server that answers each request with the next of some prepared responses."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = answers
        self._transport: Any = None
        self.received = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self._answers:
            self._transport.write(self._answers.pop(0))


def scripted(*answers: bytes) -> tuple[Callable[[], ScriptedServer], list[ScriptedServer]]:
    """Return a factory of servers that share the answers, and the list of created servers."""
    remaining = list(answers)
    created: list[ScriptedServer] = []

    def create() -> ScriptedServer:
        server = ScriptedServer(remaining)
        created.append(server)
        return server

    return create, created


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return the bytes of a response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
