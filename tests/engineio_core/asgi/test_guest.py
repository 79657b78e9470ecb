"""The engine as a guest of an ASGI host: bodies, refusals, WebSockets, mounts, lifespan."""

from __future__ import annotations

import asyncio
import json
import logging
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from engineio_core import HttpRequest, HttpResponse, read_turn
from engineio_core.asgi import websocket as websocket_module
from engineio_core.asgi.request import create_request
from engineio_core.asgi.websocket import MESSAGE_BYTES
from engineio_core.read_turn import TURN_BYTES
from socketio_core import Cors, Socket, SocketServer
from tests.engineio_core.asgi.support import DENIAL, LIMIT, Host, http, open_polling, websocket
from tests.helpers.waiting import settle


async def test_polling_session_exchanges_messages_with_the_host() -> None:
    io = SocketServer()
    app = io.asgi_app()

    @io.on("connection")
    def connected(socket: Socket) -> None:
        assert socket.handshake.address == "192.0.2.7"
        socket.emit("welcome")

    sid = await open_polling(app)
    post = http(app, f"&sid={sid}", "POST", headers={"content-type": "text/plain"})
    post.deliver("http.request", body=b"4", more_body=True)
    post.deliver("http.request", body=b"0", more_body=False)
    assert (await post.response())[:2] == (200, "ok")
    _, body, headers = await http(app, f"&sid={sid}").response()
    assert '42["welcome"]' in body
    assert headers[b"content-length"] == str(len(body)).encode()
    await io.shutdown()


@pytest.mark.parametrize(
    ("client", "address", "port"),
    [
        (("192.0.2.7", 50000), "192.0.2.7", 50000),
        (("::ffff:192.0.2.7", "50000"), "192.0.2.7", 50000),
        (["2001:db8::1", None], "2001:db8::1", 0),
        (None, "unix", 0),
        (("", "0"), "unix", 0),  # granian on a Unix socket
    ],
    ids=["numbers", "text", "no port", "no client", "empty"],
)
def test_address_of_the_client_is_that_of_the_host(client: Any, address: str, port: int) -> None:
    scope = {"type": "http", "headers": [], "client": client}
    request = create_request(scope, "/socket.io/")
    assert (request.remote_address, request.remote_port) == (address, port)


async def test_poll_ends_when_the_client_leaves() -> None:
    io = SocketServer()
    app = io.asgi_app()
    sid = await open_polling(app)
    poll = http(app, f"&sid={sid}")
    await asyncio.sleep(0)
    poll.deliver("http.disconnect")
    assert await poll.ended() == []
    assert sid not in io.engine.sessions
    await io.shutdown()


async def test_post_is_refused_when_it_is_too_large() -> None:
    io = SocketServer(max_http_buffer_size=10)
    app = io.asgi_app()
    sid = await open_polling(app)
    announced = http(app, f"&sid={sid}", "POST", headers={"content-length": "11"})
    assert (await announced.response())[0] == 413
    sid = await open_polling(app)
    streamed = http(app, f"&sid={sid}", "POST")
    for _ in range(3):
        streamed.deliver("http.request", body=b"4aaaa", more_body=True)
    assert (await streamed.response())[0] == 413
    await io.shutdown()


async def test_session_ends_when_the_client_leaves_during_a_post() -> None:
    io = SocketServer()
    app = io.asgi_app()
    sid = await open_polling(app)
    post = http(app, f"&sid={sid}", "POST")
    post.deliver("http.request", body=b"4", more_body=True)
    post.deliver("http.disconnect")
    assert await post.ended() == []
    assert sid not in io.engine.sessions
    await io.shutdown()


async def test_request_is_abandoned_when_the_host_cancels_it() -> None:
    io = SocketServer()
    app = io.asgi_app()
    sid = await open_polling(app)
    poll = http(app, f"&sid={sid}")
    await asyncio.sleep(0)
    poll.task.cancel()
    await asyncio.gather(poll.task, return_exceptions=True)
    assert sid not in io.engine.sessions
    await io.shutdown()


async def test_middleware_and_cors_apply_to_requests_of_the_host() -> None:
    io = SocketServer(cors=Cors(origins=["https://a.example"]))

    async def refuse(request: HttpRequest) -> HttpResponse | None:
        await asyncio.sleep(0)
        return HttpResponse(403, b"no") if "refuse" in request.query else None

    io.engine.use(refuse)
    app = io.asgi_app()
    origin = {"origin": "https://a.example"}
    status, body, _ = await http(app, "&refuse=1").response()
    assert (status, body) == (403, "no")
    _, _, headers = await http(app, "", headers=origin).response()
    assert headers[b"access-control-allow-origin"] == b"https://a.example"
    assert (await http(app, "", "OPTIONS", headers=origin).response())[0] == 204
    await io.shutdown()


async def test_websocket_exchanges_text_and_binary_messages() -> None:
    io = SocketServer()

    @io.on("echo")
    def echo(socket: Socket, data: bytes) -> None:
        socket.emit("echo", data[::-1])

    async with websocket(io.asgi_app()) as host:
        accepted, opened = await host.wait_for(2)
        assert accepted["type"] == "websocket.accept"
        assert opened["text"].startswith("0{")
        host.deliver("websocket.receive", text="40", bytes=None)
        await host.wait_for(3)
        event = '451-["echo",{"_placeholder":true,"num":0}]'
        host.deliver("websocket.receive", text=event)
        host.deliver("websocket.receive", bytes=b"\x00\xff")
        assert (await host.wait_for(5))[3]["text"] == event
        assert host.sent[4]["bytes"] == b"\xff\x00"
    assert not io.engine.sessions
    await io.shutdown()


@pytest.mark.parametrize("message", [{"text": "x" * 11}, {"bytes": b"x" * 11}])
async def test_websocket_closes_with_1009_when_a_message_is_too_large(
    message: dict[str, Any],
) -> None:
    io = SocketServer(max_http_buffer_size=10)
    async with websocket(io.asgi_app()) as host:
        await host.wait_for(2)
        host.deliver("websocket.receive", **message)
        assert (await host.wait_for(3))[2] == {"type": "websocket.close", "code": 1009}
        assert not io.engine.sessions
    await io.shutdown()


@pytest.mark.parametrize(
    "message", [{"text": '42["count"]'}, {"bytes": b""}], ids=["text", "binary"]
)
async def test_messages_that_the_host_has_read_are_delivered_in_turns(
    monkeypatch: pytest.MonkeyPatch, message: dict[str, Any]
) -> None:
    seconds = count(0.0, 1.0)
    monkeypatch.setattr(read_turn, "perf_counter", lambda: next(seconds))  # each check is late
    io = SocketServer(max_http_buffer_size=1000)
    async with websocket(io.asgi_app()) as host:
        host.deliver("websocket.receive", text="40")
        await host.wait_for(3)
        session = next(iter(io.engine.sessions.values()))
        received = 0

        def receive(_: Any) -> None:
            nonlocal received
            received += 1

        session._on_packet = None
        session._on_text = session._on_binary = receive
        for _ in range(1000):
            host.deliver("websocket.receive", **message)
        counts = []
        async with asyncio.timeout(LIMIT):
            while received < 1000:
                before = received
                await asyncio.sleep(0)
                counts.append(received - before)
        assert max(counts) <= 3 * TURN_BYTES // MESSAGE_BYTES
        # Each second iteration is for the other clients.
        assert counts.count(0) >= len(counts) // 3
    await io.shutdown()


async def test_websocket_closes_after_a_protocol_error() -> None:
    io = SocketServer()
    async with websocket(io.asgi_app()) as host:
        await host.wait_for(2)
        host.deliver("websocket.receive", text="x")
        assert (await host.wait_for(3))[2]["type"] == "websocket.close"
        assert not io.engine.sessions
    await io.shutdown()


async def test_server_close_sends_the_queued_packets_first() -> None:
    io = SocketServer()

    @io.on("leave")
    def leave(socket: Socket) -> None:
        socket.emit("last")
        socket.disconnect(close=True)

    async with websocket(io.asgi_app()) as host:
        host.deliver("websocket.receive", text="40")
        await host.wait_for(3)
        host.deliver("websocket.receive", text='42["leave"]')
        last, left, closed = (await host.wait_for(6))[3:]
        assert (last["text"], left["text"]) == ('42["last"]', "41")
        assert closed == {"type": "websocket.close", "code": 1000}
    await io.shutdown()


@pytest.mark.parametrize("extensions", [DENIAL, {}, None])
async def test_refused_websocket_gets_a_response_if_the_host_can_send_one(extensions: Any) -> None:
    io = SocketServer(cors=Cors(origins=["https://a.example"]))
    foreign = {"origin": "https://b.example"}
    async with websocket(io.asgi_app(), headers=foreign, extensions=extensions) as host:
        sent = await host.wait_for(2 if extensions else 1)
    if extensions:
        assert sent[0]["type"] == "websocket.http.response.start"
        assert sent[0]["status"] == 400
    else:
        assert sent == [{"type": "websocket.close", "code": 1000}]
    await io.shutdown()


async def test_packets_wait_in_the_outbox_while_the_host_is_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket_module, "HIGH_WATER", 1000)
    monkeypatch.setattr(websocket_module, "LOW_WATER", 500)
    io = SocketServer()
    async with websocket(io.asgi_app()) as host:
        host.deliver("websocket.receive", text="40")
        await host.wait_for(3)
        (socket,) = io.sockets.values()
        host.may_send.clear()
        for number in range(50):
            socket.emit("row", number, "x" * 100)
        await asyncio.sleep(0)
        assert socket.session.outbox
        assert socket.session.buffered_amount > 5000
        socket.volatile.emit("position")
        host.may_send.set()
        sent = await host.wait_for(53)
        assert [json.loads(each["text"][2:])[1] for each in sent[3:]] == list(range(50))
        assert not socket.session.outbox
    await io.shutdown()


async def test_paused_client_is_not_read() -> None:
    io = SocketServer()
    received: list[int] = []
    io.on("count", lambda socket, number: received.append(number))
    async with websocket(io.asgi_app()) as host:
        host.deliver("websocket.receive", text="40")
        await host.wait_for(3)
        (socket,) = io.sockets.values()
        socket.session.pause_reading()
        for number in range(3):
            host.deliver("websocket.receive", text=f'42["count",{number}]')
        await settle()
        assert len(received) <= 1  # the message that the host had already delivered
        socket.session.resume_reading()
        async with asyncio.timeout(LIMIT):
            while len(received) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert received == [0, 1, 2]
    await io.shutdown()


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/live/socket.io/", {"root_path": "/live"}),  # Starlette 0.33 and later
        ("/live/socket.io/", {"root_path": "/live/"}),
        ("/socket.io/", {"root_path": "/live"}),  # routers that remove the mount from the path
        ("/socket.io/", {"root_path": ""}),
        ("/socket.io/", {"root_path": "/"}),
        ("/socket.io/", {"root_path": "/socket"}),  # not a mount: no slash follows
        # A proxy removes /api, which FastAPI(root_path="/api") adds to the root path only.
        ("/live/socket.io/", {"root_path": "/api/live", "app_root_path": "/api"}),
        ("/api/live/socket.io/", {"root_path": "/api/live", "app_root_path": "/api"}),
        ("/socket.io/", {"raw_path": b"/live/socket.io"}),  # Litestar appends the slash
        ("/socket.io/", {"raw_path": None}),
    ],
)
async def test_path_is_relative_to_the_mount(path: str, scope: dict[str, Any]) -> None:
    io = SocketServer()
    request = http(io.asgi_app(), "", path=path, **scope)
    assert (await request.response())[0] == 200
    await io.shutdown()


async def test_bundle_is_served_when_the_host_appends_a_slash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "socket.io.min.js").write_text("the bundle")
    monkeypatch.setenv("SOCKETIO_CLIENT_DIST", str(tmp_path))
    io = SocketServer()
    path, raw = "/socket.io/socket.io.min.js/", b"/live/socket.io/socket.io.min.js?v=1"
    status, body = (await http(io.asgi_app(), "", path=path, raw_path=raw).response())[:2]
    assert (status, body) == (200, "the bundle")
    await io.shutdown()


async def test_server_at_the_path_of_its_mount_accepts_the_mount_without_a_slash() -> None:
    io = SocketServer(path="/")
    request = http(io.asgi_app(), "", path="/live", root_path="/live")
    assert (await request.response())[0] == 200
    await io.shutdown()


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/other", {}),
        ("/live/other", {"root_path": "/live"}),
        ("/other", {"root_path": "/live"}),  # a router that removes the mount from the path
        ("/live/other", {"root_path": "/api/live", "app_root_path": "/api"}),
        ("/foo/", {"raw_path": b"/live/foo"}),  # Litestar
    ],
)
async def test_refusal_of_another_path_names_the_path_below_the_mount(
    path: str, scope: dict[str, Any]
) -> None:
    io = SocketServer(path="/realtime")
    request = http(io.asgi_app(), "", path=path, **scope)
    status, body = (await request.response())[:2]
    assert (status, body) == (
        404,
        "Not found: the Socket.IO server is at /realtime, below the mount of its application if "
        "it has one\n",
    )
    await io.shutdown()


async def test_other_paths_reach_the_other_application() -> None:
    io = SocketServer()
    seen: list[tuple[str, str]] = []

    async def other(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["type"], scope["path"]))
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 418, "headers": []})
            await send({"type": "http.response.body", "body": b"tea"})

    app = io.asgi_app(other)
    assert (await http(app, "", path="/tea").response())[:2] == (418, "tea")
    await Host(app, "websocket", "/chat").ended()
    assert seen == [("http", "/tea"), ("websocket", "/chat")]
    alone = io.asgi_app()
    assert (await http(alone, "", path="/tea").response())[0] == 404
    refused = await Host(alone, "websocket", "/chat").ended()
    assert refused == [{"type": "websocket.close", "code": 1000}]
    await io.shutdown()


async def _refuse_lifespan(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError("this application handles HTTP only")  # as Django's


async def _ignore_lifespan(scope: Any, receive: Any, send: Any) -> None:
    """Return at once, as simple applications do."""


@pytest.mark.parametrize("other", [_refuse_lifespan, _ignore_lifespan])
async def test_lifespan_shuts_the_server_down_when_the_other_application_has_none(
    other: Any,
) -> None:
    io = SocketServer()
    app = io.asgi_app(other)
    lifespan = Host(app, "lifespan", "")
    lifespan.deliver("lifespan.startup")
    assert await lifespan.wait_for(1) == [{"type": "lifespan.startup.complete"}]
    async with websocket(app) as host:
        await host.wait_for(2)
        lifespan.deliver("lifespan.shutdown")
        assert (await lifespan.ended())[1] == {"type": "lifespan.shutdown.complete"}
        assert not io.engine.sessions


async def test_failed_startup_of_the_other_application_reaches_the_host() -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise RuntimeError("no database")

    io = SocketServer()
    lifespan = Host(io.asgi_app(failing), "lifespan", "")
    lifespan.deliver("lifespan.startup")
    with pytest.raises(RuntimeError, match="no database"):
        await lifespan.ended()
    await io.shutdown()


async def test_lifespan_of_the_host_shuts_the_server_down() -> None:
    io = SocketServer()
    lifespan = Host(io.asgi_app(), "lifespan", "")
    lifespan.deliver("lifespan.startup")
    assert await lifespan.wait_for(1) == [{"type": "lifespan.startup.complete"}]
    async with websocket(io.asgi_app()) as host:
        await host.wait_for(2)
        lifespan.deliver("lifespan.shutdown")
        assert (await lifespan.ended())[1] == {"type": "lifespan.shutdown.complete"}
        assert not io.engine.sessions


async def test_lifespan_of_the_other_application_runs_as_well() -> None:
    io = SocketServer()
    seen: list[str] = []

    async def other(scope: Any, receive: Any, send: Any) -> None:
        for name in ("startup", "shutdown"):
            seen.append((await receive())["type"])
            await send({"type": f"lifespan.{name}.complete"})

    lifespan = Host(io.asgi_app(other), "lifespan", "")
    lifespan.deliver("lifespan.startup")
    lifespan.deliver("lifespan.shutdown")
    assert len(await lifespan.ended()) == 2
    assert seen == ["lifespan.startup", "lifespan.shutdown"]


async def test_unknown_session_is_explained_once(caplog: pytest.LogCaptureFixture) -> None:
    io = SocketServer()
    app = io.asgi_app()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert (await http(app, "&sid=abc").response())[0] == 400
    assert caplog.text.count("if the ASGI server runs several workers") == 1
    await io.shutdown()


async def test_unknown_session_is_explained_once_when_the_server_has_two_applications(
    caplog: pytest.LogCaptureFixture,
) -> None:
    io, other = SocketServer(), SocketServer()
    with caplog.at_level(logging.WARNING):
        for app in (io.asgi_app(), io.asgi_app(), other.asgi_app()):
            assert (await http(app, "&sid=abc").response())[0] == 400
    assert caplog.text.count("if the ASGI server runs several workers") == 2
    await io.shutdown()
    await other.shutdown()


async def test_invalid_header_of_a_response_gets_500(caplog: pytest.LogCaptureFixture) -> None:
    io = SocketServer()
    io.engine.use(lambda request: HttpResponse(200, b"", [("x", "a\r\nb")]))
    status, _, _ = await http(io.asgi_app(), "").response()
    assert status == 500
    assert "invalid header in the response" in caplog.text
    await io.shutdown()


def test_other_app_must_be_an_application() -> None:
    with pytest.raises(TypeError, match="other_app must be an ASGI application, got 3"):
        SocketServer().asgi_app(3)  # type: ignore[arg-type]
