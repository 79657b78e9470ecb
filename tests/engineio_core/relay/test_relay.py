"""Sessions that gateways hold: the program in the origin sees ordinary clients."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from engineio_core import HttpRequest, HttpResponse
from engineio_core.options import EngineOptions
from engineio_core.relay import gateway as gateway_module
from engineio_core.relay import origin as origin_module
from engineio_core.relay.frames import Kind
from socketio_core import Recovery, Socket, SocketServer
from tests.engineio_core.relay.support import Client, relayed, until
from tests.helpers.waiting import PATIENT
from tests.helpers.wire import client_frame


async def fetch(port: int, query: str, body: bytes | None = None) -> tuple[int, str]:
    """Send one polling request; return status and body."""
    url = f"http://127.0.0.1:{port}/socket.io/?EIO=4&transport=polling{query}"

    def send() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(url, body, timeout=300) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    return await asyncio.to_thread(send)


async def test_event_and_ack_pass_through_the_gateway(tmp_path: Path) -> None:
    io = SocketServer()

    @io.on("add")
    def add(socket: Socket, one: int, other: int) -> int:
        return one + other

    async with relayed(io, tmp_path) as server:
        client = await Client.connect(server.ports[0])
        assert await client.call("add", 1, 2) == [3]
        assert next(iter(io.sockets.values())).handshake.address == "127.0.0.1"


async def test_polling_client_is_served_by_the_gateway(tmp_path: Path) -> None:
    io = SocketServer()

    @io.on("connection")
    def connected(socket: Socket) -> None:
        socket.emit("welcome", "é")

    async with relayed(io, tmp_path) as server:
        _, opening = await fetch(server.ports[1], "")
        sid = json.loads(opening[1:])["sid"]
        assert await fetch(server.ports[1], f"&sid={sid}", b"40") == (200, "ok")
        _, body = await fetch(server.ports[1], f"&sid={sid}")
        assert body.startswith("40")
        if "welcome" not in body:
            _, body = await fetch(server.ports[1], f"&sid={sid}")
        assert '42["welcome","é"]' in body


async def test_upgrade_changes_the_transport_in_the_origin(tmp_path: Path) -> None:
    io = SocketServer()
    async with relayed(io, tmp_path, gateways=1) as server:
        _, opening = await fetch(server.ports[0], "")
        sid = json.loads(opening[1:])["sid"]
        await until(lambda: sid in io.engine.sessions)
        session = io.engine.sessions[sid]
        assert session.transport.name == "polling"
        url = f"ws://127.0.0.1:{server.ports[0]}/socket.io/?EIO=4&transport=websocket&sid={sid}"
        async with connect(url, **PATIENT) as websocket:
            await websocket.send("2probe")
            assert await websocket.recv() == "3probe"
            await websocket.send("5")
            await until(lambda: session.transport.name == "websocket")
        assert io.engine._counts.upgrades == 1
        assert io.engine._counts.handshakes == {("polling", "accepted"): 1}


async def test_broadcast_crosses_each_link_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    io = SocketServer()
    async with relayed(io, tmp_path) as server:
        clients = [await Client.connect(port) for port in server.ports for _ in range(3)]
        sent: list[int] = []
        for gateway in server.gateways:
            monkeypatch.setattr(
                gateway,
                "link_frame",
                lambda link, kind, body, receive=gateway.link_frame: (
                    sent.append(kind),
                    receive(link, kind, body),
                ),
            )
        io.emit("news", 1)
        assert [await client.event() for client in clients] == [["news", 1]] * 6
        assert sent.count(Kind.SEND) == 2


async def test_binary_messages_pass_in_both_directions(tmp_path: Path) -> None:
    io = SocketServer()

    @io.on("echo")
    def echo(socket: Socket, data: bytes) -> None:
        socket.emit("echo", data[::-1])

    async with relayed(io, tmp_path) as server:
        client = await Client.connect(server.ports[0])
        await client.connection.send('451-["echo",{"_placeholder":true,"num":0}]')
        await client.connection.send(b"\x00\x01\xff")
        assert await client.receive() == '451-["echo",{"_placeholder":true,"num":0}]'
        assert await client.connection.recv() == b"\xff\x01\x00"


async def test_middleware_of_the_origin_decides_about_handshakes(tmp_path: Path) -> None:
    io = SocketServer()
    seen: list[HttpRequest] = []

    def screen(request: HttpRequest) -> HttpResponse | None:
        seen.append(request)
        if "refuse" in request.query:
            return HttpResponse(429, b"later", [("Retry-After", "3")])
        if "fail" in request.query:
            raise ValueError("a fault of the program")
        request.state["user"] = "a"
        request.response_headers["x-seen"] = "1"
        return None

    io.engine.use(screen)
    async with relayed(io, tmp_path) as server:
        assert await fetch(server.ports[0], "&refuse=1") == (429, "later")
        status, body = await fetch(server.ports[0], "&fail=1")
        assert (status, json.loads(body)) == (400, {"code": 3, "message": "Bad request"})
        assert not io.engine.sessions
        client = await Client.connect(server.ports[0])
        socket = io.sockets[client.id]
        assert socket.session.request is seen[-1]
        assert socket.session.request.state["user"] == "a"
        assert client.connection.response is not None
        assert client.connection.response.headers["x-seen"] == "1"


async def test_refusal_of_the_gateway_calls_the_hooks_of_the_origin(tmp_path: Path) -> None:
    io = SocketServer()
    refusals: list[tuple[int, str]] = []
    io.engine.on(
        "connection_error", lambda refusal: refusals.append((refusal.code, refusal.message))
    )
    async with relayed(io, tmp_path) as server:
        assert (await fetch(server.ports[0], "&sid=unknown"))[0] == 400
        await until(lambda: refusals)
    assert refusals == [(1, "Session ID unknown")]
    assert io.engine._counts.handshakes == {("polling", "unknown_sid"): 1}


async def test_handshake_is_refused_when_the_origin_is_full(tmp_path: Path) -> None:
    io = SocketServer(max_sessions=1)
    async with relayed(io, tmp_path) as server:
        await Client.connect(server.ports[0])
        assert (await fetch(server.ports[1], ""))[0] == 503
        assert io.engine._counts.handshakes["polling", "full"] == 1


async def test_end_of_a_session_crosses_the_link_in_both_directions(tmp_path: Path) -> None:
    io = SocketServer()
    reasons: list[str] = []
    io.on("disconnect", lambda socket, reason: reasons.append(str(reason)))
    io.on("leave", lambda socket: socket.disconnect(close=True))
    async with relayed(io, tmp_path) as server:
        first = await Client.connect(server.ports[0])
        second = await Client.connect(server.ports[1])
        await first.connection.close()
        await until(lambda: reasons == ["transport close"])
        await second.connection.send('42["leave"]')
        await second.connection.wait_closed()
        assert reasons == ["transport close", "server namespace disconnect"]
        await until(lambda: not any(gateway._held for gateway in server.gateways))
        assert not io.engine.sessions


async def test_client_recovers_over_another_gateway_when_its_gateway_dies(tmp_path: Path) -> None:
    io = SocketServer(recovery=Recovery(max_disconnection_duration=60))
    async with relayed(io, tmp_path) as server:
        client = await Client.connect(server.ports[0])
        io.emit("news", 1)
        offset = (await client.event())[-1]
        link = server.gateways[0]._link
        assert link is not None
        assert link._tcp is not None
        link._tcp.abort()
        await client.connection.wait_closed()
        await until(lambda: not io.sockets)
        io.emit("news", 2)
        await server.linked(2)
        again = await Client.connect(server.ports[1], {"pid": client.pid, "offset": offset})
        assert again.id == client.id
        assert [event[:2] for event in again.missed] == [["news", 2]]


async def test_gateway_answers_503_until_the_origin_is_back(tmp_path: Path) -> None:
    io = SocketServer()
    async with relayed(io, tmp_path, gateways=1) as server:
        client = await Client.connect(server.ports[0])
        await server.stop_origin()
        await client.connection.wait_closed()
        assert (await fetch(server.ports[0], ""))[0] == 503
        await server.start_origin()
        await server.linked(1)
        await until(lambda: server.gateways[0].is_linked)
        assert await Client.connect(server.ports[0])


async def test_gateway_answers_503_when_the_origin_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine of the gateway would answer 400 at its `handshake_timeout`."""
    assert EngineOptions().handshake_timeout > gateway_module.ADMISSION_LIMIT
    monkeypatch.setattr(gateway_module, "ADMISSION_LIMIT", 0.05)
    io = SocketServer()

    async def hang(request: HttpRequest) -> None:
        await asyncio.Event().wait()

    io.engine.use(hang)
    async with relayed(io, tmp_path, gateways=1, handshake_timeout=300.0) as server:
        assert (await fetch(server.ports[0], ""))[0] == 503


async def test_packets_wait_in_the_origin_while_a_client_does_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin_module, "WINDOW", 200_000)
    io = SocketServer()
    async with relayed(io, tmp_path, gateways=1) as server:
        client = await Client.connect(server.ports[0], max_queue=1)
        socket = io.sockets[client.id]
        for number in range(3000):
            socket.emit("row", number, "x" * 3000)
        await until(lambda: server.gateways[0]._held)
        await asyncio.sleep(0.1)
        assert socket.session.buffered_amount > 1_000_000
        assert socket.session.outbox
        received: list[Any] = [(await client.event())[1] for _ in range(3000)]
        assert received == list(range(3000))
        await until(lambda: not socket.session.outbox)


async def test_volatile_event_is_dropped_when_the_client_is_far_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin_module, "IDLE_LIMIT", 10_000)
    io = SocketServer()
    async with relayed(io, tmp_path, gateways=1) as server:
        client = await Client.connect(server.ports[0])
        socket = io.sockets[client.id]
        socket.emit("long", "x" * 20_000)
        await asyncio.sleep(0)
        socket.volatile.emit("position", 1)
        socket.emit("end")
        assert [(await client.event())[0] for _ in range(2)] == ["long", "end"]


async def test_invalid_text_of_one_client_ends_its_session_only(tmp_path: Path) -> None:
    io = SocketServer()
    async with relayed(io, tmp_path, gateways=1) as server:
        first, second = [await Client.connect(server.ports[0]) for _ in range(2)]
        transport = first.connection.transport
        transport.write(client_frame(1, b'42["a","\xff"]'))
        await first.connection.wait_closed()
        await until(lambda: len(io.sockets) == 1)
        io.emit("still", 1)
        assert await second.event() == ["still", 1]


async def test_session_outlives_the_ping_interval_of_the_origin(tmp_path: Path) -> None:
    io = SocketServer(ping_interval=0.05, ping_timeout=0.05)
    async with relayed(io, tmp_path, gateways=1) as server:
        client = await Client.connect(server.ports[0])
        await asyncio.sleep(0.5)  # ten intervals
        assert client.id in io.sockets


async def test_client_of_revision_3_passes_through_the_gateway(tmp_path: Path) -> None:
    io = SocketServer(allow_eio3=True)

    @io.on("echo")
    def echo(socket: Socket, value: Any) -> Any:
        return value

    async with relayed(io, tmp_path, gateways=1, allow_eio3=True) as server:
        url = f"ws://127.0.0.1:{server.ports[0]}/socket.io/?EIO=3&transport=websocket"
        async with connect(url, **PATIENT) as websocket:
            sid = json.loads((await websocket.recv())[1:])["sid"]
            assert await websocket.recv() == "40"
            assert io.sockets[sid].session.protocol == 3
            await websocket.send("2")  # the gateway answers
            assert await websocket.recv() == "3"
            await websocket.send('451-7["echo",{"_placeholder":true,"num":0}]')
            await websocket.send(b"\x04\x01")
            assert await websocket.recv() == '461-7[{"_placeholder":true,"num":0}]'
            assert await websocket.recv() == b"\x04\x01"
        await until(lambda: not io.sockets)


async def test_gateway_that_leaves_lets_handlers_end_and_keeps_other_gateways(
    tmp_path: Path,
) -> None:
    io = SocketServer()
    started, release = asyncio.Event(), asyncio.Event()
    reasons: list[str] = []

    @io.on("save")
    async def save(socket: Socket) -> str:
        started.set()
        await release.wait()
        return "saved"

    @io.on("disconnect")
    def disconnected(socket: Socket, reason: str) -> None:
        reasons.append(reason)

    async with relayed(io, tmp_path) as server:
        leaver, other = [await Client.connect(port) for port in server.ports]
        saving = asyncio.ensure_future(leaver.call("save"))
        await started.wait()
        server.engines[0].begin_drain()
        leaving = asyncio.ensure_future(server.gateways[0].leave(0.05))
        assert (await fetch(server.ports[0], ""))[0] == 503
        release.set()
        assert await saving == ["saved"]
        await leaving
        await leaver.connection.wait_closed()
        assert reasons == ["server shutting down"]
        release.set()
        assert await other.call("save") == ["saved"]
        assert not io.is_draining


async def test_gateway_leaves_at_once_without_a_link(tmp_path: Path) -> None:
    async with relayed(SocketServer(), tmp_path) as server:
        await server.stop_origin()
        await until(lambda: not server.gateways[0].is_linked)
        await server.gateways[0].leave(300)
