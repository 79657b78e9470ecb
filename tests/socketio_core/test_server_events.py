"""Declared events: the decorator, `declare`, and `emit` with a declared event."""

from __future__ import annotations

import types

import pytest

from socketio_core import (
    InProcessCluster,
    MsgpackParser,
    ServerEvent,
    Socket,
    SocketServer,
    server_event,
)
from socketio_core.testing import TestServer, settle


@server_event("moved")
def moved(task: int, column: str = "done") -> None:
    """Report a moved task."""


@server_event("confirm")
def confirm(question: str) -> bool:
    raise NotImplementedError


class Events:
    moved = moved
    confirm = confirm


@pytest.mark.parametrize("parser", [None, MsgpackParser()], ids=["json", "msgpack"])
async def test_declared_event_is_sent_under_its_name(parser: MsgpackParser | None) -> None:
    io = SocketServer() if parser is None else SocketServer(parser=parser)

    @io.on("connection")
    async def connected(socket: Socket) -> None:
        socket.emit(moved, 1)
        io.emit(moved, 2, "open")
        io.to(socket.id).emit(moved, 3)
        socket.timeout(5).emit(moved, 4)
        socket.data["answer"] = await socket.emit_with_ack(confirm, "sure?")

    async with TestServer(io) as server:
        client = await server.connect()
        client.auto_ack = lambda name, args: (name, args)
        assert list(client.events("moved")) == [[1], [2, "open"], [3], [4]]
        await server.advance(0)
        (socket,) = io.sockets.values()
        assert await client.receive_event("confirm") == ["sure?"]
        client.answer(client.unanswered[0][2], True)
        await server.advance(0)
        assert socket.data["answer"] is True


async def test_declared_event_reaches_other_servers_also_with_bytes() -> None:
    cluster = InProcessCluster()
    first, second = (SocketServer(adapter=cluster.join()) for _ in range(2))
    async with TestServer(first), TestServer(second) as server:
        client = await server.connect()
        first.emit(moved, 1)
        first.emit(moved, 2, b"x")  # type: ignore[arg-type]
        await settle()
        assert list(client.events("moved")) == [[1], [2, b"x"]]


def test_declared_event_shows_its_name() -> None:
    assert moved.name == str(moved) == "moved"
    assert repr(moved) == "<ServerEvent 'moved'>"
    assert isinstance(moved, ServerEvent)


@pytest.mark.parametrize("place", [Events, types.SimpleNamespace])
def test_declare_takes_events_and_the_classes_and_modules_that_contain_events(place: type) -> None:
    io = SocketServer()
    if place is Events:
        io.declare(Events)
    else:
        module = types.ModuleType("events")
        vars(module).update(moved=moved, confirm=confirm, other=1)
        io.declare(module)
    io.declare(moved)  # again: no second event of the name
    assert set(io._registry().declared) == {"moved", "confirm"}


def test_declare_refuses_a_second_event_of_a_name() -> None:
    @server_event("moved")
    def other() -> None: ...

    io = SocketServer()
    io.declare(moved)
    with pytest.raises(ValueError, match="'moved' is already declared"):
        io.declare(other)


@pytest.mark.parametrize("value", ["moved", lambda: None, 7])
def test_declare_refuses_other_values_than_events(value: object) -> None:
    with pytest.raises(TypeError, match="declare an event with @server_event"):
        SocketServer().declare(value)  # type: ignore[arg-type]


def test_declare_refuses_a_class_without_events() -> None:
    with pytest.raises(TypeError, match="found no event in int"):
        SocketServer().declare(int)


def test_server_event_needs_a_name() -> None:
    with pytest.raises(TypeError, match=r'write @server_event\("moved"\)|needs the name'):
        server_event(lambda: None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="as a string, got 7"):
        server_event(7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'disconnect' is a reserved event name"):
        server_event("disconnect")


def test_server_event_refuses_keyword_parameters() -> None:
    with pytest.raises(TypeError, match="'column': events have positional arguments only"):

        @server_event("moved")
        def wrong(task: int, *, column: str) -> None: ...
