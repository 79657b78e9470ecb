"""The servers that are compared do the same: started as processes, asked by a small client."""

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
    PeerMissing,
    Server,
)

PATIENCE = 60.0
DATA = {"id": 1, "text": "é", "list": [1, None, True]}
PEERS = (OURS_ASYNC, OURS_SYNC, OURS_FULL, OURS_ASYNC.with_flags("--deflate"), NODE,
         NODE.with_flags("--deflate"), PYTHON_SOCKETIO)  # fmt: skip


@pytest.fixture(params=PEERS, ids=lambda peer: " ".join((peer.name, *peer.command[-1:])))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    peer: Peer = request.param
    try:
        running = Server(peer).__enter__()
    except PeerMissing as error:
        pytest.fail(f"{error}", pytrace=False)
    yield running
    running.stop()


class Client:
    """As little of a client as these servers need."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def open(self) -> dict[str, object]:
        """Join the namespace `/`; return what the engine said first."""
        opened = await self.hear()
        await self.say("40")
        assert (await self.hear()).startswith('40{"sid":"')
        return dict(json.loads(opened[1:]))

    async def say(self, text: str) -> None:
        await self._connection.send(text)

    async def hear(self) -> str:
        async with asyncio.timeout(PATIENCE):
            message = await self._connection.recv()
        assert isinstance(message, str)
        return message

    async def hear_event(self) -> tuple[str, list[object]]:
        """Return an event's or ack's head, and its data without an offset of recovery."""
        message = await self.hear()
        head, bracket, rest = message.partition("[")
        data = json.loads(bracket + rest)
        return head, data[:2]


async def test_they_behave_alike(server: Server) -> None:
    url = f"ws://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=websocket"
    async with connect(url) as one, connect(url) as other:
        first, second = Client(one), Client(other)
        opened = await first.open()
        await second.open()
        assert (opened["pingInterval"], opened["pingTimeout"]) == (25000, 20000)

        await first.say(f'427["echo",{json.dumps(DATA)}]')
        assert await first.hear_event() == ("437", [DATA])

        # It is taken and not answered: what comes next is the answer to what follows.
        await first.say('42["msg",{"a":1}]')
        await first.say('428["echo",2]')
        assert await first.hear_event() == ("438", [2])

        await first.say('429["bcast",{"b":2}]')
        heard = [await first.hear_event(), await first.hear_event()]
        assert sorted(heard, key=str) == [("42", ["update", {"b": 2}]), ("439", [1])]
        assert await second.hear_event() == ("42", ["update", {"b": 2}])
