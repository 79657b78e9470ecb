"""WebSockets of mounted ASGI applications: handshake, refusals, messages and limits."""

from __future__ import annotations

import asyncio
import logging
import zlib
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from engineio_core import PerMessageDeflate
from engineio_core.http.asgi_messages import MESSAGE_COST
from engineio_core.http.asgi_response import ClientLeftError
from engineio_core.http.asgi_websocket import ACCEPT_TIMEOUT, MAX_QUEUE
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
from tests.helpers.client import Server
from tests.helpers.wire import (
    BINARY,
    CLOSE,
    CONT,
    DELIVERIES,
    PING,
    PONG,
    TEXT,
    WEBSOCKET_HEADERS,
    Delivery,
    client_frame,
    http_request,
    text_frame,
)

# -- the handshake


async def test_scope_describes_the_handshake() -> None:
    app = Recorder()
    server = serve(app)
    headers = {"Sec-WebSocket-Protocol": "chat, v2.chat", "Origin": "https://other.example"}
    await request(server, headers, target="/a%20b?x=1")
    (scope,) = app.scopes
    assert (scope["type"], scope["scheme"], scope["http_version"]) == ("websocket", "ws", "1.1")
    assert (scope["path"], scope["raw_path"]) == ("/a b", b"/a%20b")
    assert scope["query_string"] == b"x=1"
    assert scope["subprotocols"] == ["chat", "v2.chat"]
    assert scope["client"] == ("192.0.2.7", 50000)
    assert (b"origin", b"https://other.example") in scope["headers"]
    assert scope["extensions"] == {"websocket.http.response": {}}
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.4"}
    assert "method" not in scope


async def test_handshake_is_refused_without_a_mounted_application() -> None:
    connection = await request(Server())
    assert connection.response().status == 404


async def test_accept_sends_the_subprotocol_and_the_headers() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        headers = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
        await send({**ACCEPT, "subprotocol": "v2.chat", "headers": headers})
        await receive()
        await receive()

    headers = {"Sec-WebSocket-Protocol": "chat, v2.chat"}
    response = (await request(serve(app), headers)).response()
    assert response.status == 101
    assert response.header("Sec-WebSocket-Protocol") == "v2.chat"
    assert response.header("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert [value for name, value in response.headers if name == "set-cookie"] == ["a=1", "b=2"]


async def test_accept_selects_no_subprotocol_by_default() -> None:
    headers = {"Sec-WebSocket-Protocol": "chat"}
    response = (await request(serve(Recorder()), headers)).response()
    assert (response.status, response.header("Sec-WebSocket-Protocol")) == (101, None)


@pytest.mark.parametrize(
    "message",
    [
        {"subprotocol": "other"},
        {"headers": [(b"sec-websocket-protocol", b"chat")]},
        {"headers": [(b"Connection", b"close")]},
        {"headers": [(b"x-a", b"1\r\nx-b: 2")]},
        {"headers": [(b"x a", b"1")]},
    ],
)
async def test_invalid_accept_raises_in_the_application(message: dict[str, Any]) -> None:
    errors: list[Exception] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        try:
            await send({**ACCEPT, **message})
        except ValueError as error:
            errors.append(error)
        await send(ACCEPT)
        await receive()
        await receive()

    connection = await request(serve(app), {"Sec-WebSocket-Protocol": "chat"})
    assert len(errors) == 1
    assert connection.response().status == 101


async def test_invalid_handshake_gets_400_and_does_not_reach_the_application() -> None:
    app = Recorder()
    connection = await request(serve(app), {"Sec-WebSocket-Version": "12"})
    response = connection.response()
    assert (response.status, response.header("Sec-WebSocket-Version")) == (400, "13")
    assert not app.scopes


async def test_handshake_with_a_body_gets_400() -> None:
    app = Recorder()
    server = serve(app)
    connection = server.connect()
    connection.feed(http_request("GET", "/ws", WEBSOCKET_HEADERS, b"body"))
    await settle(server)
    assert connection.response().status == 400
    assert not app.scopes


async def test_upgrade_of_another_method_is_an_http_request() -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    server = serve(app)
    connection = server.connect()
    connection.feed(http_request("POST", "/ws", WEBSOCKET_HEADERS, b"body"))
    await settle(server)
    assert connection.response().status == 204
    assert scopes[0]["type"] == "http"


async def test_cors_and_middlewares_of_the_engine_do_not_apply() -> None:
    server = serve(Recorder())
    server.engine.use(lambda request: pytest.fail("the middleware was called"))
    connection = await request(server, {"Origin": "https://evil.example"})
    assert connection.response().status == 101


# -- refusals


async def test_close_before_accept_is_403() -> None:
    messages: list[Any] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 4000})
        messages.append(await receive())
        messages.append(await receive())
        with pytest.raises(RuntimeError, match="out of order"):
            await send(ACCEPT)
        messages.append("end")

    connection = await request(serve(app))
    assert connection.response().status == 403
    assert connection.tcp.is_over
    assert messages[1:] == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}, "end"]


async def test_denial_response_is_sent_in_pieces() -> None:
    messages: list[Any] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        kind = "websocket.http.response"
        headers = [(b"www-authenticate", b"Bearer")]
        await send({"type": f"{kind}.start", "status": 401, "headers": headers})
        await send({"type": f"{kind}.body", "body": b"sign ", "more_body": True})
        await send({"type": f"{kind}.body", "body": b"in"})
        await receive()
        messages.append(await receive())

    connection = await request(serve(app))
    response = connection.response()
    assert (response.status, response.body) == (401, b"sign in")
    assert response.header("WWW-Authenticate") == "Bearer"
    assert connection.tcp.is_over
    assert messages == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


async def test_starlette_exception_is_a_denial_response() -> None:
    async def refuse(websocket: WebSocket) -> None:
        raise HTTPException(429, "slow down", {"retry-after": "7"})

    app = Starlette(routes=[WebSocketRoute("/ws", refuse)])
    response = (await request(serve(app))).response()
    assert (response.status, response.text) == (429, "slow down")
    assert response.header("Retry-After") == "7"


async def test_application_that_returns_without_an_answer_refuses_with_403() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        return

    assert (await request(serve(app))).response().status == 403


async def test_application_without_websockets_refuses_in_one_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"

    with caplog.at_level(logging.INFO):
        connection = await request(serve(app))
    assert connection.response().status == 403
    assert connection.tcp.is_over
    (record,) = [each for each in caplog.records if "serves no WebSocket" in each.message]
    assert record.exc_info is None


async def test_application_that_raises_before_its_answer_gets_500(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        raise LookupError("broken")

    assert (await request(serve(app))).response().status == 500
    assert "broken" in caplog.text


@pytest.mark.parametrize("has_head", [False, True])
async def test_incomplete_denial_response_is_an_error(
    has_head: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        kind = "websocket.http.response"
        await send({"type": f"{kind}.start", "status": 401, "headers": []})
        if has_head:
            await send({"type": f"{kind}.body", "body": b"sign", "more_body": True})

    connection = await request(serve(app))
    assert "did not complete its response" in caplog.text
    if has_head:
        assert connection.tcp.is_aborted
    else:
        assert connection.response().status == 500


async def test_handshake_is_refused_when_the_application_does_not_answer() -> None:
    ended: list[str] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    server = serve(app)
    connection = await request(server)
    server.clock.advance(ACCEPT_TIMEOUT - 0.1)
    assert not connection.responses()
    server.clock.advance(0.2)
    await settle(server)
    assert connection.response().status == 503
    assert ended == ["ended"]


async def test_answered_handshake_has_no_deadline() -> None:
    app = Recorder()
    server = serve(app, ping_interval=1000)
    client = await connect(server)
    server.clock.advance(2 * ACCEPT_TIMEOUT)
    await settle(server)
    client.feed(text_frame("late"))
    await settle(server)
    assert app.messages == [{"type": "websocket.receive", "text": "late"}]


async def test_client_that_leaves_before_the_answer_is_a_disconnect() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        seen.append(await receive())
        with pytest.raises(ClientLeftError):
            await send(ACCEPT)
        await send({"type": "websocket.close"})
        seen.append("end")

    server = serve(app)
    connection = await request(server)
    connection.tcp.lose()
    await settle(server)
    assert seen == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}, "end"]
    assert server.clock.pending == 0


async def test_client_that_leaves_during_a_denial_response_is_a_disconnect() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        kind = "websocket.http.response"
        await receive()
        await send({"type": f"{kind}.start", "status": 401, "headers": []})
        await send({"type": f"{kind}.body", "body": b"sign", "more_body": True})
        seen.append((await receive())["code"])
        with pytest.raises(ClientLeftError):
            await send({"type": f"{kind}.body", "body": b"in"})
        seen.append("end")

    server = serve(app)
    connection = await request(server)
    connection.tcp.lose()
    await settle(server)
    assert seen == [1006, "end"]


# -- messages


@pytest.mark.parametrize("deliver", DELIVERIES)
async def test_messages_are_echoed(deliver: Delivery) -> None:
    server = serve(Recorder(echo=True))
    client = await connect(server)
    frames = (
        text_frame("h\u00e9llo")
        + client_frame(BINARY, bytes(range(200)))
        + client_frame(TEXT, b"")
        + client_frame(TEXT, b"fr\xc3", fin=False)
        + client_frame(PING, b"here")
        + client_frame(CONT, b"\xa9d", fin=True)
    )
    deliver(client.feed, frames)
    await settle(server)
    received = [(frame.opcode, frame.payload) for frame in client.frames()]
    assert [each for each in received if each[0] != PONG] == [
        (TEXT, "h\u00e9llo".encode()),
        (BINARY, bytes(range(200))),
        (TEXT, b""),
        (TEXT, "fr\u00e9d".encode()),
    ]
    assert (PONG, b"here") in received


async def test_messages_behind_the_handshake_are_delivered() -> None:
    app = Recorder()
    await request(serve(app), tail=text_frame("early"))
    assert app.messages == [{"type": "websocket.receive", "text": "early"}]


async def test_concurrent_websockets_and_sessions_share_the_engine() -> None:
    server = serve(Recorder(echo=True))
    first, second = await connect(server), await connect(server)
    session = server.open_websocket()
    first.feed(text_frame("one"))
    second.feed(text_frame("two"))
    session.send("three")
    await settle(server)
    assert (first.texts(), second.texts()) == (["one"], ["two"])
    assert server.received == ["three"]
    assert len(server.sessions) == 1


async def test_messages_are_compressed_as_the_engine_is_configured() -> None:
    server = serve(Recorder(echo=True), per_message_deflate=PerMessageDeflate(threshold=100))
    headers = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    connection = await request(server, headers)
    response = connection.response()
    assert (response.header("Sec-WebSocket-Extensions") or "").startswith("permessage-deflate")
    deflate = zlib.compressobj(wbits=-15)
    data = deflate.compress(b"x" * 1000) + deflate.flush(zlib.Z_SYNC_FLUSH)
    connection.feed(client_frame(TEXT, data[:-4], rsv=4) + text_frame("short"))
    await settle(server)
    long, short = connection.frames()
    assert (long.rsv1, len(long.payload) < 100) == (True, True)
    assert zlib.decompressobj(wbits=-15).decompress(long.payload + b"\0\0\xff\xff") == b"x" * 1000
    assert (short.rsv1, short.payload) == (False, b"short")


async def test_compression_is_off_by_default() -> None:
    headers = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    response = (await request(serve(Recorder()), headers)).response()
    assert response.header("Sec-WebSocket-Extensions") is None


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"type": "websocket.send"}, TypeError),
        ({"type": "websocket.send", "text": b"bytes"}, TypeError),
        ({"type": "websocket.send", "bytes": "text"}, TypeError),
        ({"type": "websocket.send", "text": "\ud800"}, UnicodeEncodeError),
        ({"type": "websocket.accept"}, RuntimeError),
        ({"type": "websocket.unknown"}, RuntimeError),
        ({"type": "websocket.http.response.start", "status": 200}, RuntimeError),
        ({"type": "websocket.close", "code": 1006}, ValueError),
        ({"type": "websocket.close", "code": 999}, ValueError),
        ({"type": "websocket.close", "code": 5000}, ValueError),
        ({"type": "websocket.close", "code": "1000"}, ValueError),
        ({"type": "websocket.close", "reason": "x" * 124}, ValueError),
    ],
)
async def test_invalid_message_raises_in_the_application(
    message: dict[str, Any], error: type[Exception]
) -> None:
    raised: list[type[BaseException]] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        try:
            await send(message)
        except Exception as caught:
            raised.append(type(caught))
        await send(text("still open"))
        await receive()
        await receive()

    client = await connect(serve(app))
    assert raised == [error]
    assert client.texts() == ["still open"]


@pytest.mark.parametrize("kind", ["websocket.send", "websocket.http.response.body", "http.x"])
async def test_message_before_accept_raises_in_the_application(kind: str) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        with pytest.raises(RuntimeError, match=r"expected 'websocket\.accept'"):
            await send({"type": kind, "text": "early"})
        await send({"type": "websocket.close"})

    assert (await request(serve(app))).response().status == 403


# -- limits and back-pressure


@pytest.mark.parametrize("is_fragmented", [False, True])
async def test_message_above_the_limit_closes_with_1009(is_fragmented: bool) -> None:
    app = Recorder()
    server = serve(app, max_http_buffer_size=1000)
    client = await connect(server)
    if is_fragmented:
        client.feed(client_frame(TEXT, b"x" * 600, fin=False) + client_frame(CONT, b"x" * 600))
    else:
        client.feed(client_frame(TEXT, b"x" * 1001))
    await settle(server)
    assert client.close_code == 1009
    assert app.disconnect == (1009, "")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (client_frame(TEXT, b"\xff"), 1007),
        (client_frame(TEXT, b"x", masked=False), 1002),
        (client_frame(3, b"x"), 1002),
        (client_frame(TEXT, b"x", rsv=4), 1002),
        (client_frame(CONT, b"x"), 1002),
        (client_frame(PING, b"x" * 126), 1002),
        (client_frame(CLOSE, b"\x03"), 1002),
        (client_frame(CLOSE, (1005).to_bytes(2, "big")), 1002),
        (client_frame(CLOSE, (1000).to_bytes(2, "big") + b"\xff"), 1007),
    ],
)
async def test_invalid_frame_closes_with_its_code(frame: bytes, code: int) -> None:
    app = Recorder()
    server = serve(app)
    client = await connect(server)
    client.feed(text_frame("before") + frame)
    await settle(server)
    assert client.close_code == code
    assert app.messages[0]["text"] == "before"
    assert app.disconnect == (code, "")


async def test_reading_stops_while_the_application_does_not_receive() -> None:
    app = Recorder()
    server = serve(app)
    client = await connect(server)
    app.may_receive.clear()
    client.feed(client_frame(BINARY, b"0"))  # the application awaits this one already
    await settle(server)
    for _ in range(20):
        client.feed(client_frame(BINARY, bytes(MAX_QUEUE // 4)))
    await settle(server)
    assert client.tcp.is_reading_paused
    assert client.tcp.unread > 10 * MAX_QUEUE // 4
    app.may_receive.set()
    await settle(server)
    for _ in range(10):
        await settle(server)
    assert len(app.messages) == 21
    assert not client.tcp.is_reading_paused


async def test_empty_messages_count_in_the_queue() -> None:
    app = Recorder()
    server = serve(app)
    client = await connect(server)
    app.may_receive.clear()
    client.feed(client_frame(TEXT))
    await settle(server)
    total = 3 * MAX_QUEUE // MESSAGE_COST
    client.feed(client_frame(TEXT) * total)
    await settle(server)
    assert client.tcp.is_reading_paused
    app.may_receive.set()
    while len(app.messages) < total + 1:
        await settle(server)


async def test_send_waits_while_the_client_does_not_read() -> None:
    sent: list[int] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        for number in range(20):
            await send({"type": "websocket.send", "bytes": bytes(30_000)})
            sent.append(number)
        await receive()
        await receive()

    server = serve(app)
    connection = server.connect()
    connection.tcp.stall()
    connection.feed(http_request("GET", "/ws", WEBSOCKET_HEADERS))
    await settle(server)
    assert len(sent) == 2
    connection.tcp.unstall()
    await settle(server)
    assert len(sent) == 20


async def test_waiting_send_fails_when_the_client_leaves() -> None:
    ended: list[str] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        try:
            while True:
                await send({"type": "websocket.send", "bytes": bytes(30_000)})
        except ClientLeftError:
            ended.append("ended")
            raise

    server = serve(app)
    connection = server.connect()
    connection.tcp.stall()
    connection.feed(http_request("GET", "/ws", WEBSOCKET_HEADERS))
    await settle(server)
    connection.tcp.lose()
    await settle(server)
    assert ended == ["ended"]


async def test_application_that_only_sends_leaves_the_loop_to_others() -> None:
    turns: list[int] = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        for _ in range(1000):
            await send(text("x"))

    server = serve(app)
    connection = server.connect()
    connection.feed(http_request("GET", "/ws", WEBSOCKET_HEADERS))
    task = next(
        each for each in asyncio.all_tasks() if each.get_name().startswith("asgi websocket")
    )
    while not task.done():
        turns.append(1)
        await asyncio.sleep(0)
    assert len(turns) > 50
