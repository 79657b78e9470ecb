"""Whatever sockets do, in any order: rooms stay true, and a return loses and repeats nothing."""

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
        st.integers(0, SOCKETS - 1), st.sampled_from(["join", "leave", "go", "come"]),
        st.sampled_from(ROOMS),
    ),
    max_size=40,
)  # fmt: skip


@given(room_steps)
def test_rooms_hold_who_is_in_them_and_none_is_empty(steps: list[tuple[int, str, str]]) -> None:
    asyncio.run(play_rooms(steps))


async def play_rooms(steps: list[tuple[int, str, str]]) -> None:
    io = SocketServer()
    model: dict[int, set[str] | None] = {}
    told: dict[str, set[str | None]] = {}

    def note(event: str, room: str, socket_id: str | None) -> None:
        match event:
            case "create":
                assert room not in told
                told[room] = set()
            case "join":
                told[room].add(socket_id)
            case "leave":
                told[room].remove(socket_id)
            case "delete":
                assert not told.pop(room)

    io.on_room_event(note)
    async with TestServer(io) as server:
        clients: dict[int, TestClient] = {}
        for number, step, room in steps:
            if step == "come" and number not in clients:
                clients[number] = await server.connect()
                model[number] = set()
            elif step == "go" and number in clients:
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
        assert io.main.rooms == expected == told


cut_steps = st.lists(
    st.one_of(
        st.sampled_from(["emit", "room", "other room", "volatile", "direct", "ask"]),
        st.sampled_from(["cut", "stall and cut", "return", "take over", "return unheard"]),
    ),
    max_size=40,
)


@given(cut_steps)
def test_a_client_that_is_cut_off_at_any_moment_gets_each_event_once_and_in_order(
    steps: list[str],
) -> None:
    asyncio.run(play_cuts(steps))


async def play_cuts(steps: list[str]) -> None:
    io = SocketServer(recovery=Recovery())
    sent: list[int] = []
    got: list[int] = []
    async with TestServer(io) as server:
        client = await server.connect()
        socket: Any = io.sockets[client.id]
        await socket.join("room")

        def collect() -> None:
            got.extend(args[0] for name, args in client.received if name == "x")
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
                case "ask":
                    socket.emit("z", "a string", ack=print)
                case "cut":
                    client.connection.cut()
                case "stall and cut":
                    # What is sent from here on never arrives.
                    client.connection.pause()
                case "return unheard":
                    # The server takes the client back, which never hears of it.
                    lost = await server.connect(recovering=client)
                    lost.connection.cut()
                    socket = io.sockets.get(client.id, socket)
                case _:
                    collect()
                    again = await server.connect(recovering=client)
                    assert again.id == client.id
                    client, socket = again, io.sockets[again.id]
        collect()
        client = await server.connect(recovering=client)
        collect()
    assert got == sent
