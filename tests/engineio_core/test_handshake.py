"""Handshakes: the open packet, session IDs, request data, paths and the cookie."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from engineio_core import Cookie, EngineOptions, HttpRequest
from engineio_core.handshake import OpenPackets, encode_open
from tests.engineio_core.support import refusal
from tests.helpers.client import Server
from tests.helpers.waiting import settle
from tests.helpers.wire import client_frame, text_frame


def test_open_packet_contains_the_default_options(transport: str) -> None:
    server = Server()
    handshake = server.open(transport).handshake
    assert list(handshake) == ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]
    assert handshake["pingInterval"] == 25000
    assert handshake["pingTimeout"] == 20000
    assert handshake["maxPayload"] == 1_000_000


def test_open_packet_contains_custom_intervals_in_milliseconds(transport: str) -> None:
    server = Server(ping_interval=0.3, ping_timeout=0.2, max_http_buffer_size=500)
    handshake = server.open(transport).handshake
    assert (handshake["pingInterval"], handshake["pingTimeout"]) == (300, 200)
    assert handshake["maxPayload"] == 500


@pytest.mark.parametrize("sid", ["first", 'a "quoted" \\ one', "\u00e9", ""])
def test_open_packets_differ_only_in_the_sid(transport: str, sid: str) -> None:
    options = EngineOptions(ping_interval=0.3)
    packets = OpenPackets(options)
    for each in ("another", sid, sid):
        assert packets.encode(each, transport) == encode_open(each, transport, options)


def test_polling_handshake_response_has_the_headers_of_the_node_server() -> None:
    response = Server().get(transport="polling").response()
    assert response.header("Content-Type") == "text/plain; charset=UTF-8"
    assert response.header("cache-control") == "no-store"
    assert response.header("Content-Length") == str(len(response.body))
    assert response.header("Set-Cookie") is None


def test_upgrade_response_has_exactly_the_headers_of_rfc_6455() -> None:
    response = Server().upgrade({"Sec-WebSocket-Protocol": "first, second"}).response()
    assert {name.lower(): value for name, value in response.headers} == {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "sec-websocket-protocol": "first",
    }


@pytest.mark.parametrize(
    ("options", "upgrades"),
    [
        ({}, ["websocket"]),
        ({"allow_upgrades": False}, []),
        ({"transports": ["polling"]}, []),
    ],
)
def test_open_packet_offers_only_possible_upgrades(
    options: dict[str, Any], upgrades: list[str]
) -> None:
    assert Server(**options).open_polling().handshake["upgrades"] == upgrades


def test_open_packet_offers_no_upgrade_to_a_websocket() -> None:
    assert Server().open_websocket().handshake["upgrades"] == []


def test_session_opens_with_the_requested_transport(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    assert server.session.transport.name == transport
    assert server.engine.sessions == {client.sid: server.session}


def test_sids_are_unique_and_have_20_url_safe_characters() -> None:
    server = Server()
    sids = {server.open_polling().sid for _ in range(100)}
    assert len(sids) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{20}", sid) for sid in sids)


def test_generate_id_provides_the_sid(transport: str) -> None:
    server = Server(generate_id=lambda request: f"id-of-{request.query['user']}")
    query = {"user": "ada"}
    connection = (
        server.get(transport="polling", **query)
        if transport == "polling"
        else server.upgrade(**query)
    )
    assert connection.response().status in {101, 200}
    assert list(server.engine.sessions) == ["id-of-ada"]


async def test_async_generate_id_is_awaited() -> None:
    async def generate(request: HttpRequest) -> str:
        await asyncio.sleep(0)
        return "from-a-database"

    server = Server(generate_id=generate)
    server.get(transport="polling")
    await settle()
    assert list(server.engine.sessions) == ["from-a-database"]


@pytest.mark.parametrize("generated", ["", None, 7])
def test_request_is_refused_with_code_3_when_generate_id_returns_an_invalid_sid(
    generated: Any,
) -> None:
    server = Server(generate_id=lambda request: generated)
    assert refusal(server.get(transport="polling").response()) == (400, 3, "Bad request")
    assert server.errors[0].context["name"] == "ID_GENERATION_ERROR"


def test_request_is_refused_when_generate_id_raises(transport: str) -> None:
    def generate(request: HttpRequest) -> str:
        raise RuntimeError("no ids left")

    server = Server(generate_id=generate)
    connection = server.get(transport="polling") if transport == "polling" else server.upgrade()
    assert connection.response().status == 400
    assert server.errors[0].context["name"] == "ID_GENERATION_ERROR"
    assert not server.sessions


def test_request_is_refused_when_the_generated_sid_is_in_use() -> None:
    server = Server(generate_id=lambda request: "twice")
    assert server.get(transport="polling").response().status == 200
    assert server.get(transport="polling").response().status == 400
    assert len(server.engine.sessions) == 1


def test_initial_packet_follows_the_open_packet() -> None:
    server = Server(initial_packet="faster!")
    response = server.get(transport="polling").response()
    assert re.fullmatch("0{.*}\x1e4faster!", response.text)
    connection = server.upgrade()
    connection.response()
    frames = connection.frames()
    assert [frame.payload[:1] for frame in frames] == [b"0", b"4"]
    assert frames[1].payload == b"4faster!"


def test_packet_of_the_connection_hook_follows_the_open_packet(transport: str) -> None:
    server = Server()
    server.engine.on("connection", lambda session: session.send_text("welcome"))
    if transport == "polling":
        assert server.open_polling().messages() == ["welcome"]
    else:
        connection = server.upgrade()
        assert connection.response().status == 101
        assert [frame.payload[:1] for frame in connection.frames()] == [b"0", b"4"]


def test_query_of_the_client_is_stored_in_the_session(transport: str) -> None:
    server = Server()
    query = {"a": "b", "name": "J\u00fcrgen & co", "transport": transport}
    if transport == "polling":
        server.get(**query)
    else:
        server.upgrade(**query)
    request = server.session.request
    assert request.query["a"] == "b"
    assert request.query["name"] == "J\u00fcrgen & co"
    assert request.query["EIO"] == "4"


def test_headers_of_the_client_are_stored_in_the_session(transport: str) -> None:
    server = Server()
    server.open_polling({"X-Custom": "yes", "Cookie": "a=1"})
    server.open_websocket({"X-Custom": "yes", "Cookie": "a=1"})
    for session in server.sessions:
        assert session.request.headers["x-custom"] == "yes"
        assert session.request.headers["cookie"] == "a=1"


def test_address_of_the_client_is_stored_in_the_session(transport: str) -> None:
    server = Server()
    server.open(transport)
    assert server.session.request.remote_address == "192.0.2.7"


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("a=1&a=2", {"a": "2"}),
        ("a=%zz&b=%", {"a": "%zz", "b": "%"}),
        ("a=%ff", {"a": "\ufffd"}),
        ("a+b=c+d", {"a b": "c d"}),
        ("&&=x&a", {"": "x", "a": ""}),
    ],
)
def test_unusual_query_is_parsed(query: str, values: dict[str, str]) -> None:
    server = Server()
    connection = server.connect()
    connection.request("GET", f"/engine.io/?EIO=4&transport=polling&{query}")
    assert connection.response().status == 200
    assert values.items() <= server.session.request.query.items()


@pytest.mark.parametrize(
    ("path", "add_trailing_slash", "target", "status"),
    [
        ("/engine.io", True, "/engine.io/", 200),
        ("/engine.io", True, "/engine.io", 200),
        ("/engine.io/", True, "/engine.io/", 200),
        ("/engine.io", True, "/engine.io/default/", 200),
        ("/engine.io", True, "/engine.iox", 404),
        ("/engine.io", True, "/", 404),
        ("/engine.io", True, "/Engine.io/", 404),
        ("/engine.io", False, "/engine.io", 200),
        ("/engine.io", False, "/engine.io/foo/bar/", 200),
        ("/", True, "//", 200),
        ("/engine.io", True, "http://host.example/engine.io/", 200),
    ],
)
def test_engine_responds_only_below_its_path(
    path: str, add_trailing_slash: bool, target: str, status: int
) -> None:
    server = Server(path=path, add_trailing_slash=add_trailing_slash)
    connection = server.connect()
    connection.request("GET", f"{target}?EIO=4&transport=polling")
    assert connection.response().status == status


def test_unknown_file_below_the_path_is_refused_with_code_0() -> None:
    connection = Server().connect()
    connection.request("GET", "/engine.io/unknown.js")
    assert refusal(connection.response()) == (400, 0, "Transport unknown")


def test_upgrade_outside_the_path_receives_404() -> None:
    server = Server()
    connection = server.connect()
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    connection.request("GET", "/elsewhere", headers)
    assert connection.response().status == 404


def test_handshake_receives_503_when_the_engine_is_full(transport: str) -> None:
    server = Server(max_sessions=1)
    first = server.open(transport)
    for connection in (server.get(transport="polling"), server.upgrade()):
        response = connection.response()
        assert (response.status, response.header("Retry-After")) == (503, "5")
    server.session.close(discard=True)
    assert first.is_over
    server.open(transport)


def test_open_session_upgrades_when_the_engine_is_full() -> None:
    server = Server(max_sessions=1)
    candidate = server.open_polling().upgrade()
    candidate.send_packet("2probe")
    assert candidate.texts() == ["3probe"]


@pytest.mark.parametrize("garbage", [b"\xff" * 20, client_frame(1, b"x", rsv=3), b"GET / HTTP/1.1"])
def test_invalid_bytes_after_a_websocket_handshake_close_only_that_session(garbage: bytes) -> None:
    server = Server()
    other = server.open_websocket()
    connection = server.upgrade(tail=garbage)
    assert connection.response().status == 101
    assert server.reasons == ["transport error"]
    other.send("still here")
    assert server.received == ["still here"]


def test_invalid_bytes_after_an_upgrade_request_keep_the_polling_session() -> None:
    server = Server()
    client = server.open_polling()
    client.upgrade(tail=b"\xff" * 20)
    client.send("still here")
    assert server.received == ["still here"]
    assert server.closed == []


def test_message_in_the_same_segment_as_the_handshake_is_delivered() -> None:
    server = Server()
    server.upgrade(tail=text_frame("4early") + client_frame(2, b"\x00"))
    assert server.received == ["early", b"\x00"]


def test_bytes_after_an_upgrade_are_not_parsed_as_http() -> None:
    server = Server(echo=True)
    # With a mask of zeros and line ends, an HTTP parser could accept this frame as a request.
    connection = server.upgrade(tail=b"\x81\x83\x00\x00\x00\x004\n\n")
    server.clock.advance(server.engine.options.header_timeout + 1)
    assert connection.response().status == 101
    assert [frame.payload[:3] for frame in connection.frames()] == [b'0{"', b"4\n\n"]
    assert server.closed == []


@pytest.mark.parametrize("missing", ["Sec-WebSocket-Key", "Sec-WebSocket-Version", "Connection"])
def test_incomplete_websocket_handshake_receives_400(missing: str) -> None:
    server = Server()
    headers = {missing: "keep-alive" if missing == "Connection" else "7"}
    response = server.upgrade(headers).response()
    assert response.status == 400
    assert response.header("Connection") == "close"
    versions = "13" if missing == "Sec-WebSocket-Version" else None
    assert response.header("Sec-WebSocket-Version") == versions
    assert not server.sessions


def test_websocket_handshake_with_a_body_is_refused() -> None:
    server = Server()
    response = server.upgrade({"Content-Length": "5"}, tail=b"hello").response()
    assert response.status == 400
    assert not server.sessions


def test_http_connection_and_its_timers_end_after_an_upgrade() -> None:
    server = Server()
    client = server.open_websocket()
    assert server.engine._connections == set()
    assert client.tcp.get_protocol() is server.session.transport
    heartbeat_only = 1
    assert server.clock.pending == heartbeat_only


# -- cookie


@pytest.mark.parametrize(
    ("cookie", "expected"),
    [
        (Cookie(), "io={sid}; Path=/; HttpOnly; SameSite=Lax"),
        (Cookie(name="session"), "session={sid}; Path=/; HttpOnly; SameSite=Lax"),
        (Cookie(path="/custom"), "io={sid}; Path=/custom; HttpOnly; SameSite=Lax"),
        (Cookie(path=None), "io={sid}; HttpOnly; SameSite=Lax"),
        (Cookie(http_only=False), "io={sid}; Path=/; SameSite=Lax"),
        (Cookie(same_site="strict"), "io={sid}; Path=/; HttpOnly; SameSite=Strict"),
        (
            Cookie(same_site="none", secure=True, domain="x.example", max_age=60),
            "io={sid}; Max-Age=60; Domain=x.example; Path=/; HttpOnly; Secure; SameSite=None",
        ),
        (Cookie(same_site=None), "io={sid}; Path=/; HttpOnly"),
    ],
)
def test_cookie_contains_the_sid(cookie: Cookie, expected: str) -> None:
    client = Server(cookie=cookie).open_polling()
    assert client.response.header("Set-Cookie") == expected.format(sid=client.sid)


def test_cookie_is_set_only_by_the_polling_handshake() -> None:
    server = Server(cookie=Cookie())
    client = server.open_polling()
    server.session.send_text("hi")
    assert client.poll().response().header("Set-Cookie") is None
    assert server.upgrade().response().header("Set-Cookie") is None


@pytest.mark.parametrize(
    "options",
    [{"name": "a b"}, {"name": "x\r\n"}, {"path": "/;x"}, {"domain": "a\r\nb"}, {"same_site": "?"}],
)
def test_invalid_cookie_is_rejected_at_construction(
    options: dict[str, Any],
) -> None:
    with pytest.raises(ValueError):
        Cookie(**options)
