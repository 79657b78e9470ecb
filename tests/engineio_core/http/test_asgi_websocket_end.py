"""The end of WebSockets of mounted ASGI applications: pings, close and shutdown."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from engineio_core.http.asgi_response import ClientLeftError
from engineio_core.http.asgi_websocket import MAX_QUEUE
from tests.engineio_core.http.asgi_websocket_support import (
    ACCEPT,
    Receive,
    Recorder,
    Send,
    connect,
    request,
    serve,
    settle,
    text,
)
from tests.helpers.wire import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    WEBSOCKET_HEADERS,
    client_frame,
    http_request,
    text_frame,
)

# -- pings


async def test_idle_client_that_answers_pings_stays_connected() -> None:
    app = Recorder()
    server = serve(app, ping_interval=25, ping_timeout=20)
    client = await connect(server)
    for _ in range(5):
        server.clock.advance(25)
        (ping,) = client.frames()
        assert (ping.opcode, ping.payload) == (PING, b"")
        client.feed(client_frame(PONG))
        server.clock.advance(20)
    assert not client.tcp.is_over


async def test_client_that_sends_messages_but_no_pong_stays_connected() -> None:
    app = Recorder()
    server = serve(app, ping_interval=25, ping_timeout=20)
    client = await connect(server)
    server.clock.advance(25)
    client.feed(text_frame("here"))
    server.clock.advance(20)
    server.clock.advance(25)
    client.feed(client_frame(TEXT, b"x" * 1000)[:500])  # a message that still arrives
    server.clock.advance(20)
    await settle(server)
    assert client.close_code is None
    assert len(app.messages) == 1


async def test_client_without_a_sign_of_life_is_a_disconnect_with_1006() -> None:
    app = Recorder()
    server = serve(app, ping_interval=25, ping_timeout=20)
    client = await connect(server)
    server.clock.advance(44.9)
    assert client.close_code is None
    server.clock.advance(0.2)
    await settle(server)
    assert client.close_code == 1011
    assert app.disconnect == (1006, "")
    server.clock.advance(server.engine.options.close_timeout + 0.1)
    assert client.tcp.is_aborted


async def test_client_is_not_disconnected_while_the_application_does_not_receive() -> None:
    app = Recorder()
    server = serve(app, ping_interval=25, ping_timeout=20)
    client = await connect(server)
    app.may_receive.clear()
    for _ in range(10):
        client.feed(client_frame(BINARY, bytes(MAX_QUEUE // 4)))
    await settle(server)
    server.clock.advance(200)
    assert not client.tcp.is_over


@pytest.mark.parametrize("end", ["client closes", "application closes", "connection lost"])
async def test_ended_websocket_has_no_timer(end: str) -> None:
    server = serve(Recorder())
    client = await connect(server)
    if end == "client closes":
        client.feed(client_frame(CLOSE))
    elif end == "connection lost":
        client.tcp.lose()
    else:
        await server.engine.shutdown()
        client.feed(client_frame(CLOSE))
    client.tcp.lose()
    await settle(server)
    assert server.clock.pending == 0


# -- the close


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", (1005, "")),
        ((1000).to_bytes(2, "big"), (1000, "")),
        ((1001).to_bytes(2, "big") + b"away", (1001, "away")),
        ((4321).to_bytes(2, "big") + "ade\u00fc".encode(), (4321, "ade\u00fc")),
    ],
)
async def test_close_of_the_client_is_a_disconnect(
    payload: bytes, expected: tuple[int, str]
) -> None:
    app = Recorder()
    server = serve(app)
    client = await connect(server)
    client.feed(text_frame("last") + client_frame(CLOSE, payload))
    await settle(server)
    assert app.messages[0]["text"] == "last"
    assert app.disconnect == expected
    client.frames()
    assert client.close_frame == payload
    assert client.tcp.is_over


@pytest.mark.parametrize("end", ["lost", "end of file"])
async def test_lost_connection_is_a_disconnect_with_1006(end: str) -> None:
    app = Recorder()
    server = serve(app)
    client = await connect(server)
    if end == "lost":
        client.tcp.lose(ConnectionResetError())
    else:
        client.tcp.finish()
    await settle(server)
    assert app.disconnect == (1006, "")


async def test_disconnect_is_returned_again() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        await receive()
        seen.extend([await receive(), await receive()])
        with pytest.raises(ClientLeftError):
            await send(text("late"))
        await send({"type": "websocket.close"})
        seen.append("end")

    server = serve(app)
    client = await connect(server)
    client.feed(client_frame(CLOSE))
    await settle(server)
    assert seen[0] == seen[1] == {"type": "websocket.disconnect", "code": 1005, "reason": ""}
    assert seen[2] == "end"


@pytest.mark.parametrize(
    ("message", "payload"),
    [
        ({}, (1000).to_bytes(2, "big")),
        ({"code": None, "reason": None}, (1000).to_bytes(2, "big")),
        ({"code": 3001, "reason": "moved"}, (3001).to_bytes(2, "big") + b"moved"),
        ({"code": 1005}, b""),
    ],
)
async def test_close_of_the_application_has_its_code_and_reason(
    message: dict[str, Any], payload: bytes
) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        await receive()
        await send(text("last"))
        await send({"type": "websocket.close", **message})
        with pytest.raises(RuntimeError, match="closed"):
            await send(text("late"))
        seen.append(await receive())

    server = serve(app)
    client = await connect(server)
    assert client.texts() == ["last"]
    assert client.close_frame == payload
    assert seen[0]["code"] == (message.get("code") or 1000)
    assert not client.tcp.is_over, "the client has not answered the close frame"
    client.feed(text_frame("dropped") + client_frame(CLOSE, payload))
    assert client.tcp.is_over


async def test_close_is_aborted_when_the_client_does_not_answer() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(ACCEPT)

    server = serve(app)
    client = await connect(server)
    assert client.close_code == 1000
    server.clock.advance(server.engine.options.close_timeout + 0.1)
    assert client.tcp.is_aborted


async def test_application_that_raises_after_accept_closes_with_1011(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        raise LookupError("broken")

    client = await connect(serve(app))
    assert client.close_code == 1011
    assert "broken" in caplog.text


@pytest.mark.parametrize("is_bug", [False, True])
async def test_only_errors_of_the_application_are_logged_after_a_disconnect(
    is_bug: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_text(await websocket.receive_text())
        finally:
            if is_bug:
                raise LookupError("broken")

    server = serve(Starlette(routes=[WebSocketRoute("/ws", echo)]))
    client = await connect(server)
    client.feed(client_frame(CLOSE))
    await settle(server)
    errors = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert bool(errors) is is_bug


# -- shutdown


async def test_handshakes_are_refused_with_503_when_the_limit_is_reached(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    server = serve(Recorder(), max_mounted_websockets=2)
    first = await connect(server)
    await connect(server)
    refused = await request(server)
    response = refused.response()
    assert response.status == 503
    assert ("Retry-After", "5") in response.headers
    assert "max_mounted_websockets is reached" in caplog.text
    first.frame(CLOSE, b"\x03\xe8")
    await settle(server)
    await connect(server)


async def test_shutdown_closes_with_1012_and_awaits_the_application() -> None:
    app = Recorder()
    ended: list[str] = []

    async def cleaning(scope: Any, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        await asyncio.sleep(0)
        ended.append("ended")

    server = serve(cleaning)
    client = await connect(server)
    await server.engine.shutdown()
    assert client.close_code == 1012
    assert app.disconnect == (1012, "")
    assert ended == ["ended"]


async def test_shutdown_refuses_pending_and_new_handshakes_with_503() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        seen.append((await receive())["code"])

    server = serve(app)
    pending, late = await request(server), server.connect()
    server.engine._asgi.close_websockets()  # type: ignore[union-attr]
    late.feed(http_request("GET", "/ws", WEBSOCKET_HEADERS))
    await settle(server)
    assert (pending.response().status, late.response().status) == (503, 503)
    assert seen == [1012]
    await server.engine.shutdown()


async def test_shutdown_cancels_an_application_that_does_not_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[str] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    monkeypatch.setattr("engineio_core.http.asgi_host.SHUTDOWN_TIMEOUT", 0.0)
    server = serve(app)
    client = await connect(server)
    await server.engine.shutdown()
    assert ended == ["cancelled"]
    assert client.close_code == 1012
