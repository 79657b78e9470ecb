"""The opening of a session: what is accepted, what is refused, and with which words."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from engineio_core import Cookie, Cors, HttpRequest
from tests.helpers.client import Server
from tests.helpers.wire import Response, client_frame, http_request, text_frame

JSON_BODY = "application/json"


def refusal(response: Response) -> tuple[int, int, str]:
    assert response.header("Content-Type") == JSON_BODY
    return response.status, response.json["code"], response.json["message"]


# -- what is refused, in the order of the checks


@pytest.mark.parametrize("name", ["tobi", "constructor", "__proto__", "webtransport", ""])
def test_a_transport_that_does_not_exist_is_refused_with_code_0(name: str) -> None:
    server = Server()
    assert refusal(server.get(transport=name).response()) == (400, 0, "Transport unknown")
    assert server.errors[0].code == 0
    assert server.errors[0].context == {"transport": name}


def test_a_missing_transport_is_refused_with_code_0() -> None:
    assert refusal(Server().get().response()) == (400, 0, "Transport unknown")


@pytest.mark.parametrize("name", ["tobi", "__proto__"])
def test_a_websocket_with_an_unknown_transport_is_answered_400_in_words(name: str) -> None:
    server = Server()
    connection = server.upgrade(transport=name)
    response = connection.response()
    assert (response.status, response.text) == (400, "Transport unknown")
    assert response.header("Content-Type") == "text/html"
    assert response.header("Connection") == "close"
    assert connection.tcp.is_closed


def test_a_transport_that_is_switched_off_is_unknown() -> None:
    server = Server(transports=["websocket"])
    assert refusal(server.get(transport="polling").response())[1] == 0


def test_an_unknown_sid_is_refused_with_code_1() -> None:
    server = Server()
    response = server.get(transport="polling", sid="thisisnot").response()
    assert refusal(response) == (400, 1, "Session ID unknown")
    assert server.errors[0].context == {"sid": "thisisnot"}


def test_an_unknown_sid_on_a_websocket_is_answered_400_in_words() -> None:
    response = Server().upgrade(sid="thisisnot").response()
    assert (response.status, response.text) == (400, "Session ID unknown")


def test_an_empty_sid_is_a_handshake() -> None:
    server = Server()
    assert server.get(transport="polling", sid="").response().status == 200
    assert len(server.sessions) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_a_handshake_is_a_get_and_others_are_refused_with_code_2(method: str) -> None:
    server = Server()
    response = server.send(method, transport="polling").response()
    assert refusal(response) == (400, 2, "Bad handshake method")
    assert server.errors[0].context == {"method": method}


def test_a_websocket_transport_without_an_upgrade_is_refused_with_code_3() -> None:
    server = Server(cors=Cors(origins="*"))
    response = server.get({"Origin": "http://engine.io"}, transport="websocket").response()
    assert refusal(response) == (400, 3, "Bad request")
    assert response.header("Access-Control-Allow-Origin") == "*"
    assert server.errors[0].context == {"name": "TRANSPORT_HANDSHAKE_ERROR"}


def test_an_upgrade_without_the_websocket_transport_is_refused() -> None:
    response = Server().upgrade(transport="polling").response()
    assert (response.status, response.text) == (400, "Bad request")


def test_an_origin_with_control_characters_is_refused_with_code_3() -> None:
    server = Server(cors=Cors(origins=re.compile(".*")))
    response = server.get({"Origin": "http://engine.io/\x01"}, transport="polling").response()
    assert refusal(response) == (400, 3, "Bad request")
    assert server.errors[0].context["name"] == "INVALID_ORIGIN"
    assert response.header("Access-Control-Allow-Origin") is None


@pytest.mark.parametrize("revision", ["2", "3", "5", "abc", ""])
def test_another_protocol_revision_is_refused_with_code_5(revision: str) -> None:
    server = Server()
    response = server.get(transport="polling", EIO=revision).response()
    assert refusal(response) == (400, 5, "Unsupported protocol version")
    assert server.errors[0].context == {"protocol": 3}


def test_another_protocol_revision_on_a_websocket_is_refused_before_the_101() -> None:
    response = Server().upgrade(EIO="3").response()
    assert (response.status, response.text) == (400, "Unsupported protocol version")


def test_an_unknown_transport_is_noticed_before_a_bad_revision() -> None:
    assert refusal(Server().get(transport="tobi", EIO="3").response())[1] == 0


def test_a_bad_method_is_noticed_before_allow_request_is_asked() -> None:
    asked: list[HttpRequest] = []
    server = Server(allow_request=asked.append)
    assert refusal(server.post(b"", transport="polling").response())[1] == 2
    assert asked == []


def test_allow_request_is_asked_before_the_revision_is_judged() -> None:
    server = Server(allow_request=lambda request: False)
    assert refusal(server.get(transport="polling", EIO="3").response()) == (403, 4, "Forbidden")


def test_allow_request_refuses_in_its_own_words_with_code_4() -> None:
    server = Server(allow_request=lambda request: "Thou shall not pass")
    response = server.get(transport="polling").response()
    assert refusal(response) == (403, 4, "Thou shall not pass")
    assert server.errors[0].message == "Forbidden"
    assert server.errors[0].context == {"message": "Thou shall not pass"}


def test_allow_request_refuses_a_websocket_in_its_own_words() -> None:
    server = Server(allow_request=lambda request: "Thou shall not pass")
    response = server.upgrade().response()
    assert (response.status, response.text) == (400, "Thou shall not pass")
    assert not server.sessions


@pytest.mark.parametrize("verdict", [True, None])
def test_allow_request_lets_pass(verdict: bool | None, transport: str) -> None:
    server = Server(allow_request=lambda request: verdict)
    assert server.open(transport).sid in server.engine.sessions


def test_an_exception_in_allow_request_refuses(transport: str) -> None:
    def allow(request: HttpRequest) -> bool:
        raise RuntimeError("no database")

    server = Server(allow_request=allow)
    assert server.get(transport="polling").response().status == 403


async def test_allow_request_may_be_awaited() -> None:
    async def allow(request: HttpRequest) -> bool | str:
        await asyncio.sleep(0)
        return True if request.query.get("token") == "good" else "who are you?"

    server = Server(allow_request=allow)
    connections = [server.get(transport="polling", token=token) for token in ("good", "bad")]
    await asyncio.sleep(0.01)
    assert [each.response().status for each in connections] == [200, 403]


async def test_allow_request_that_never_answers_is_given_up() -> None:
    async def allow(request: HttpRequest) -> bool:
        await asyncio.Event().wait()
        return True

    server = Server(allow_request=allow, handshake_timeout=0.01)
    connection = server.get(transport="polling")
    await asyncio.sleep(0.03)
    assert refusal(connection.response()) == (400, 3, "Bad request")


def test_allow_request_is_not_asked_again_for_a_session_that_exists() -> None:
    asked: list[str] = []
    server = Server(allow_request=lambda request: asked.append(request.target))
    client = server.open_polling()
    client.send("hi")
    assert len(asked) == 1


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS"])
def test_another_method_on_a_session_is_answered_405_and_changes_nothing(method: str) -> None:
    server = Server()
    client = server.open_polling()
    connection = server.send(method, transport="polling", sid=client.sid)
    response = connection.response(head_only=method == "HEAD")
    assert (response.status, response.header("Allow")) == (405, "GET, POST")
    assert server.closed == []


def test_a_websocket_request_without_upgrade_for_a_polling_session_is_a_mismatch() -> None:
    # What a proxy that does not speak WebSocket makes of an upgrade.
    server = Server()
    client = server.open_polling()
    response = server.get(transport="websocket", sid=client.sid).response()
    assert refusal(response) == (400, 3, "Bad request")
    assert server.errors[0].context == {
        "name": "TRANSPORT_MISMATCH",
        "transport": "websocket",
        "previousTransport": "polling",
    }
    assert server.closed == []


def test_a_plain_request_for_a_websocket_session_is_refused() -> None:
    server = Server()
    client = server.open_websocket()
    for method, name in [("GET", "polling"), ("POST", "polling"), ("GET", "websocket")]:
        response = server.send(method, body=b"4x", transport=name, sid=client.sid).response()
        assert refusal(response) == (400, 3, "Bad request")
    assert server.closed == []


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_upgrade_that_is_no_get_is_refused(method: str) -> None:
    server = Server()
    client = server.open_websocket()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    connection.feed(http_request(method, target, headers, b"4x"))
    assert connection.response().status == 400
    assert server.received == []


# -- what is accepted


def test_the_handshake_tells_the_options_of_the_server(transport: str) -> None:
    server = Server()
    handshake = server.open(transport).handshake
    assert list(handshake) == ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]
    assert handshake["pingInterval"] == 25000
    assert handshake["pingTimeout"] == 20000
    assert handshake["maxPayload"] == 1_000_000


def test_the_handshake_tells_custom_intervals_in_milliseconds(transport: str) -> None:
    server = Server(ping_interval=0.3, ping_timeout=0.2, max_http_buffer_size=500)
    handshake = server.open(transport).handshake
    assert (handshake["pingInterval"], handshake["pingTimeout"]) == (300, 200)
    assert handshake["maxPayload"] == 500


def test_the_answer_to_a_polling_handshake_has_the_headers_of_node() -> None:
    response = Server().get(transport="polling").response()
    assert response.header("Content-Type") == "text/plain; charset=UTF-8"
    assert response.header("cache-control") == "no-store"
    assert response.header("Content-Length") == str(len(response.body))
    assert response.header("Set-Cookie") is None


def test_the_101_has_what_rfc_6455_wants_and_nothing_else() -> None:
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
def test_only_possible_upgrades_are_suggested(options: dict[str, Any], upgrades: list[str]) -> None:
    assert Server(**options).open_polling().handshake["upgrades"] == upgrades


def test_no_upgrade_is_suggested_to_a_websocket() -> None:
    assert Server().open_websocket().handshake["upgrades"] == []


def test_a_session_opens_with_the_transport_that_is_asked_for(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    assert server.session.transport.name == transport
    assert server.engine.sessions == {client.sid: server.session}


def test_sids_have_20_characters_that_balancers_know_and_never_repeat() -> None:
    server = Server()
    sids = {server.open_polling().sid for _ in range(100)}
    assert len(sids) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{20}", sid) for sid in sids)


def test_sids_can_be_made_by_the_application(transport: str) -> None:
    server = Server(generate_id=lambda request: f"id-of-{request.query['user']}")
    query = {"user": "ada"}
    connection = (
        server.get(transport="polling", **query)
        if transport == "polling"
        else server.upgrade(**query)
    )
    assert connection.response().status in {101, 200}
    assert list(server.engine.sessions) == ["id-of-ada"]


async def test_sids_can_be_awaited() -> None:
    async def generate(request: HttpRequest) -> str:
        await asyncio.sleep(0)
        return "from-a-database"

    server = Server(generate_id=generate)
    server.get(transport="polling")
    await asyncio.sleep(0.01)
    assert list(server.engine.sessions) == ["from-a-database"]


@pytest.mark.parametrize("made", ["", None, 7])
def test_an_unusable_sid_refuses_the_request_with_code_3(made: Any) -> None:
    server = Server(generate_id=lambda request: made)
    assert refusal(server.get(transport="polling").response()) == (400, 3, "Bad request")
    assert server.errors[0].context["name"] == "ID_GENERATION_ERROR"


def test_an_exception_in_generate_id_refuses_the_request(transport: str) -> None:
    def generate(request: HttpRequest) -> str:
        raise RuntimeError("no ids left")

    server = Server(generate_id=generate)
    connection = server.get(transport="polling") if transport == "polling" else server.upgrade()
    assert connection.response().status == 400
    assert server.errors[0].context["name"] == "ID_GENERATION_ERROR"
    assert not server.sessions


def test_a_sid_that_is_taken_refuses_the_request() -> None:
    server = Server(generate_id=lambda request: "twice")
    assert server.get(transport="polling").response().status == 200
    assert server.get(transport="polling").response().status == 400
    assert len(server.engine.sessions) == 1


def test_the_initial_packet_comes_along_with_the_handshake() -> None:
    server = Server(initial_packet="faster!")
    response = server.get(transport="polling").response()
    assert re.fullmatch("0{.*}\x1e4faster!", response.text)
    connection = server.upgrade()
    connection.response()
    frames = connection.frames()
    assert [frame.payload[:1] for frame in frames] == [b"0", b"4"]
    assert frames[1].payload == b"4faster!"


def test_what_the_connection_hook_sends_comes_after_the_handshake(transport: str) -> None:
    server = Server()
    server.engine.on("connection", lambda session: session.send_text("welcome"))
    assert server.open(transport).messages() == ["welcome"] if transport == "polling" else True
    connection = server.upgrade()
    connection.response()
    assert [frame.payload[:1] for frame in connection.frames()] == [b"0", b"4"]


def test_user_parameters_of_the_query_reach_the_session(transport: str) -> None:
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


def test_headers_of_the_client_reach_the_session(transport: str) -> None:
    server = Server()
    server.open_polling({"X-Custom": "yes", "Cookie": "a=1"})
    server.open_websocket({"X-Custom": "yes", "Cookie": "a=1"})
    for session in server.sessions:
        assert session.request.headers["x-custom"] == "yes"
        assert session.request.headers["cookie"] == "a=1"


def test_the_address_of_the_client_reaches_the_session(transport: str) -> None:
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
def test_queries_that_browsers_never_send_are_read_all_the_same(
    query: str, values: dict[str, str]
) -> None:
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
def test_the_engine_answers_below_its_path(
    path: str, add_trailing_slash: bool, target: str, status: int
) -> None:
    server = Server(path=path, add_trailing_slash=add_trailing_slash)
    connection = server.connect()
    connection.request("GET", f"{target}?EIO=4&transport=polling")
    assert connection.response().status == status


def test_an_unknown_file_below_the_path_gets_the_engines_refusal() -> None:
    connection = Server().connect()
    connection.request("GET", "/engine.io/unknown.js")
    assert refusal(connection.response()) == (400, 0, "Transport unknown")


def test_an_upgrade_outside_of_the_path_is_answered_404() -> None:
    server = Server()
    connection = server.connect()
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    connection.request("GET", "/elsewhere", headers)
    assert connection.response().status == 404


def test_a_full_engine_answers_503(transport: str) -> None:
    server = Server(max_sessions=1)
    first = server.open(transport)
    for connection in (server.get(transport="polling"), server.upgrade()):
        response = connection.response()
        assert (response.status, response.header("Retry-After")) == (503, "5")
    server.session.close(discard=True)
    assert first.is_over
    server.open(transport)


def test_a_full_engine_lets_its_sessions_upgrade() -> None:
    server = Server(max_sessions=1)
    candidate = server.open_polling().upgrade()
    candidate.send_packet("2probe")
    assert candidate.texts() == ["3probe"]


@pytest.mark.parametrize("garbage", [b"\xff" * 20, client_frame(1, b"x", rsv=3), b"GET / HTTP/1.1"])
def test_garbage_behind_a_websocket_handshake_closes_that_session_alone(garbage: bytes) -> None:
    server = Server()
    other = server.open_websocket()
    connection = server.upgrade(tail=garbage)
    assert connection.response().status == 101
    assert server.reasons == ["transport error"]
    other.send("still here")
    assert server.received == ["still here"]


def test_garbage_behind_an_upgrade_leaves_the_session_with_polling() -> None:
    server = Server()
    client = server.open_polling()
    client.upgrade(tail=b"\xff" * 20)
    client.send("still here")
    assert server.received == ["still here"]
    assert server.closed == []


def test_a_message_in_the_segment_of_the_handshake_is_delivered() -> None:
    server = Server()
    server.upgrade(tail=text_frame("4early") + client_frame(2, b"\x00"))
    assert server.received == ["early", b"\x00"]


def test_nothing_behind_an_upgrade_is_taken_for_another_request() -> None:
    server = Server(echo=True)
    # The line ends, and a mask that hides nothing, make it look like a request to a careless eye.
    connection = server.upgrade(tail=b"\x81\x83\x00\x00\x00\x004\n\n")
    server.clock.advance(server.engine.options.header_timeout + 1)
    assert connection.response().status == 101
    assert [frame.payload[:3] for frame in connection.frames()] == [b'0{"', b"4\n\n"]
    assert server.closed == []


@pytest.mark.parametrize("missing", ["Sec-WebSocket-Key", "Sec-WebSocket-Version", "Connection"])
def test_an_incomplete_websocket_handshake_is_answered_400(missing: str) -> None:
    server = Server()
    headers = {missing: "keep-alive" if missing == "Connection" else "7"}
    response = server.upgrade(headers).response()
    assert response.status == 400
    assert response.header("Connection") == "close"
    versions = "13" if missing == "Sec-WebSocket-Version" else None
    assert response.header("Sec-WebSocket-Version") == versions
    assert not server.sessions


def test_a_websocket_handshake_with_a_body_is_refused() -> None:
    server = Server()
    response = server.upgrade({"Content-Length": "5"}, tail=b"hello").response()
    assert response.status == 400
    assert not server.sessions


def test_nothing_of_http_is_kept_after_an_upgrade() -> None:
    server = Server()
    client = server.open_websocket()
    assert server.engine._connections == set()
    assert client.tcp.get_protocol() is server.session.transport
    heartbeat_only = 1
    assert server.clock.pending == heartbeat_only


# -- the cookie


@pytest.mark.parametrize(
    ("cookie", "expected"),
    [
        (Cookie(), "io={sid}; Path=/; HttpOnly; SameSite=Lax"),
        (Cookie(name="woot"), "woot={sid}; Path=/; HttpOnly; SameSite=Lax"),
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
def test_the_cookie_holds_the_sid(cookie: Cookie, expected: str) -> None:
    client = Server(cookie=cookie).open_polling()
    assert client.response.header("Set-Cookie") == expected.format(sid=client.sid)


def test_the_cookie_is_set_by_the_polling_handshake_alone() -> None:
    server = Server(cookie=Cookie())
    client = server.open_polling()
    server.session.send_text("hi")
    assert client.poll().response().header("Set-Cookie") is None
    assert server.upgrade().response().header("Set-Cookie") is None


@pytest.mark.parametrize(
    "given",
    [{"name": "a b"}, {"name": "x\r\n"}, {"path": "/;x"}, {"domain": "a\r\nb"}, {"same_site": "?"}],
)
def test_a_cookie_that_would_break_its_header_is_refused_at_construction(
    given: dict[str, Any],
) -> None:
    with pytest.raises(ValueError):
        Cookie(**given)
