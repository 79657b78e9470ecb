"""Dynamic namespaces: patterns and functions that create a namespace on demand."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from socketio_core import ConnectError, Namespace, Socket, SocketServer
from socketio_core.testing import TestServer, settle


async def test_pattern_creates_a_namespace_for_a_matching_name() -> None:
    io = SocketServer()
    parent = io.of(re.compile(r"/dynamic-\d+"))
    seen: list[str] = []

    @parent.use
    def middleware(socket: Socket) -> None:
        seen.append("middleware")

    @parent.on("connection")
    def connected(socket: Socket) -> None:
        seen.append(socket.namespace.name)

    async with TestServer(io) as server:
        client = await server.connect("/dynamic-101")
        io.of("/dynamic-101").emit("hello", 1)
        assert client.received == [("hello", [1])]
    assert seen == ["middleware", "/dynamic-101"]


async def test_pattern_must_match_the_whole_name() -> None:
    io = SocketServer()
    io.of(re.compile(r"/org-\d+"))
    async with TestServer(io) as server:
        with pytest.raises(ConnectError, match="Invalid namespace"):
            await server.connect("/org-1/secret")


async def test_function_receives_name_and_auth() -> None:
    io = SocketServer()
    calls: list[tuple[str, Any]] = []

    def accept(name: str, auth: dict[str, Any]) -> bool:
        calls.append((name, auth))
        return bool(auth.get("ok"))

    io.of(accept)
    async with TestServer(io) as server:
        await server.connect("/dynamic-101", auth={"ok": True})
        with pytest.raises(ConnectError, match="Invalid namespace"):
            await server.connect("/other")
    assert calls == [("/dynamic-101", {"ok": True}), ("/other", {})]


async def test_async_function_is_awaited() -> None:
    io = SocketServer()

    async def accept(name: str, auth: dict[str, Any]) -> bool:
        await asyncio.sleep(0)
        return name == "/yes"

    io.of(accept)
    async with TestServer(io) as server:
        assert (await server.connect("/yes")).connected
        with pytest.raises(ConnectError, match="Invalid namespace"):
            await server.connect("/no")


async def test_parents_are_tried_in_order_until_one_accepts() -> None:
    io = SocketServer()
    calls: list[str] = []

    def make_function(label: str, decision: bool) -> Any:
        def accept(name: str, auth: dict[str, Any]) -> bool:
            calls.append(label)
            return decision

        return accept

    io.of(make_function("first", False))
    second = io.of(make_function("second", True))
    io.of(make_function("third", True))
    async with TestServer(io) as server:
        await server.connect("/x")
        assert list(second.children) == ["/x"]
    assert calls == ["first", "second"]


async def test_connect_is_refused_with_internal_error_when_the_function_raises(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = SocketServer()

    def accept(name: str, auth: dict[str, Any]) -> bool:
        raise KeyError("a secret")

    io.of(accept)
    async with TestServer(io) as server:
        with pytest.raises(ConnectError, match="internal error"):
            await server.connect("/x")
    assert "a secret" in caplog.text


async def test_simultaneous_connects_create_one_namespace() -> None:
    io = SocketServer()
    created: list[str] = []

    @io.on_new_namespace
    def record(namespace: Namespace) -> None:
        created.append(namespace.name)

    async def accept(name: str, auth: dict[str, Any]) -> bool:
        await asyncio.sleep(0)
        return True

    io.of(accept)
    async with TestServer(io) as server:
        await asyncio.gather(server.connect("/x"), server.connect("/x"))
        assert created == ["/x"]
        assert len(io.of("/x").sockets) == 2


async def test_parent_emit_reaches_all_children() -> None:
    io = SocketServer()
    parent = io.of(re.compile(r"/dynamic-\d+"))
    async with TestServer(io) as server:
        one, two = await server.connect("/dynamic-1"), await server.connect("/dynamic-2")
        other = await server.connect()
        parent.emit("hello", 1)
        assert one.received == two.received == [("hello", [1])]
        assert other.received == []


async def test_parent_emit_reaches_the_rooms_of_its_children() -> None:
    io = SocketServer()
    parent = io.of(re.compile(r"/dynamic-\d+"))

    @parent.on("connection")
    async def connected(socket: Socket) -> None:
        if socket.handshake.auth.get("join"):
            await socket.join("room")

    async with TestServer(io) as server:
        inside = await server.connect("/dynamic-1", auth={"join": True})
        outside = await server.connect("/dynamic-2")
        parent.to("room").emit("in")
        parent.in_(["room"]).emit("in")
        parent.except_("room").emit("out")
        parent.to("room").except_("room").emit("never")
        assert inside.received == [("in", []), ("in", [])]
        assert outside.received == [("out", [])]


def test_fetch_sockets_of_a_parent_is_rejected() -> None:
    parent = SocketServer().of(re.compile("/x"))
    with pytest.raises(RuntimeError, match="not supported on parent namespaces"):
        parent.fetch_sockets()


async def test_later_handler_applies_only_to_later_children() -> None:
    io = SocketServer()
    parent = io.of(re.compile(r"/d-\d"))
    seen: list[str] = []
    async with TestServer(io) as server:
        first = await server.connect("/d-1")
        parent.on("x", lambda socket: seen.append(socket.namespace.name))
        second = await server.connect("/d-2")
        first.emit("x")
        second.emit("x")
    assert seen == ["/d-2"]


async def test_handler_registered_once_runs_once_per_child() -> None:
    io = SocketServer()
    parent = io.of(re.compile(r"/d-\d"))
    seen: list[str] = []
    parent.once("x", lambda socket: seen.append(socket.namespace.name))
    async with TestServer(io) as server:
        first, second = await server.connect("/d-1"), await server.connect("/d-2")
        first.emit("x")
        first.emit("x")
        second.emit("x")
    assert seen == ["/d-1", "/d-2"]


async def test_child_created_by_name_belongs_to_its_parent() -> None:
    io = SocketServer()
    parent = io.of(re.compile(r"/d-\d"))
    child = io.of("/d-7")
    assert child._parent is parent
    assert parent.children == {"/d-7": child}


def test_equal_patterns_share_one_parent() -> None:
    io = SocketServer()
    assert io.of(re.compile("/x")) is io.of(re.compile("/x"))


async def test_empty_child_is_kept_by_default() -> None:
    io = SocketServer()
    io.of(re.compile(r"/d-\d"))
    async with TestServer(io) as server:
        (await server.connect("/d-1")).disconnect()
        assert "/d-1" in io.namespaces


async def test_empty_child_is_removed_and_created_again_when_cleanup_is_enabled() -> None:
    io = SocketServer(cleanup_empty_child_namespaces=True)
    parent = io.of(re.compile(r"/d-\d"))
    async with TestServer(io) as server:
        staying = await server.connect("/d-1")
        leaving = await server.connect("/d-1")
        leaving.disconnect()
        assert "/d-1" in io.namespaces
        staying.connection.cut()
        assert "/d-1" not in io.namespaces
        assert not parent.children
        assert (await server.connect("/d-1")).connected


async def test_child_is_removed_when_its_only_client_is_refused() -> None:
    io = SocketServer(cleanup_empty_child_namespaces=True)
    parent = io.of(re.compile(r"/d-\d"))

    @parent.use
    def refuse(socket: Socket) -> None:
        raise ConnectError("no")

    async with TestServer(io) as server:
        with pytest.raises(ConnectError, match="no"):
            await server.connect("/d-1")
        assert "/d-1" not in io.namespaces


async def test_child_is_kept_while_a_client_is_connecting() -> None:
    io = SocketServer(cleanup_empty_child_namespaces=True)
    parent = io.of(re.compile(r"/d-\d"))
    gate = asyncio.Event()

    @parent.use
    async def slow(socket: Socket) -> None:
        if socket.handshake.auth.get("slow"):
            await gate.wait()

    async with TestServer(io) as server:
        first = await server.connect("/d-1")
        joining = asyncio.ensure_future(server.connect("/d-1", auth={"slow": True}))
        await settle()
        first.disconnect()
        gate.set()
        second = await joining
        io.of("/d-1").emit("hello")
        assert second.received == [("hello", [])]


async def test_number_of_children_is_limited(caplog: pytest.LogCaptureFixture) -> None:
    io = SocketServer(max_child_namespaces=3)
    io.of(re.compile(r"/d-\d"))
    async with TestServer(io) as server:
        for number in range(3):
            (await server.connect(f"/d-{number}")).disconnect()
        with pytest.raises(ConnectError, match="Invalid namespace"):
            await server.connect("/d-4")
        assert "max_child_namespaces=3" in caplog.text
        assert "cleanup_empty_child_namespaces=True" in caplog.text
        assert (await server.connect("/d-0")).connected
