"""The cost of leaving depends on no other socket, for each transport and kind of adapter.

All sockets use the transport of the one that leaves. `test_cost_of_leaving` covers more kinds of
ends for WebSockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from socketio_core import InProcessCluster, Recovery, RedisStreams, SocketServer
from tests.engineio_core.asgi.support import Host
from tests.engineio_core.webtransport.support import OPEN, frame
from tests.engineio_core.webtransport.support import Client as WebTransportClient
from tests.growth.test_cost_of_leaving import counted_operations
from tests.helpers.client import WebSocketClient
from tests.socketio_core.support import TcpServer, join

ADAPTERS: dict[str, Callable[[], Any]] = {
    "memory": lambda: None,
    "cluster": lambda: InProcessCluster().join(),
    "redis-streams": lambda: RedisStreams("redis://127.0.0.1:1"),
}


class Member:
    """A client of one transport that joins `/` when it is opened."""

    def __init__(self, tcp: TcpServer) -> None:
        self.client: Any = tcp.open_websocket()
        join(self.client)

    async def opened(self) -> None:
        """Wait until the server has processed the handshake."""

    def send(self, packet: str) -> None:
        """Send a packet of Socket.IO."""
        self.client.send_packet(f"4{packet}")

    def lose(self) -> None:
        """End the connection without a packet."""
        self.client.tcp.lose()


class PollingMember(Member):
    def __init__(self, tcp: TcpServer) -> None:
        self.client = tcp.open_polling()
        join(self.client)

    def lose(self) -> None:
        self.client.poll().tcp.lose()


class OldMember(Member):
    """A client of Engine.IO 3, which the server joins to `/`."""

    def __init__(self, tcp: TcpServer) -> None:
        self.client = WebSocketClient(tcp, tcp.upgrade(EIO="3"))


class WebTransportMember(Member):
    def __init__(self, tcp: TcpServer) -> None:
        self.client = WebTransportClient(tcp.engine)

    async def opened(self) -> None:
        await self.client.send(OPEN, frame(b"40"))

    def send(self, packet: str) -> None:
        self.client.transport.data_received(frame(b"4" + packet.encode()))

    def lose(self) -> None:
        self.client.transport.stream_ended("lost")


class AsgiMember(Member):
    def __init__(self, tcp: TcpServer) -> None:
        query = "EIO=4&transport=websocket"
        self.client = Host(tcp.asgi, "websocket", "/socket.io/", query, subprotocols=[])  # type: ignore[attr-defined]
        self.client.deliver("websocket.connect")

    async def opened(self) -> None:
        await self.client.wait_for(2)
        self.send("0")
        await self.client.wait_for(3)

    def send(self, packet: str) -> None:
        self.client.deliver("websocket.receive", text=f"4{packet}")

    def lose(self) -> None:
        self.client.deliver("websocket.disconnect", code=1006)


MEMBERS: dict[str, type[Member]] = {
    "polling": PollingMember,
    "websocket": Member,
    "webtransport": WebTransportMember,
    "asgi": AsgiMember,
    "eio3": OldMember,
}
ENDS: dict[str, Callable[[Member], None]] = {
    "lose": lambda member: member.lose(),
    "disconnect": lambda member: member.send("1"),
}


async def settle() -> None:
    """Run the callbacks that are due."""
    for _ in range(20):
        await asyncio.sleep(0)


def count_memberships(io: SocketServer) -> int:
    return sum(len(socket.rooms) for socket in io.sockets.values())


async def cost(transport: str, adapter: str, end: Callable[[Member], None], others: int) -> int:
    """Return the cost of an end next to that many other sockets, with as many rooms."""
    io = SocketServer(
        adapter=ADAPTERS[adapter](), recovery=Recovery(max_disconnection_duration=60),
        ping_interval=1000, allow_eio3=True, transports=("polling", "websocket", "webtransport"),
    )  # fmt: skip
    io.on("join", lambda socket, room: socket.join(room))
    tcp = TcpServer(io)
    tcp.asgi = io.asgi_app()  # type: ignore[attr-defined]

    async def open_member(room: str) -> Member:
        member = MEMBERS[transport](tcp)
        await member.opened()
        for each in (room, "everyone"):
            member.send(f'2["join","{each}"]')
        return member

    # A host of ASGI applications keeps the queues of its clients, so that these must stay alive.
    members = [await open_member(f"room-{number}") for number in range(others)]
    members.append(await open_member("mine"))
    await settle()
    before = count_memberships(io)
    assert before == 3 * (others + 1)  # one of them in the room of its ID

    async def leave() -> None:
        end(members[-1])
        await settle()

    operations = await counted_operations(leave)
    assert count_memberships(io) < before
    for member in members[:-1]:
        member.lose()
    await settle()
    tcp.engine.close()
    await settle()
    return operations


@pytest.fixture(autouse=True)
def no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not connect to Redis, whose work would count too: sessions and messages stay queued."""
    monkeypatch.setattr(RedisStreams, "start", lambda self: None)


@pytest.mark.parametrize("adapter", list(ADAPTERS))
@pytest.mark.parametrize("transport", list(MEMBERS))
@pytest.mark.parametrize("name", list(ENDS))
def test_cost_of_leaving_does_not_grow_with_sockets_of_the_same_transport(
    name: str, transport: str, adapter: str
) -> None:
    few, many = (asyncio.run(cost(transport, adapter, ENDS[name], others)) for others in (5, 60))
    # Allow for the one amortized step of a timer or of a dictionary.
    assert many <= 1.05 * few, f"{few} operations next to 5 sockets, {many} next to 60"
