"""Middlewares, and the hooks that see the headers of every answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from engineio_core import HttpRequest, HttpResponse
from engineio_core.errors import FORBIDDEN, HandshakeRefusedError
from tests.helpers.client import Connection, Server
from tests.helpers.wire import http_request


def knock(server: Server, transport: str, **query: str) -> Connection:
    """Ask for a new session."""
    if transport == "polling":
        return server.get(transport="polling", **query)
    return server.upgrade(**query)


def greeted(transport: str) -> int:
    return 200 if transport == "polling" else 101


def test_a_middleware_adds_headers_to_the_answer(transport: str) -> None:
    server = Server()

    @server.engine.use
    def add_header(request: HttpRequest) -> None:
        request.response_headers["X-Powered-By"] = "coffee"

    response = knock(server, transport).response()
    assert (response.status, response.header("x-powered-by")) == (greeted(transport), "coffee")


def test_middlewares_run_in_order_and_share_the_state_of_the_request(transport: str) -> None:
    server = Server()
    server.engine.use(lambda request: request.state.update(seen=["first"]))
    server.engine.use(lambda request: request.state["seen"].append("second"))
    knock(server, transport)
    assert server.session.request.state == {"seen": ["first", "second"]}


@pytest.mark.parametrize("status", [401, 503])
def test_a_middleware_that_answers_ends_the_request(transport: str, status: int) -> None:
    server = Server()
    asked: list[str] = []
    server.engine.use(lambda request: HttpResponse(status, b"no", [("X-Why", "closed")]))
    server.engine.use(lambda request: asked.append("second"))
    connection = knock(server, transport)
    response = connection.response()
    assert (response.status, response.body, response.header("x-why")) == (status, b"no", "closed")
    assert connection.tcp.is_closed == (transport == "websocket")
    assert not asked
    assert not (server.sessions)
    assert not (server.errors)


def test_a_middleware_that_fails_refuses_the_request_with_code_3(transport: str) -> None:
    server = Server()

    @server.engine.use
    def fail(request: HttpRequest) -> None:
        raise RuntimeError("secret details")

    response = knock(server, transport).response()
    assert response.status == 400
    assert b"secret" not in response.body
    assert server.errors[0].context["name"] == "MIDDLEWARE_FAILURE"
    if transport == "polling":
        assert response.json == {"code": 3, "message": "Bad request"}


def test_a_middleware_may_refuse_in_the_words_of_the_protocol() -> None:
    server = Server()

    @server.engine.use
    def refuse(request: HttpRequest) -> None:
        raise HandshakeRefusedError(FORBIDDEN, message="not you")

    response = server.get(transport="polling").response()
    assert (response.status, response.json) == (403, {"code": 4, "message": "not you"})


def test_a_middleware_that_returns_something_else_refuses_the_request(transport: str) -> None:
    server = Server()
    server.engine.use(lambda request: request.headers.get("host"))  # type: ignore[arg-type,return-value]
    assert knock(server, transport).response().status == 400
    assert isinstance(server.errors[0].context["error"], TypeError)
    assert not server.sessions


def test_middlewares_see_every_request_of_a_session() -> None:
    server = Server()
    seen: list[str] = []
    server.engine.use(lambda request: seen.append(request.method))
    client = server.open_polling()
    client.post("4a")
    client.poll()
    client.upgrade()
    assert seen == ["GET", "POST", "GET", "GET"]


async def test_async_middlewares_are_awaited(transport: str) -> None:
    server = Server()
    order: list[str] = []

    async def slow(request: HttpRequest) -> None:
        await asyncio.sleep(0)
        order.append("slow")

    server.engine.use(slow)
    server.engine.use(lambda request: order.append("quick"))
    connection = knock(server, transport)
    assert connection.responses() == []
    await asyncio.sleep(0.01)
    assert connection.response().status == greeted(transport)
    assert order == ["slow", "quick"]


async def test_an_async_middleware_may_answer_or_fail(transport: str) -> None:
    server = Server()

    async def judge(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        if request.query["name"] == "eve":
            raise PermissionError
        return HttpResponse(401)

    server.engine.use(judge)
    connections = [knock(server, transport, name=name) for name in ("adam", "eve")]
    await asyncio.sleep(0.01)
    assert [each.response().status for each in connections] == [401, 400]


async def test_a_middleware_that_never_ends_is_given_up(transport: str) -> None:
    server = Server(handshake_timeout=0.01)

    async def wait(request: HttpRequest) -> None:
        await asyncio.Event().wait()

    server.engine.use(wait)
    connection = knock(server, transport)
    await asyncio.sleep(0.03)
    assert connection.response().status == 400


async def test_a_client_that_leaves_ends_the_middleware_that_works_for_it() -> None:
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
    await asyncio.sleep(0.01)
    assert ends == ["cancelled"]
    assert not server.sessions


async def test_stopping_the_engine_answers_the_requests_that_wait() -> None:
    server = Server()

    async def wait(request: HttpRequest) -> None:
        await asyncio.Event().wait()

    server.engine.use(wait)
    connection = server.get(transport="polling")
    await asyncio.sleep(0)
    server.engine.close()
    await asyncio.sleep(0.01)
    assert connection.response().status == 503
    assert connection.tcp.is_closed


async def test_what_follows_a_slow_middleware_is_kept_in_order() -> None:
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
    await asyncio.sleep(0.01)
    server.clock.run()
    assert server.received == ["0", "1", "2", "3", "4"]
    assert [each.text for each in connection.responses()] == ["ok"] * 5


async def test_the_limit_of_a_body_holds_behind_a_middleware() -> None:
    server = Server(max_http_buffer_size=100)

    async def slow(request: HttpRequest) -> None:
        await asyncio.sleep(0)

    client = server.open_polling()
    server.engine.use(slow)
    connection = client.post("4" + "x" * 100)
    await asyncio.sleep(0.01)
    assert connection.response().status == 413
    assert server.closed == []


def test_a_sync_middleware_needs_no_event_loop() -> None:
    server = Server()
    server.engine.use(lambda request: None)
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
    server.open_polling()


# -- headers and initial_headers


def hooked(server: Server, event: Any) -> list[tuple[str, dict[str, str]]]:
    calls: list[tuple[str, dict[str, str]]] = []

    def add(headers: dict[str, str], request: HttpRequest) -> None:
        headers[f"X-{event}"] = "yes"
        calls.append((request.method, headers))

    server.engine.on(event, add)
    return calls


def test_initial_headers_come_once_a_session(transport: str) -> None:
    server = Server()
    calls = hooked(server, "initial_headers")
    response = knock(server, transport).response()
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


def test_headers_come_with_every_answer_of_a_session() -> None:
    server = Server()
    calls = hooked(server, "headers")
    client = server.open_polling()
    server.session.send_text("x")
    answers = [client.poll(), client.post("4a"), server.upgrade(sid=client.sid)]
    assert [each.response().header("x-headers") for each in answers] == ["yes"] * 3
    assert len(calls) == 4


def test_a_second_cookie_may_be_set_by_a_hook() -> None:
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
def test_old_internet_explorers_are_told_to_leave_answers_alone(agent: str) -> None:
    server = Server()
    client = server.open_polling()
    assert client.post("4x", {"User-Agent": agent}).response().header("X-XSS-Protection") == "0"
    assert client.post("4x", {"User-Agent": "x"}).response().header("X-XSS-Protection") is None


def inject_by_hook(server: Server, name: Any, value: Any) -> None:
    server.engine.on("headers", lambda headers, request: headers.update({name: value}))


def inject_by_middleware(server: Server, name: Any, value: Any) -> None:
    server.engine.use(lambda request: request.response_headers.update({name: value}))


def inject_by_answer(server: Server, name: Any, value: Any) -> None:
    server.engine.use(lambda request: HttpResponse(200, b"", [(name, value)]))


@pytest.mark.parametrize("inject", [inject_by_hook, inject_by_middleware, inject_by_answer])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "b\r\nSet-Cookie: evil=1"),
        ("X-A\r\nX-B", "c"),
        ("X A", "b"),
        ("X-A", "\x00"),
        ("X-A", "\u20ac"),
        ("X-A", 7),
    ],
)
def test_a_header_that_would_break_the_answer_makes_it_a_500_for_that_client_alone(
    inject: Callable[[Server, Any, Any], None], name: Any, value: Any, transport: str
) -> None:
    server = Server()
    other = server.open_websocket()
    inject(server, name, value)
    connection = knock(server, transport)
    response = connection.response()
    assert response.status == 500
    assert response.header("Set-Cookie") is None
    assert connection.tcp.is_over
    other.send("unharmed")
    assert server.received == ["unharmed"]


def test_a_hook_that_fails_changes_nothing(transport: str) -> None:
    server = Server()

    def fail(*args: object) -> None:
        raise RuntimeError("bug")

    for event in ("headers", "initial_headers", "connection", "connection_error"):
        server.engine.on(event, fail)
    assert knock(server, transport).response().status == greeted(transport)
    assert knock(server, "polling", EIO="1").response().status == 400


@pytest.mark.parametrize("asked", ["polling", "websocket"])
async def test_a_client_that_left_gets_no_session_from_a_middleware_that_goes_on(
    asked: str,
) -> None:
    server = Server()

    @server.engine.use
    async def stubborn(request: HttpRequest) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

    if asked == "polling":
        connection = server.get(transport="polling")
    else:
        connection = server.upgrade()
    await asyncio.sleep(0)
    connection.tcp.lose()
    for _ in range(5):
        await asyncio.sleep(0)
    assert server.engine.sessions == {}
