"""A minimal Socket.IO client for measurements: WebSocket only, namespace `/`, text events."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from websockets.asyncio.client import ClientConnection, connect


class Client:
    """A connected client; `events` holds the received events that are not acks."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._acks: dict[int, asyncio.Future[Any]] = {}
        self._next_ack = 0
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.connected = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read(), name="client reader")

    async def emit(self, *event: Any) -> Any:
        """Send an event and return the first argument of its ack."""
        ack_id, self._next_ack = self._next_ack, self._next_ack + 1
        future = self._acks[ack_id] = asyncio.get_running_loop().create_future()
        await self._connection.send(f"42{ack_id}{json.dumps(event)}")
        return await future

    async def close(self) -> None:
        """Close the connection and wait until the reader ends."""
        await self._connection.close()
        await self._reader

    async def _read(self) -> None:
        async for message in self._connection:
            assert isinstance(message, str)
            if message == "2":
                await self._connection.send("3")
            elif message.startswith("40"):
                self.connected.set_result(None)
            elif message.startswith("44"):
                self.connected.set_exception(ConnectionError(message))
            elif message.startswith("42"):
                name, *arguments = json.loads(message[2:])
                self.events.put_nowait((name, arguments[0] if arguments else None))
            elif message.startswith("43"):
                digits, bracket, rest = message[2:].partition("[")
                self._acks.pop(int(digits)).set_result(json.loads(bracket + rest)[0])


async def connect_client(url: str, token: str) -> Client:
    """Return a client that is connected to the namespace `/`."""
    address = url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    connection = await connect(address, compression=None, max_size=None)
    client = Client(connection)
    await connection.send("40" + json.dumps({"token": token}))
    await client.connected
    return client
