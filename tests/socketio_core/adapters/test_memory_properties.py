"""Random sequences: room membership stays correct, and recovery delivers each event once."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from socketio_core import Recovery, SocketServer
from socketio_core.testing import TestClient, TestServer

ROOMS = ("a", "b", "c")
SOCKETS = 3

room_steps = st.lists(
    st.tuples(
        st.integers(0, SOCKETS - 1), st.sampled_from(["join", "leave", "disconnect", "connect"]),
        st.sampled_from(ROOMS),
    ),
    max_size=40,
)  # fmt: skip


@given(room_steps)
def test_rooms_contain_exactly_their_members_and_are_never_empty(
    steps: list[tuple[int, str, str]],
) -> None:
    asyncio.run(run_room_steps(steps))


async def run_room_steps(steps: list[tuple[int, str, str]]) -> None:
    io = SocketServer()
    model: dict[int, set[str] | None] = {}
    reported: dict[str, set[str | None]] = {}

    def record(event: str, room: str, socket_id: str | None) -> None:
        match event:
            case "create":
                assert room not in reported
                reported[room] = set()
            case "join":
                reported[room].add(socket_id)
            case "leave":
                reported[room].remove(socket_id)
            case "delete":
                assert not reported.pop(room)

    io.on_room_event(record)
    async with TestServer(io) as server:
        clients: dict[int, TestClient] = {}
        for number, step, room in steps:
            if step == "connect" and number not in clients:
                clients[number] = await server.connect()
                model[number] = set()
            elif step == "disconnect" and number in clients:
                clients.pop(number).disconnect()
                model.pop(number)
            elif number in clients:
                socket = io.sockets[clients[number].id]
                rooms = model[number]
                assert rooms is not None
                if step == "join":
                    await socket.join(room)
                    rooms.add(room)
                elif step == "leave":
                    await socket.leave(room)
                    rooms.discard(room)
        expected: dict[str, set[str]] = {client.id: {client.id} for client in clients.values()}
        for number, rooms in model.items():
            for room in rooms or ():
                expected.setdefault(room, set()).add(clients[number].id)
        assert io.main.rooms == expected == reported


recovery_steps = st.lists(
    st.one_of(
        st.sampled_from(["emit", "room", "other room", "volatile", "direct", "with ack"]),
        st.sampled_from(["cut", "stall and cut", "return", "take over", "lose the response"]),
    ),
    max_size=40,
)


@given(recovery_steps)
def test_recovered_client_receives_each_event_once_and_in_order(
    steps: list[str],
) -> None:
    asyncio.run(run_recovery_steps(steps))


async def run_recovery_steps(steps: list[str]) -> None:
    io = SocketServer(recovery=Recovery())
    sent: list[int] = []
    received: list[int] = []
    async with TestServer(io) as server:
        client = await server.connect()
        socket: Any = io.sockets[client.id]
        await socket.join("room")

        def collect() -> None:
            received.extend(args[0] for name, args in client.received if name == "x")
            client.received.clear()

        for number, step in enumerate(steps):
            match step:
                case "emit":
                    io.emit("x", number)
                    sent.append(number)
                case "room":
                    io.to("room").emit("x", number)
                    sent.append(number)
                case "direct":
                    socket.emit("x", number)
                    sent.append(number)
                case "other room":
                    io.to("other").emit("x", number)
                case "volatile":
                    io.volatile.emit("y", "a string")
                case "with ack":
                    socket.emit("z", "a string", ack=print)
                case "cut":
                    client.connection.cut()
                case "stall and cut":
                    # Packets sent from here on never arrive.
                    client.connection.pause()
                case "lose the response":
                    # The server restores the session, but the client does not receive the response.
                    lost = await server.connect(recovering=client)
                    lost.connection.cut()
                    socket = io.sockets.get(client.id, socket)
                case _:
                    collect()
                    recovered = await server.connect(recovering=client)
                    assert recovered.id == client.id
                    client, socket = recovered, io.sockets[recovered.id]
        collect()
        client = await server.connect(recovering=client)
        collect()
    assert received == sent
