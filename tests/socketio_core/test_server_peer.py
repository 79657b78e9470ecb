"""Server-side events: `server_side_emit` and the handlers of server events."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from socketio_core import SocketServer
from socketio_core.testing import TestServer, settle


async def test_server_side_emit_of_a_single_server_reaches_no_server() -> None:
    io = SocketServer()
    seen: list[Any] = []
    io.on_server_event("x", seen.append)
    async with TestServer(io):
        await io.server_side_emit("x", 1)
        await io.of("/a").server_side_emit("x", 1)
        assert await io.server_side_emit_with_ack("x", 1) == []
        assert await io.of("/a").timeout(1).server_side_emit_with_ack("x", 1) == []
    assert seen == []


@pytest.mark.parametrize("name", ["connect", "connection", "new_namespace"])
async def test_server_side_emit_of_a_reserved_event_is_rejected(name: str) -> None:
    io = SocketServer()
    with pytest.raises(ValueError, match="reserved"):
        io.server_side_emit(name)
    with pytest.raises(ValueError, match="reserved"):
        await io.server_side_emit_with_ack(name)


async def test_server_event_reaches_its_handlers() -> None:
    io = SocketServer()
    seen: list[Any] = []
    responses: list[Any] = []

    @io.of("/a").on_server_event("sum")
    async def add(first: int, second: int) -> int:
        await asyncio.sleep(0)
        return first + second

    io.of("/a").on_server_event("sum", lambda *args: seen.append(args))
    async with TestServer(io):
        io.of("/a")._receive_server_event(["sum", 1, 2], responses.append)
        io.of("/a")._receive_server_event(["sum", 3, 4])
        io.of("/a")._receive_server_event(["unknown"], responses.append)
        await settle()
    assert seen == [(1, 2), (3, 4)]
    assert responses == [None, 3]


async def test_error_in_a_server_event_is_reported_and_acked() -> None:
    io = SocketServer()
    errors: list[str] = []
    responses: list[Any] = []
    io.on_error(lambda error, socket, event: errors.append(event))
    io.on_server_event("x", lambda: 1 / 0)
    async with TestServer(io):
        io.main._receive_server_event(["x"], responses.append)
    assert errors == ["x"]
    assert responses[0]["code"] == "HANDLER_ERROR"
