"""An origin with two gateways in one event loop, and a small Socket.IO client over WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from engineio_core import Engine
from engineio_core.noop import noop
from engineio_core.relay.gateway import Gateway
from engineio_core.relay.origin import Origin
from socketio_core import SocketServer
from tests.helpers.waiting import PATIENT

SECRET = b"a secret of both sides"
LIMIT = 300.0


class Relayed:
    """A server whose connections are held by gateways."""

    def __init__(
        self, io: SocketServer, path: Path, on_lag: Callable[[float], None] = noop
    ) -> None:
        self.io = io
        self.origin = Origin(io.engine, SECRET, on_lag)
        self.gateways: list[Gateway] = []
        self.engines: list[Engine] = []
        self.ports: list[int] = []
        self.links: list[asyncio.Task[None]] = []
        self._path = str(path / "link")
        self._server: asyncio.Server | None = None

    async def start_origin(self) -> None:
        """Accept links from gateways."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self.origin.make_link, self._path)

    async def start_gateway(self, secret: bytes = SECRET, **options: Any) -> None:
        """Start a gateway on a free port."""
        engine = Engine(path="/socket.io", **options)
        gateway = Gateway(engine, secret)
        self.engines.append(engine)
        self.gateways.append(gateway)
        self.ports.append((await engine.listen()).port)
        self.links.append(asyncio.create_task(gateway.run(self._connect)))

    async def _connect(self, factory: Any) -> object:
        return await asyncio.get_running_loop().create_unix_connection(factory, self._path)

    async def linked(self, count: int) -> None:
        """Wait until the origin has this number of gateways."""
        await until(lambda: self.origin.gateways == count)

    async def stop_origin(self) -> None:
        """Close all links, and accept no others."""
        assert self._server is not None
        self._server.close()
        await self.origin.stop()
        await self.linked(0)

    async def stop(self) -> None:
        """Stop the gateways, the server and all links."""
        for link in self.links:
            link.cancel()
        await asyncio.gather(*self.links, return_exceptions=True)
        for engine in self.engines:
            await engine.shutdown()
        await self.io.shutdown()
        if self._server is not None:
            self._server.close()
        await self.origin.stop()
        await self.linked(0)


@contextlib.asynccontextmanager
async def relayed(
    io: SocketServer,
    path: Path,
    gateways: int = 2,
    on_lag: Callable[[float], None] = noop,
    **options: Any,
) -> AsyncIterator[Relayed]:
    """Run an origin with gateways."""
    server = Relayed(io, path, on_lag)
    await server.start_origin()
    for _ in range(gateways):
        await server.start_gateway(**options)
    await server.linked(gateways)
    try:
        yield server
    finally:
        await server.stop()


class Client:
    """A client of the namespace `/`."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.pid = ""
        self.id = ""
        self.missed: list[list[Any]] = []

    @classmethod
    async def connect(cls, port: int, auth: dict[str, Any] | None = None, **options: Any) -> Client:
        """Open a session and join the namespace."""
        url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
        client = cls(await connect(url, compression=None, max_size=None, **PATIENT, **options))
        opening = await client.receive()
        assert opening.startswith("0")
        await client.connection.send("40" + json.dumps(auth or {}))
        reply = await client.receive()
        while reply.startswith("42"):  # events that the client has missed come first
            client.missed.append(json.loads(reply[2:]))
            reply = await client.receive()
        assert reply.startswith("40"), reply
        body = json.loads(reply[2:])
        client.id, client.pid = body["sid"], body.get("pid", "")
        return client

    async def receive(self) -> str:
        """Return the next packet; answer pings."""
        while True:
            async with asyncio.timeout(LIMIT):
                packet = await self.connection.recv()
            assert isinstance(packet, str)
            if packet != "2":
                return packet
            await self.connection.send("3")

    async def event(self) -> list[Any]:
        """Return the next event."""
        packet = await self.receive()
        assert packet.startswith("42"), packet
        event: list[Any] = json.loads(packet[2:])
        return event

    async def call(self, *event: Any) -> Any:
        """Send an event and return its ack."""
        await self.connection.send("421" + json.dumps(event))
        packet = await self.receive()
        assert packet.startswith("431"), packet
        return json.loads(packet[3:])


async def until(condition: Any) -> None:
    """Wait until a condition is true."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - several objects change it
            await asyncio.sleep(0.005)
