"""The client of the Python package `python-socketio` against the server."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import socketio
from engineio.payload import Payload

from socketio_core import AckTimeoutError, ConnectError, Namespace, Socket, SocketServer

from .support import LoopThread, serving

pytestmark = pytest.mark.interop

BINARY = bytes(range(256)) * 300
WAYS = {
    "polling": ["polling"],
    "websocket": ["websocket"],
    "upgrade": ["polling", "websocket"],
}


class Site:
    """A running server, and what it knows about those who left."""

    def __init__(self, io: SocketServer) -> None:
        self.io = io
        self.url = ""
        self.thread: LoopThread
        self.left: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()

    async def reason_of(self, socket_id: str | None) -> str:
        """Wait until a socket has left; why."""
        while True:
            left, reason = await asyncio.to_thread(self.left.get, timeout=60)
            if left == socket_id:
                return reason


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site(SocketServer(ping_interval=0.3, ping_timeout=5.0))
    for namespace in (site.io.of("/"), site.io.of("/board")):
        _answer(namespace, site)

    @site.io.of("/private").use
    def check_token(socket: Socket) -> None:
        raise ConnectError("not you", {"code": "E_TOKEN"})

    with serving(site.io) as (site.url, site.thread):
        yield site


def _answer(namespace: Namespace, site: Site) -> None:
    @namespace.on("echo")
    def echo(socket: Socket, *args: Any) -> None:
        socket.emit("echo", *args)

    @namespace.on("ack")
    def ack(socket: Socket, *args: Any) -> tuple[Any, ...]:
        return args

    @namespace.on("auth")
    def auth(socket: Socket) -> Any:
        return socket.handshake.auth

    @namespace.on("where")
    def where(socket: Socket) -> list[str]:
        return [socket.namespace.name, socket.id]

    @namespace.on("ask-me")
    async def ask_me(socket: Socket, *args: Any) -> Any:
        try:
            return await socket.timeout(5).emit_with_ack("question", *args)
        except AckTimeoutError:
            return "AckTimeoutError"

    @namespace.on("leave-me")
    def leave_me(socket: Socket) -> None:
        socket.disconnect()

    @namespace.on("disconnect")
    def disconnected(socket: Socket, reason: str) -> None:
        site.left.put((socket.id, reason))


@pytest.fixture(params=list(WAYS))
def transports(request: pytest.FixtureRequest) -> list[str]:
    return WAYS[request.param]


@asynccontextmanager
async def connected(
    site: Site, transports: list[str], **options: Any
) -> AsyncIterator[socketio.AsyncClient]:
    client = socketio.AsyncClient(reconnection=False)
    try:
        await client.connect(site.url, transports=transports, wait_timeout=60, **options)
        yield client
    finally:
        await client.disconnect()
        await asyncio.sleep(0.05)  # it closes its own connections a moment later


class Inbox:
    """Events of a client, in the order in which they came."""

    def __init__(self, client: socketio.AsyncClient, event: str, namespace: str = "/") -> None:
        self._arrived: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        client.on(event, self._take, namespace=namespace)

    def _take(self, *args: Any) -> None:
        self._arrived.put_nowait(args)

    async def next(self) -> tuple[Any, ...]:
        return await asyncio.wait_for(self._arrived.get(), 60)


async def test_it_connects_and_both_sides_know_it_by_the_same_id(
    site: Site, transports: list[str]
) -> None:
    async with connected(site, transports) as client:
        assert await client.call("where") == ["/", client.get_sid()]
        assert client.transport() == transports[-1]


async def test_its_auth_arrives(site: Site, transports: list[str]) -> None:
    auth = {"token": "t\u00f6k\U0001f511n", "list": [1, None]}
    async with connected(site, transports, auth=auth) as client:
        assert await client.call("auth") == auth


async def test_it_joins_several_namespaces(site: Site, transports: list[str]) -> None:
    async with connected(site, transports, namespaces=["/", "/board"]) as client:
        assert await client.call("where", namespace="/board") == [
            "/board",
            client.get_sid("/board"),
        ]
        assert await client.call("where") == ["/", client.get_sid("/")]


async def test_it_is_refused_with_a_reason(site: Site, transports: list[str]) -> None:
    client = socketio.AsyncClient(reconnection=False)
    refusals = Inbox(client, "connect_error", "/private")
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(site.url, transports=transports, namespaces=["/private"])
    refusal = {"message": "not you", "data": {"code": "E_TOKEN"}}
    assert await refusals.next() == (refusal,)
    await asyncio.sleep(0.05)


async def test_acks_go_both_ways(site: Site, transports: list[str]) -> None:
    async with connected(site, transports) as client:
        assert await client.call("ack", ("one", 2, None)) == ("one", 2, None)
        assert await client.call("ack", {"a": [1, {"b": "\u00fc"}]}) == {"a": [1, {"b": "\u00fc"}]}

        @client.on("question")
        async def answer(first: int, second: int) -> dict[str, int]:
            await asyncio.sleep(0.01)
            return {"sum": first + second}

        assert await client.call("ask-me", (2, 3)) == {"sum": 5}


async def test_binary_goes_both_ways(site: Site, transports: list[str]) -> None:
    async with connected(site, transports) as client:
        echoes = Inbox(client, "echo")
        await client.emit("echo", (BINARY, {"deep": [b"", "text", b"\x00\xff"]}))
        assert await echoes.next() == (BINARY, {"deep": [b"", "text", b"\x00\xff"]})
        assert await client.call("ack", [b"in an ack", 1]) == [b"in an ack", 1]
        client.on("question", lambda binary: binary + b"!")
        assert await client.call("ask-me", b"why") == b"why!"


async def test_events_keep_their_order(
    site: Site, transports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Left to itself, this client refuses the answer to a poll that has more than 16 packets.
    monkeypatch.setattr(Payload, "max_decode_packets", 1000)
    async with connected(site, transports) as client:
        echoes = Inbox(client, "echo")
        for number in range(200):
            await client.emit("echo", number if number % 3 else bytes([number]))
        got = [(await echoes.next())[0] for _ in range(200)]
        assert got == [number if number % 3 else bytes([number]) for number in range(200)]


async def test_it_lives_through_several_heartbeats(site: Site, transports: list[str]) -> None:
    async with connected(site, transports) as client:
        await asyncio.sleep(1)
        assert await client.call("ack", "alive") == "alive"


async def test_the_server_hears_when_it_leaves(site: Site, transports: list[str]) -> None:
    async with connected(site, transports) as client:
        left = client.get_sid()
    # Its own choice is to close the connection, or to leave the namespace before.
    assert await site.reason_of(left) in {"client namespace disconnect", "transport close"}


async def test_it_hears_when_the_server_disconnects_it(site: Site, transports: list[str]) -> None:
    async with connected(site, transports) as client:
        disconnects = Inbox(client, "disconnect")
        left = client.get_sid()
        await client.emit("leave-me")
        assert await disconnects.next() == (client.reason.SERVER_DISCONNECT,)
        assert await site.reason_of(left) == "server namespace disconnect"
