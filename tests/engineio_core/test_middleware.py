"""Middleware functions, and the hooks that change response headers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from engineio_core import HttpRequest, HttpResponse
from engineio_core.errors import FORBIDDEN, HandshakeRefusedError
from tests.helpers.client import Connection, Server
from tests.helpers.waiting import settle
from tests.helpers.wire import http_request


def open_session(server: Server, transport: str, **query: str) -> Connection:
    """Send the request that opens a session."""
    if transport == "polling":
        return server.get(transport="polling", **query)
    return server.upgrade(**query)


def success_status(transport: str) -> int:
    return 200 if transport == "polling" else 101


def test_middleware_adds_response_headers(transport: str) -> None:
    server = Server()

    @server.engine.use
    def add_header(request: HttpRequest) -> None:
        request.response_headers["X-Powered-By"] = "coffee"

    response = open_session(server, transport).response()
    assert response.status == success_status(transport)
    assert response.header("x-powered-by") == "coffee"


def test_middleware_functions_run_in_order_and_share_the_request_state(transport: str) -> None:
    server = Server()
    server.engine.use(lambda request: request.state.update(seen=["first"]))
    server.engine.use(lambda request: request.state["seen"].append("second"))
    open_session(server, transport)
    assert server.session.request.state == {"seen": ["first", "second"]}


@pytest.mark.parametrize("status", [401, 503])
def test_middleware_response_ends_the_request(transport: str, status: int) -> None:
    server = Server()
    calls: list[str] = []
    server.engine.use(lambda request: HttpResponse(status, b"no", [("X-Why", "closed")]))
    server.engine.use(lambda request: calls.append("second"))
    connection = open_session(server, transport)
    response = connection.response()
    assert (response.status, response.body, response.header("x-why")) == (status, b"no", "closed")
    assert connection.tcp.is_closed == (transport == "websocket")
    assert not calls
    assert not server.sessions
    assert not server.errors


def test_request_is_refused_with_code_3_when_a_middleware_raises(transport: str) -> None:
    server = Server()

    @server.engine.use
    def fail(request: HttpRequest) -> None:
        raise RuntimeError("secret details")

    response = open_session(server, transport).response()
    assert response.status == 400
    assert b"secret" not in response.body
    assert server.errors[0].context["name"] == "MIDDLEWARE_FAILURE"
    if transport == "polling":
        assert response.json == {"code": 3, "message": "Bad request"}


def test_middleware_refuses_the_request_with_a_protocol_error() -> None:
    server = Server()

    @server.engine.use
    def refuse(request: HttpRequest) -> None:
        raise HandshakeRefusedError(FORBIDDEN, message="blocked")

    response = server.get(transport="polling").response()
    assert (response.status, response.json) == (403, {"code": 4, "message": "blocked"})


def test_request_is_refused_when_a_middleware_returns_another_type(transport: str) -> None:
    server = Server()
    server.engine.use(lambda request: request.headers.get("host"))  # type: ignore[arg-type,return-value]
    assert open_session(server, transport).response().status == 400
    assert isinstance(server.errors[0].context["error"], TypeError)
    assert not server.sessions


def test_middleware_runs_for_every_request_of_a_session() -> None:
    server = Server()
    seen: list[str] = []
    server.engine.use(lambda request: seen.append(request.method))
    client = server.open_polling()
    client.post("4a")
    client.poll()
    client.upgrade()
    assert seen == ["GET", "POST", "GET", "GET"]


async def test_async_middleware_is_awaited(transport: str) -> None:
    server = Server()
    order: list[str] = []

    async def slow(request: HttpRequest) -> None:
        await asyncio.sleep(0)
        order.append("slow")

    server.engine.use(slow)
    server.engine.use(lambda request: order.append("fast"))
    connection = open_session(server, transport)
    assert connection.responses() == []
    await settle()
    assert connection.response().status == success_status(transport)
    assert order == ["slow", "fast"]


async def test_async_middleware_responds_or_raises(transport: str) -> None:
    server = Server()

    async def refuse_all(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        if request.query["name"] == "eve":
            raise PermissionError
        return HttpResponse(401)

    server.engine.use(refuse_all)
    connections = [open_session(server, transport, name=name) for name in ("adam", "eve")]
    await settle()
    assert [each.response().status for each in connections] == [401, 400]


async def test_request_is_refused_when_a_middleware_times_out(transport: str) -> None:
    server = Server(handshake_timeout=0.01)

    async def wait(request: HttpRequest) -> None:
        await asyncio.Event().wait()

    server.engine.use(wait)
    connection = open_session(server, transport)
    await asyncio.sleep(0.03)
    await settle()
    assert connection.response().status == 400


async def test_middleware_is_cancelled_when_the_client_disconnects() -> None:
    server = Server()
    ends: list[str] = []

    async def wait(request: HttpRequest) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("cancelled")

    server.engine.use(wait)
    connection = server.get(transport="polling")
    await asyncio.sleep(0)
    connection.tcp.lose()
    await settle()
    assert ends == ["cancelled"]
    assert not server.sessions


async def test_pending_request_receives_503_when_the_engine_closes() -> None:
    server = Server()

    async def wait(request: HttpRequest) -> None:
        await asyncio.Event().wait()

    server.engine.use(wait)
    connection = server.get(transport="polling")
    await asyncio.sleep(0)
    server.engine.close()
    await settle()
    assert connection.response().status == 503
    assert connection.tcp.is_closed


async def test_pipelined_requests_stay_in_order_after_a_slow_middleware() -> None:
    server = Server()

    async def slow(request: HttpRequest) -> None:
        await asyncio.sleep(0)

    client = server.open_polling()
    server.engine.use(slow)
    target = server.target(transport="polling", sid=client.sid)
    connection = server.connect()
    connection.feed(b"".join(http_request("POST", target, {}, b"4%d" % each) for each in range(5)))
    for _ in range(10):
        await asyncio.sleep(0)
        server.clock.run()
    await settle()
    server.clock.run()
    assert server.received == ["0", "1", "2", "3", "4"]
    assert [each.text for each in connection.responses()] == ["ok"] * 5


async def test_body_limit_applies_after_a_slow_middleware() -> None:
    server = Server(max_http_buffer_size=100)

    async def slow(request: HttpRequest) -> None:
        await asyncio.sleep(0)

    client = server.open_polling()
    server.engine.use(slow)
    connection = client.post("4" + "x" * 100)
    await settle()
    assert connection.response().status == 413
    assert server.closed == [("transport error", "payload too large")]


def test_sync_middleware_needs_no_event_loop() -> None:
    server = Server()
    server.engine.use(lambda request: None)
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
    server.open_polling()


# -- hooks: headers and initial_headers


def record_hook(server: Server, event: Any) -> list[tuple[str, dict[str, str]]]:
    calls: list[tuple[str, dict[str, str]]] = []

    def add(headers: dict[str, str], request: HttpRequest) -> None:
        headers[f"X-{event}"] = "yes"
        calls.append((request.method, headers))

    server.engine.on(event, add)
    return calls


def test_initial_headers_hook_runs_once_per_session(transport: str) -> None:
    server = Server()
    calls = record_hook(server, "initial_headers")
    response = open_session(server, transport).response()
    assert response.header("x-initial_headers") == "yes"
    if transport == "polling":
        sid = server.session.sid
        server.session.send_text("x")
        for later in (
            server.get(transport="polling", sid=sid),
            server.post(b"4a", transport="polling", sid=sid),
            server.upgrade(sid=sid),
        ):
            assert later.response().header("x-initial_headers") is None
    assert len(calls) == 1


def test_headers_hook_runs_for_every_response_of_a_session() -> None:
    server = Server()
    calls = record_hook(server, "headers")
    client = server.open_polling()
    server.session.send_text("x")
    responses = [client.poll(), client.post("4a"), server.upgrade(sid=client.sid)]
    assert [each.response().header("x-headers") for each in responses] == ["yes"] * 3
    assert len(calls) == 4


def test_hook_sets_a_second_cookie() -> None:
    from engineio_core import Cookie

    server = Server(cookie=Cookie())
    server.engine.on(
        "initial_headers", lambda headers, request: headers.update({"set-cookie": "mine=1"})
    )
    response = server.get(transport="polling").response()
    cookies = [value for name, value in response.headers if name.lower() == "set-cookie"]
    assert len(cookies) == 2
    assert cookies[1] == "mine=1"


@pytest.mark.parametrize("agent", ["Mozilla/4.0 (compatible;MSIE 8.0)", "Trident/7.0; rv:11.0"])
def test_xss_filter_of_internet_explorer_is_disabled(agent: str) -> None:
    server = Server()
    client = server.open_polling()
    assert client.post("4x", {"User-Agent": agent}).response().header("X-XSS-Protection") == "0"
    assert client.post("4x", {"User-Agent": "x"}).response().header("X-XSS-Protection") is None


def inject_by_hook(server: Server, name: Any, value: Any) -> None:
    server.engine.on("headers", lambda headers, request: headers.update({name: value}))


def inject_by_middleware(server: Server, name: Any, value: Any) -> None:
    server.engine.use(lambda request: request.response_headers.update({name: value}))


def inject_by_response(server: Server, name: Any, value: Any) -> None:
    server.engine.use(lambda request: HttpResponse(200, b"", [(name, value)]))


@pytest.mark.parametrize("inject", [inject_by_hook, inject_by_middleware, inject_by_response])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "b\r\nSet-Cookie: evil=1"),
        ("X-A\r\nX-B", "c"),
        ("X A", "b"),
        ("X-A", "\x00"),
        ("X-A", "\u20ac"),
        ("X-A", object()),
    ],
)
def test_invalid_response_header_is_never_sent(
    inject: Callable[[Server, Any, Any], None], name: Any, value: Any, transport: str
) -> None:
    server = Server()
    other = server.open_websocket()
    inject(server, name, value)
    connection = open_session(server, transport)
    response = connection.response()
    # A response of the program is replaced; the server's own responses omit the header.
    is_replaced = inject is inject_by_response
    opened = 101 if transport == "websocket" else 200
    assert response.status == (500 if is_replaced else opened)
    assert response.header("Set-Cookie") is response.header("X-A") is response.header("X-B") is None
    assert connection.tcp.is_over is is_replaced
    other.send("still served")
    assert server.received == ["still served"]


def test_error_in_a_hook_does_not_change_the_response(transport: str) -> None:
    server = Server()

    def fail(*args: object) -> None:
        raise RuntimeError("hook error")

    for event in ("headers", "initial_headers", "connection", "connection_error"):
        server.engine.on(event, fail)
    assert open_session(server, transport).response().status == success_status(transport)
    assert open_session(server, "polling", EIO="1").response().status == 400


async def test_no_session_opens_when_the_client_left_and_the_middleware_ignores_the_cancellation(
    transport: str,
) -> None:
    server = Server()

    @server.engine.use
    async def ignore_cancellation(request: HttpRequest) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

    if transport == "polling":
        connection = server.get(transport="polling")
    else:
        connection = server.upgrade()
    await asyncio.sleep(0)
    connection.tcp.lose()
    for _ in range(5):
        await asyncio.sleep(0)
    assert server.engine.sessions == {}
