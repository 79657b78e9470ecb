"""The servers of the benchmark behave alike; the tests start each server as a process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.peers import (
    NODE,
    OURS_ASYNC,
    OURS_FULL,
    OURS_SYNC,
    PYTHON_SOCKETIO,
    Peer,
    PeerMissingError,
    Server,
)

RECEIVE_TIMEOUT = 300.0
DATA = {"id": 1, "text": "é", "list": [1, None, True]}
PEERS = (OURS_ASYNC, OURS_SYNC, OURS_FULL, OURS_ASYNC.with_flags("--deflate"), NODE,
         NODE.with_flags("--deflate"), PYTHON_SOCKETIO)  # fmt: skip


@pytest.fixture(params=PEERS, ids=lambda peer: " ".join((peer.name, *peer.command[-1:])))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    peer: Peer = request.param
    try:
        running = Server(peer).__enter__()
    except PeerMissingError as error:
        pytest.fail(f"{error}", pytrace=False)
    yield running
    running.stop()


class Client:
    """Minimal Socket.IO client on WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def open(self) -> dict[str, object]:
        """Join the namespace `/`; return the data of the Engine.IO handshake."""
        opened = await self.receive()
        await self.send("40")
        assert (await self.receive()).startswith('40{"sid":"')
        return dict(json.loads(opened[1:]))

    async def send(self, text: str) -> None:
        await self._connection.send(text)

    async def receive(self) -> str:
        """Return the next packet; answer pings, the first of which socketioxide sends at once."""
        async with asyncio.timeout(RECEIVE_TIMEOUT):
            while (message := await self._connection.recv()) == "2":
                await self.send("3")
        assert isinstance(message, str)
        return message

    async def receive_packet(self) -> tuple[str, list[object]]:
        """Return the head of an event or ack, and its data without the offset of recovery."""
        message = await self.receive()
        head, bracket, rest = message.partition("[")
        data = json.loads(bracket + rest)
        return head, data[:2]


async def test_servers_behave_alike(server: Server) -> None:
    url = f"ws://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=websocket"
    async with connect(url) as first_connection, connect(url) as second_connection:
        first, second = Client(first_connection), Client(second_connection)
        opened = await first.open()
        await second.open()
        assert (opened["pingInterval"], opened["pingTimeout"]) == (25000, 20000)

        await first.send(f'427["echo",{json.dumps(DATA)}]')
        assert await first.receive_packet() == ("437", [DATA])

        # The server does not ack `msg`, so the next packet is the ack of the second event.
        await first.send('42["msg",{"a":1}]')
        await first.send('428["echo",2]')
        assert await first.receive_packet() == ("438", [2])

        await first.send('429["bcast",{"b":2}]')
        packets = [await first.receive_packet(), await first.receive_packet()]
        assert sorted(packets, key=str) == [("42", ["update", {"b": 2}]), ("439", [1])]
        assert await second.receive_packet() == ("42", ["update", {"b": 2}])
