"""A minimal Socket.IO client over WebSocket for tests of the hub.

The client handles the text packets of the namespace `/`. It does not use the server's packages.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosedError

from tests.helpers.waiting import PATIENT

TIMEOUT = 300.0


class Refused(Exception):
    """The server answered CONNECT with CONNECT_ERROR."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(answer["message"])
        self.answer = answer


class Client:
    """One connected client; every wait fails the test after minutes."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._acks: dict[int, asyncio.Future[Any]] = {}
        self._arrived = asyncio.Event()
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.events: list[tuple[str, Any]] = []
        self.reader = asyncio.create_task(self._read(), name="client reader")

    async def emit_with_ack(self, *event: Any) -> Any:
        """Send an event and return its ack."""
        ack_id = len(self._acks)
        self._acks[ack_id] = asyncio.get_running_loop().create_future()
        await self._connection.send(f"42{ack_id}{json.dumps(event)}")
        return await asyncio.wait_for(self._acks[ack_id], TIMEOUT)

    async def emit(self, *event: Any) -> None:
        """Send an event without an ack."""
        await self._connection.send(f"42{json.dumps(event)}")

    async def send(self, message: str) -> None:
        """Send a raw Engine.IO message."""
        await self._connection.send(message)

    async def receive_event(self, name: str, number: int = 1) -> Any:
        """Wait for the first (second, ...) event of a name and return its payload."""
        async with asyncio.timeout(TIMEOUT):
            while len(found := self.payloads(name)) < number:
                self._arrived.clear()
                await self._arrived.wait()
        return found[number - 1]

    def payloads(self, name: str) -> list[Any]:
        return [payload for event, payload in self.events if event == name]

    async def close(self) -> None:
        await self._connection.close()
        await self.reader

    async def _read(self) -> None:
        with suppress(ConnectionClosedError):  # the server ended without a close frame
            await self._read_all()

    async def _read_all(self) -> None:
        async for message in self._connection:
            assert isinstance(message, str)
            if message == "2":
                await self._connection.send("3")
            elif message.startswith("40"):
                self.joined.set_result(None)
            elif message.startswith("44"):
                self.joined.set_exception(Refused(json.loads(message[2:])))
            elif message.startswith("42"):
                name, *arguments = json.loads(message[2:])
                self.events.append((name, arguments[0] if arguments else None))
                self._arrived.set()
            elif message.startswith("43"):
                digits, bracket, rest = message[2:].partition("[")
                self._acks[int(digits)].set_result(json.loads(bracket + rest)[0])


@asynccontextmanager
async def connected(
    url: str, auth: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> AsyncIterator[Client]:
    """Connect a client for the length of a block; raise Refused on CONNECT_ERROR."""
    address = url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    connection = await open_websocket(
        address, additional_headers=headers, compression=None, **PATIENT
    )
    client = Client(connection)
    try:
        await connection.send("40" + (json.dumps(auth) if auth is not None else ""))
        await asyncio.wait_for(client.joined, TIMEOUT)
        yield client
    finally:
        await client.close()
