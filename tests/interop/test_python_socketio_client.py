"""The client of the Python package `python-socketio` against the server."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import socketio
from engineio.payload import Payload

from socketio_core import AckTimeoutError, ConnectError, Namespace, Socket, SocketServer

from .support import LoopThread, leftover_tasks_ended, serving

pytestmark = pytest.mark.interop

BINARY = bytes(range(256)) * 300
TRANSPORTS = {
    "polling": ["polling"],
    "websocket": ["websocket"],
    "upgrade": ["polling", "websocket"],
}


class RunningServer:
    """A running server that records the disconnects of its sockets."""

    def __init__(self, io: SocketServer) -> None:
        self.io = io
        self.url = ""
        self.thread: LoopThread
        self.disconnects: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()

    async def reason_of(self, socket_id: str | None) -> str:
        """Wait until a socket is disconnected and return the reason."""
        while True:
            disconnected_id, reason = await asyncio.to_thread(self.disconnects.get, timeout=300)
            if disconnected_id == socket_id:
                return reason


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    server = RunningServer(SocketServer(ping_interval=0.3, ping_timeout=60.0))
    for namespace in (server.io.of("/"), server.io.of("/board")):
        _add_handlers(namespace, server)

    @server.io.of("/private").use
    def check_token(socket: Socket) -> None:
        raise ConnectError("not allowed", {"code": "E_TOKEN"})

    with serving(server.io) as (server.url, server.thread):
        yield server


def _add_handlers(namespace: Namespace, server: RunningServer) -> None:
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

    @namespace.on("request-ack")
    async def request_ack(socket: Socket, *args: Any) -> Any:
        try:
            return await socket.timeout(120).emit_with_ack("request", *args)
        except AckTimeoutError:
            return "AckTimeoutError"

    @namespace.on("disconnect-me")
    def disconnect_me(socket: Socket) -> None:
        socket.disconnect()

    @namespace.on("disconnect")
    def disconnected(socket: Socket, reason: str) -> None:
        server.disconnects.put((socket.id, reason))


@pytest.fixture(params=list(TRANSPORTS))
def transports(request: pytest.FixtureRequest) -> list[str]:
    return TRANSPORTS[request.param]


@asynccontextmanager
async def connect_client(
    server: RunningServer, transports: list[str], **options: Any
) -> AsyncIterator[socketio.AsyncClient]:
    client = socketio.AsyncClient(reconnection=False)
    try:
        await client.connect(server.url, transports=transports, wait_timeout=300, **options)
        yield client
    finally:
        await client.disconnect()
        await leftover_tasks_ended()


class EventQueue:
    """A queue of the received events of a client."""

    def __init__(self, client: socketio.AsyncClient, event: str, namespace: str = "/") -> None:
        self._arrived: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        client.on(event, self._put, namespace=namespace)

    def _put(self, *args: Any) -> None:
        self._arrived.put_nowait(args)

    async def next(self) -> tuple[Any, ...]:
        return await asyncio.wait_for(self._arrived.get(), 300)


async def test_client_and_server_have_the_same_socket_id(
    server: RunningServer, transports: list[str]
) -> None:
    async with connect_client(server, transports) as client:
        assert await client.call("where") == ["/", client.get_sid()]
        assert client.transport() == transports[-1]


async def test_server_receives_the_auth_payload(
    server: RunningServer, transports: list[str]
) -> None:
    auth = {"token": "t\u00f6k\U0001f511n", "list": [1, None]}
    async with connect_client(server, transports, auth=auth) as client:
        assert await client.call("auth") == auth


async def test_client_connects_to_several_namespaces(
    server: RunningServer, transports: list[str]
) -> None:
    async with connect_client(server, transports, namespaces=["/", "/board"]) as client:
        assert await client.call("where", namespace="/board") == [
            "/board",
            client.get_sid("/board"),
        ]
        assert await client.call("where") == ["/", client.get_sid("/")]


async def test_refused_client_receives_message_and_data(
    server: RunningServer, transports: list[str]
) -> None:
    client = socketio.AsyncClient(reconnection=False)
    refusals = EventQueue(client, "connect_error", "/private")
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(
            server.url, transports=transports, namespaces=["/private"], wait_timeout=300
        )
    refusal = {"message": "not allowed", "data": {"code": "E_TOKEN"}}
    assert await refusals.next() == (refusal,)
    await leftover_tasks_ended()


async def test_acks_arrive_in_both_directions(server: RunningServer, transports: list[str]) -> None:
    async with connect_client(server, transports) as client:
        assert await client.call("ack", ("one", 2, None)) == ("one", 2, None)
        assert await client.call("ack", {"a": [1, {"b": "\u00fc"}]}) == {"a": [1, {"b": "\u00fc"}]}

        @client.on("request")
        async def answer(first: int, second: int) -> dict[str, int]:
            await asyncio.sleep(0.01)
            return {"sum": first + second}

        assert await client.call("request-ack", (2, 3)) == {"sum": 5}


async def test_binary_arrives_in_both_directions(
    server: RunningServer, transports: list[str]
) -> None:
    async with connect_client(server, transports) as client:
        echoes = EventQueue(client, "echo")
        await client.emit("echo", (BINARY, {"deep": [b"", "text", b"\x00\xff"]}))
        assert await echoes.next() == (BINARY, {"deep": [b"", "text", b"\x00\xff"]})
        assert await client.call("ack", [b"in an ack", 1]) == [b"in an ack", 1]
        client.on("request", lambda binary: binary + b"!")
        assert await client.call("request-ack", b"why") == b"why!"


async def test_events_arrive_in_order(server: RunningServer, transports: list[str]) -> None:
    # This client rejects a polling response with more than 16 packets.
    assert Payload.max_decode_packets == 16
    async with connect_client(server, transports) as client:
        echoes = EventQueue(client, "echo")
        for number in range(200):
            await client.emit("echo", number if number % 3 else bytes([number]))
        received = [(await echoes.next())[0] for _ in range(200)]
        assert received == [number if number % 3 else bytes([number]) for number in range(200)]


async def test_connection_stays_open_over_several_heartbeats(
    server: RunningServer, transports: list[str]
) -> None:
    async with connect_client(server, transports) as client:
        await asyncio.sleep(1)
        assert await client.call("ack", "alive") == "alive"


async def test_server_receives_the_disconnect_of_the_client(
    server: RunningServer, transports: list[str]
) -> None:
    async with connect_client(server, transports) as client:
        socket_id = client.get_sid()
    # The client may leave the namespace before it closes the connection.
    assert await server.reason_of(socket_id) in {"client namespace disconnect", "transport close"}


async def test_client_receives_the_disconnect_of_the_server(
    server: RunningServer, transports: list[str]
) -> None:
    async with connect_client(server, transports) as client:
        disconnects = EventQueue(client, "disconnect")
        socket_id = client.get_sid()
        await client.emit("disconnect-me")
        assert await disconnects.next() == (client.reason.SERVER_DISCONNECT,)
        assert await server.reason_of(socket_id) == "server namespace disconnect"


async def test_client_reconnects_after_a_post_that_is_too_large() -> None:
    # The client closes an HTTP session of its own only in disconnect().
    async with aiohttp.ClientSession() as http:
        client = socketio.AsyncClient(reconnection_delay=0.01, http_session=http)
        connects, reasons = EventQueue(client, "connect"), EventQueue(client, "disconnect")
        with serving(SocketServer(max_http_buffer_size=1000)) as (url, _):
            await client.connect(url, transports=["polling"], wait_timeout=300)
            await connects.next()
            await client.emit("x", "x" * 2000)
            assert await reasons.next() == (client.reason.TRANSPORT_ERROR,)
            await connects.next()
            await client.disconnect()
