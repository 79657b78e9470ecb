"""Errors and log entries name the cause and the remedy."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from socketio_core import AckError, ConnectError, Socket, SocketServer
from socketio_core.testing import TestServer, settle
from tests.socketio_core.misuse.support import async_callback, connect_with

# -- attribute names of other libraries


@pytest.mark.parametrize(("name", "equivalent"), [
    ("enter_room", r"socket\.join\(room\)"), ("save_session", r"socket\.data"),
    ("get_session", r"socket\.data"), ("start_background_task", r"asyncio\.create_task"),
    ("attach", r"io\.mount\(app\)"), ("emitWithAck", r"emit_with_ack"), ("event", r"@io\.on"),
    ("fetchSockets", r"fetch_sockets"), ("register_namespace", r"register\(object\)"),
    ("instrument", r"instrument\(io, auth"), ("handle_request", r"io\.asgi_app"),
    ("attachApp", r"io\.mount"), ("in", r"io\.in_"), ("path", r"io\.engine\.options\.path"),
])  # fmt: skip
def test_server_names_the_equivalent_of_a_foreign_name(name: str, equivalent: str) -> None:
    io = SocketServer()
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'.*{equivalent}"):
        getattr(io, name)
    assert not hasattr(io, name)


def test_server_without_an_equivalent_raises_a_plain_error() -> None:
    with pytest.raises(AttributeError, match=r"SocketServer has no attribute 'nonsense'$"):
        SocketServer().nonsense  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("use", [
    lambda socket: socket.enter_room("a"), lambda socket: socket.namespace.enter_room("a"),
    lambda socket: socket.to("a").enter_room("a"),
])  # fmt: skip
async def test_error_of_a_handler_names_the_equivalent_of_a_foreign_name(
    use: Any, caplog: pytest.LogCaptureFixture
) -> None:
    io = SocketServer()
    io.on("x", use)
    server, client, _ = await connect_with(io)
    async with server:
        client.emit("x")
        await settle()
    assert "the equivalent of 'enter_room' here is socket.join(room)" in caplog.text


# -- log entries


async def test_first_event_without_a_handler_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)  # which has no limit of lines
    caplog.set_level(logging.DEBUG, "socketio_core")
    server, client, _ = await connect_with(SocketServer())
    async with server:
        for _ in range(3):
            client.emit("unknown")
        for number in range(200):
            client.emit(f"unknown {number}")
        await settle()
    lines = [each for each in caplog.messages if "has no handler" in each]
    assert lines[0] == "event 'unknown' of namespace / has no handler"
    assert len(lines) == 100


async def test_event_with_a_catch_all_listener_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    io = SocketServer()
    io.on_any(lambda *args: None)
    io.of("/a").on_unhandled(lambda *args: None)
    async with TestServer(io) as server:
        for namespace in ("/", "/a"):
            client = await server.connect(namespace)
            client.emit("unknown")
        await settle()
    assert "has no handler" not in caplog.text


async def test_refused_client_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    io = SocketServer()

    @io.use
    def refuse(socket: Socket) -> None:
        raise ConnectError("Unauthorized")

    async with TestServer(io) as server:
        with pytest.raises(ConnectError):
            await server.connect()
        with pytest.raises(ConnectError):
            await server.connect("/nothing")
    assert "was refused by namespace '/': Unauthorized" in caplog.text
    assert "was refused by namespace '/nothing': Invalid namespace" in caplog.text


async def test_missing_arguments_are_named_to_the_client() -> None:
    io = SocketServer()
    io.on("x", lambda socket, room, text: None)
    server, client, _ = await connect_with(io)
    async with server:
        assert (await client.emit_with_ack("x", 1))["error"] == "missing argument: 'text'"
        assert (await client.emit_with_ack("x"))["error"] == "missing arguments: 'room', 'text'"


async def test_error_ack_that_returns_an_awaitable_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io = SocketServer(error_ack=lambda error: async_callback())

    @io.on("x")
    def fail(socket: Socket) -> None:
        raise AckError("NO", "no")

    server, client, _ = await connect_with(io)
    async with server:
        client.connection.send_text('20["x"]')
        await settle()
    assert "error_ack must not return an awaitable" in caplog.text
