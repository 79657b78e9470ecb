"""Mounted ASGI applications: scope, streaming in both directions, errors and lifespan."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from engineio_core import Engine
from engineio_core.http.asgi_response import MAX_SENDS_AFTER_DISCONNECT
from tests.helpers.client import Connection, Server
from tests.helpers.wire import DELIVERIES, Delivery, chunked, http_request

Send = Callable[[dict[str, Any]], Any]
Receive = Callable[[], Any]


async def settle(server: Server) -> None:
    """Run tasks and the fake clock until no work is left."""
    for _ in range(20):
        await asyncio.sleep(0)
        server.clock.run()


def serve(app: Any) -> Server:
    server = Server()
    server.engine.mount(app)
    return server


async def fetch(app: Any, wire: bytes) -> Connection:
    server = serve(app)
    connection = server.connect()
    connection.feed(wire)
    await settle(server)
    return connection


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def test_application_receives_requests_outside_the_engine_path() -> None:
    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"hello {request.query_params['name']}")

    app = Starlette(routes=[Route("/hello", hello)])
    server = serve(app)
    connection = server.connect()
    connection.feed(
        http_request("GET", "/hello?name=J%C3%BCrgen")
        + http_request("GET", "/missing")
        + http_request("GET", server.target(transport="polling"))
    )
    await settle(server)
    first, second, third = connection.responses()
    assert (first.status, first.text) == (200, "hello J\u00fcrgen")
    assert second.status == 404
    assert third.text.startswith("0{")


async def test_scope_describes_the_request() -> None:
    scopes: list[dict[str, Any]] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await send(start(204))
        await send(body())

    wire = http_request("PUT", "/a%20b/c?x=%31&x=2", [("X-A", "1"), ("x-a", "2")], b"")
    await fetch(app, wire)
    (scope,) = scopes
    assert scope["type"] == "http"
    assert (scope["method"], scope["path"]) == ("PUT", "/a b/c")
    assert (scope["raw_path"], scope["query_string"]) == (b"/a%20b/c", b"x=%31&x=2")
    assert scope["client"] == ("192.0.2.7", 50000)
    assert scope["http_version"] == "1.1"
    assert [line for line in scope["headers"] if line[0] == b"x-a"] == [
        (b"x-a", b"1"),
        (b"x-a", b"2"),
    ]
    assert (scope["scheme"], scope["http_version"]) == ("http", "1.1")


@pytest.mark.parametrize("deliver", DELIVERIES)
@pytest.mark.parametrize("framing", ["counted", "chunked"])
async def test_body_streams_in_both_directions(deliver: Delivery, framing: str) -> None:
    async def echo(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send(start())
        while True:
            message = await receive()
            await send(body(message["body"], more=message["more_body"]))
            if not message["more_body"]:
                return

    data = bytes(range(256)) * 4
    wire = (
        http_request("POST", "/echo", {}, data)
        if framing == "counted"
        else http_request("POST", "/echo", {"Transfer-Encoding": "chunked"}, chunked(data, 50))
    )
    server = serve(echo)
    connection = server.connect()
    deliver(connection.feed, wire + http_request("GET", "/echo"))
    await settle(server)
    first, second = connection.responses()
    assert (first.body, second.body) == (data, b"")
    assert first.header("Transfer-Encoding") == "chunked"


async def test_response_is_not_chunked_when_it_has_a_content_length() -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send(start(200, (b"content-length", b"4")))
        await send(body(b"ab", more=True))
        await send(body(b"cd"))

    connection = await fetch(app, http_request("GET", "/"))
    response = connection.response()
    assert (response.body, response.header("Transfer-Encoding")) == (b"abcd", None)


async def test_response_is_not_chunked_when_the_client_uses_http_1_0() -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"plain"))

    connection = await fetch(app, http_request("GET", "/", version="1.0"))
    response = connection.response()
    assert (response.body, response.header("Transfer-Encoding")) == (b"plain", None)
    assert connection.tcp.is_closed


async def test_head_response_has_no_body() -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send(start(200, (b"content-length", b"4")))
        await send(body(b"abcd" if scope["method"] == "GET" else b""))

    connection = await fetch(app, http_request("HEAD", "/") + http_request("GET", "/"))
    head, rest = connection.responses(head_only=True)[0], connection.tcp
    assert head.header("content-length") == "4"
    assert not rest.is_closed


async def test_large_upload_is_paused_when_the_application_is_slow() -> None:
    resume = asyncio.Event()
    sizes: list[int] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        more = True
        while more:
            await resume.wait()
            message = await receive()
            sizes.append(len(message["body"]))
            more = message["more_body"]
        await send(start())
        await send(body(b"thanks"))

    server = serve(app)
    connection = server.connect()
    connection.feed(http_request("POST", "/", {"Content-Length": "3000000"}))
    for _ in range(30):
        connection.feed(b"x" * 100_000)
    await settle(server)
    assert connection.tcp.is_reading_paused
    assert connection.tcp.unread > 2_000_000
    server.clock.advance(120)  # body_timeout does not apply while the application is slow
    resume.set()
    await settle(server)
    assert connection.response().text == "thanks"
    assert sum(sizes) == 3_000_000


async def test_large_download_is_paused_when_the_client_is_slow() -> None:
    sent: list[int] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send(start())
        for number in range(100):
            sent.append(number)
            await send(body(b"x" * 10_000, more=True))
        await send(body())

    server = serve(app)
    connection = server.connect()
    connection.tcp.stall()
    connection.feed(http_request("GET", "/"))
    await settle(server)
    assert len(sent) < 10
    for _ in range(30):
        connection.tcp.unstall()
        connection.tcp.stall()
        await settle(server)
    connection.tcp.unstall()
    assert len(connection.response().body) == 1_000_000


@pytest.fixture
def _without_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def wait_busily() -> None:
    await asyncio.sleep(0)


async def wait_forever() -> None:
    await asyncio.Event().wait()


async def do_not_wait() -> None:
    pass


@pytest.mark.usefixtures("_without_garbage_collection")
@pytest.mark.parametrize("wait", [wait_busily, wait_forever, do_not_wait])
async def test_endless_stream_closes_its_generator_when_the_client_disconnects(
    wait: Callable[[], Awaitable[None]],
) -> None:
    ended: list[str] = []

    async def ticks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick\n" * 2000
                await wait()
        finally:
            ended.append("ended")

    async def endless(request: Request) -> StreamingResponse:
        return StreamingResponse(ticks())

    server = serve(Starlette(routes=[Route("/", endless)]))
    connection = server.connect()
    connection.feed(http_request("GET", "/"))
    await settle(server)
    connection.tcp.lose()
    await settle(server)
    assert ended == ["ended"]


async def test_endless_stream_without_waiting_lets_other_clients_connect() -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["path"] == "/other":
            await send(start())
            await send(body(b"other"))
            return
        await send(start())
        while True:
            await send(body(b"x", more=True))

    server = serve(app)
    endless, other = server.connect(), server.connect()
    endless.feed(http_request("GET", "/"))
    await settle(server)
    other.feed(http_request("GET", "/other"))
    await settle(server)
    assert [each.text for each in other.responses()] == ["other"]
    endless.tcp.lose()
    for _ in range(5):
        await settle(server)
    assert not server.engine._asgi._tasks


async def test_send_raises_oserror_when_the_application_continues_after_a_disconnect() -> None:
    sent = 0

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        nonlocal sent
        await send(start())
        while True:
            await send(body(b"x", more=True))
            sent += 1
            await asyncio.sleep(0)

    server = serve(app)
    connection = server.connect()
    connection.feed(http_request("GET", "/"))
    await settle(server)
    connection.tcp.lose()
    before = sent
    for _ in range(5):
        await settle(server)
    assert not server.engine._asgi._tasks
    assert sent - before == MAX_SENDS_AFTER_DISCONNECT


async def test_blocked_send_raises_oserror_when_the_client_disconnects() -> None:
    outcome: list[str] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send(start())
        try:
            for _ in range(200):
                await send(body(b"x" * 10_000, more=True))
        except OSError:
            outcome.append("disconnected")
            raise

    server = serve(app)
    connection = server.connect()
    connection.tcp.stall()
    connection.feed(http_request("GET", "/"))
    await settle(server)
    connection.tcp.lose()
    await settle(server)
    assert outcome == ["disconnected"]


async def test_receive_returns_http_disconnect_when_the_client_disconnects() -> None:
    received: list[str] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            received.append(message["type"])
            if message["type"] == "http.disconnect":
                return

    server = serve(app)
    connection = server.connect()
    connection.feed(http_request("POST", "/", {"Content-Length": "10"}) + b"half")
    await settle(server)
    connection.tcp.lose()
    await settle(server)
    assert received == ["http.request", "http.disconnect"]


async def test_error_before_the_response_sends_500_and_keeps_the_connection() -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send(start(200))
        raise RuntimeError("application error")

    connection = await fetch(app, http_request("GET", "/") * 2)
    assert [each.status for each in connection.responses()] == [500, 500]


async def test_error_within_the_response_aborts_the_connection() -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send(start(200))
        await send(body(b"half", more=True))
        raise RuntimeError("application error")

    connection = await fetch(app, http_request("GET", "/"))
    assert connection.tcp.is_aborted
    assert connection.responses() == [], "the client must notice the incomplete response"


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [body(b"no head")],
        [start(), start()],
        [start(200, (b"x", b"a\r\nb"))],
        [start(200, (b"x", b"a\r\nb")), body(b"x")],
        [{"type": "nonsense"}],
        [start(), {"type": "nonsense"}],
    ],
)
async def test_invalid_asgi_messages_send_500(
    messages: list[dict[str, Any]],
) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    connection = await fetch(app, http_request("GET", "/"))
    assert connection.response().status == 500


@pytest.mark.parametrize("sent", [b"shrt", b"much too long"])
async def test_response_with_a_wrong_content_length_aborts_the_connection(sent: bytes) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send(start(200, (b"content-length", b"6")))
        await send(body(sent))

    connection = await fetch(app, http_request("GET", "/"))
    assert connection.tcp.is_aborted


async def test_body_after_the_end_of_the_response_raises_and_is_not_written() -> None:
    errors: list[Exception] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"all"))
        try:
            await send(body(b"more"))
        except RuntimeError as error:
            errors.append(error)

    connection = await fetch(app, http_request("GET", "/") * 2)
    assert [each.body for each in connection.responses()] == [b"all", b"all"]
    assert len(errors) == 2


async def test_framing_headers_of_the_application_are_replaced() -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        headers = [(b"transfer-encoding", b"chunked"), (b"connection", b"close")]
        await send(start(200, *headers))
        await send(body(b"x"))

    connection = await fetch(app, http_request("GET", "/"))
    response = connection.response()
    assert response.header("Transfer-Encoding") == "chunked"
    assert response.header("Connection") == "close"
    assert response.body == b"x"
    assert connection.tcp.is_closed


async def test_lifespan_starts_before_listen_returns_and_ends_at_shutdown() -> None:
    order: list[str] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan"
        while True:
            message = await receive()
            order.append(message["type"])
            scope["state"]["pool"] = "open"
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    engine = Engine()
    engine.mount(app)
    await engine.listen(port=0)
    assert order == ["lifespan.startup"]
    await engine.shutdown()
    assert order == ["lifespan.startup", "lifespan.shutdown"]


async def test_listen_fails_when_the_lifespan_startup_fails() -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    engine = Engine()
    engine.mount(app)
    with pytest.raises(RuntimeError, match="no database"):
        await engine.listen(port=0)


@pytest.mark.parametrize("at_shutdown", [True, False])
async def test_error_of_the_lifespan_after_its_startup_is_logged(
    at_shutdown: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        if at_shutdown:
            await receive()
        raise LookupError("the pool is gone")

    engine = Engine()
    engine.mount(app)
    await engine.listen("127.0.0.1", 0)
    await engine.shutdown()
    assert caplog.text.count("the lifespan task of the ASGI application failed") == 1
    assert "the pool is gone" in caplog.text


async def test_application_without_lifespan_support_is_served() -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"

    engine = Engine()
    engine.mount(app)
    await engine.listen(port=0)
    await engine.shutdown()
