"""Sessions of revision 3, the protocol of socket.io-client 1 and 2: the option `allow_eio3`."""

from __future__ import annotations

import gc
import gzip
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engineio_core import Cookie, Cors, PerMessageDeflate, Session
from engineio_core.codec.payload_v3 import decode_binary_payload, decode_text_payload
from engineio_core.transports.revision_3 import RevisionThreeListener, RevisionThreeTransport
from tests.helpers.client import Connection, Server, WebSocketClient
from tests.helpers.wire import BINARY, TEXT, Response

INTERVAL, TIMEOUT = 10.0, 5.0
SLACK = 0.25  # one timer serves all deadlines within 2 % of the interval
BINARY_BODY = {"content-type": "application/octet-stream"}


class OldPolling:
    """A client of revision 3 that polls."""

    def __init__(self, server: Server, **query: str) -> None:
        self.server = server
        self.query = {"EIO": "3", "transport": "polling"}
        self.response = server.get(**self.query, **query).response()
        assert self.response.status == 200, self.response
        (opened,) = decode_text_payload(self.response.body)
        assert isinstance(opened, str)
        self.handshake: dict[str, Any] = json.loads(opened[1:])
        self.query["sid"] = self.handshake["sid"]

    def poll(self, **query: str) -> Connection:
        return self.server.get(**self.query, **query)

    def post(self, body: str | bytes, headers: dict[str, str] | None = None) -> Response:
        data = body.encode() if isinstance(body, str) else body
        return self.server.post(data, headers, **self.query).response()

    def upgrade(self, **query: str) -> WebSocketClient:
        sid = self.query["sid"]
        connection = self.server.upgrade(EIO="3", sid=sid, **query)
        assert connection.response().status == 101
        return WebSocketClient(self.server, connection)


def open_websocket(server: Server, **query: str) -> WebSocketClient:
    connection = server.upgrade(EIO="3", **query)
    assert connection.response().status == 101
    client = WebSocketClient(server, connection)
    (opened,) = client.texts()
    client.handshake = json.loads(opened[1:])
    client.sid = client.handshake["sid"]
    return client


def make_server(**options: Any) -> Server:
    return Server(allow_eio3=True, ping_interval=INTERVAL, ping_timeout=TIMEOUT, **options)


# -- the handshake


@pytest.mark.parametrize("query", [{"EIO": "3"}, {"EIO": "2"}, {"EIO": "x"}, {"EIO": ""}])
def test_revision_3_is_refused_by_default(query: dict[str, str]) -> None:
    server = Server()
    response = server.get(transport="polling", **query).response()
    assert response.status == 400
    assert response.json == {"code": 5, "message": "Unsupported protocol version"}
    assert server.errors[0].context == {"protocol": 3}
    assert server.upgrade(**query).response().status == 400


def test_handshake_has_the_five_keys_and_the_revision() -> None:
    server = make_server()
    client = OldPolling(server)
    assert list(client.handshake) == [
        "sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload",
    ]  # fmt: skip
    assert client.response.header("content-type") == "text/plain; charset=UTF-8"
    assert server.session.protocol == 3
    server.open_polling()
    assert server.session.protocol == 4


def test_missing_revision_is_revision_3() -> None:
    server = make_server()
    response = server.connect()
    response.request("GET", "/engine.io/?transport=polling")
    assert response.response().text.startswith("117:0{")
    assert server.session.protocol == 3


@pytest.mark.parametrize(("opened", "later"), [("3", "4"), ("4", "3")])
def test_request_of_another_revision_is_refused(opened: str, later: str) -> None:
    server = make_server()
    server.get(transport="polling", EIO=opened)
    sid = server.session.sid
    response = server.get(transport="polling", EIO=later, sid=sid).response()
    assert response.json == {"code": 3, "message": "Bad request"}
    assert server.errors[-1].context == {
        "name": "PROTOCOL_MISMATCH", "protocol": later, "previousProtocol": opened,
    }  # fmt: skip
    assert server.upgrade(EIO=later, sid=sid).response().status == 400
    assert server.reasons == []


def test_request_without_a_revision_belongs_to_a_session_of_revision_3() -> None:
    server = make_server()
    client = OldPolling(server)
    connection = server.connect()
    target = f"/engine.io/?transport=polling&sid={client.query['sid']}"
    connection.request("POST", target, {}, b"2:4a")
    assert connection.response().text == "ok"
    assert server.received == ["a"]


def test_cors_middlewares_and_cookie_apply_to_revision_3() -> None:
    server = make_server(cors=Cors(origins=["https://a.example"]), cookie=Cookie())
    response = server.get({"origin": "https://a.example"}, transport="polling", EIO="3").response()
    assert response.header("access-control-allow-origin") == "https://a.example"
    assert response.header("set-cookie") is not None
    other = server.upgrade({"origin": "https://b.example"}, EIO="3").response()
    assert other.status == 400
    server.engine.use(lambda request: (_ for _ in ()).throw(ValueError))
    assert server.get(transport="polling", EIO="3").response().status == 400


def test_max_sessions_applies_to_both_revisions_together() -> None:
    server = make_server(max_sessions=2)
    OldPolling(server)
    server.open_polling()
    assert server.get(transport="polling", EIO="3").response().status == 503
    assert server.get(transport="polling").response().status == 503


# -- polling


def test_text_messages_have_lengths_in_utf_16() -> None:
    server = make_server(echo=True)
    client = OldPolling(server)
    poll = client.poll()
    assert client.post("8:4h\u00e9\u20ac\U0001f600xy1:2").text == "ok"
    assert server.received == ["h\u00e9\u20ac\U0001f600xy"]
    assert poll.response().text == "8:4h\u00e9\u20ac\U0001f600xy1:3"


def test_binary_message_makes_the_whole_payload_binary() -> None:
    server = make_server()
    client = OldPolling(server)
    server.session.send_text("\u20ac")
    server.session.send_binary(b"\x01\x02")
    response = client.poll().response()
    assert response.header("content-type") == "application/octet-stream"
    assert response.body == b"\x00\x04\xff4\xe2\x82\xac\x01\x03\xff\x04\x01\x02"
    server.session.send_text("\u20ac")
    response = client.poll().response()
    assert response.header("content-type") == "text/plain; charset=UTF-8"
    assert response.text == "2:4\u20ac"


@pytest.mark.parametrize(("b64", "is_text"), [("1", True), ("0", True), ("", False)])
def test_parameter_b64_of_the_handshake_selects_base64(b64: str, is_text: bool) -> None:
    server = make_server()
    client = OldPolling(server, b64=b64)
    server.session.send_binary(b"\x01\x02")
    body = client.poll(b64="1").response().body
    assert body == (b"6:b4AQI=" if is_text else b"\x01\x03\xff\x04\x01\x02")


def test_posts_are_read_in_the_text_and_in_the_binary_form() -> None:
    server = make_server()
    client = OldPolling(server)
    assert client.post("6:b4AQI=").text == "ok"
    body = b"\x00\x04\xff4\xe2\x82\xac\x01\x03\xff\x04\x03\x04"
    assert client.post(body, BINARY_BODY).text == "ok"
    assert server.received == [b"\x01\x02", "\u20ac", b"\x03\x04"]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("", None),
        ("4hello", None),
        ("20:4hello", None),
        ("2:4\U0001f600", None),
        ("9" * 5000 + ":4", None),
        ("2:9x", None),
        (b"4:4\xff\xff\xff", None),
        ("6:4hello", BINARY_BODY),
        (b"\x00\x09\xff4a", BINARY_BODY),
        (b"\x00" + b"\x09" * 400 + b"\xff4a", BINARY_BODY),
        (b"\x01\x01\xff\x09", BINARY_BODY),
    ],
)
def test_invalid_payload_closes_the_session_with_400(
    body: str | bytes, headers: dict[str, str] | None
) -> None:
    server = make_server()
    client = OldPolling(server)
    poll = client.poll()
    assert client.post(body, headers).status == 400  # Node answers "ok" here
    assert server.reasons == ["parse error"]
    assert poll.response().text == "1:1"
    assert client.poll().response().json["code"] == 1


def test_body_above_the_limit_closes_the_session_with_413() -> None:
    server = make_server(max_http_buffer_size=100)
    client = OldPolling(server)
    assert client.post("98:4" + "x" * 97).status == 413
    assert server.reasons == ["transport error"]
    assert server.received == []


def test_orderly_close_waits_for_the_next_poll() -> None:
    server = make_server()
    client = OldPolling(server)
    server.session.close()
    assert client.poll().response().text == "1:61:1"
    assert server.reasons == ["forced close"]


def test_second_poll_closes_the_session() -> None:
    server = make_server()
    client = OldPolling(server)
    first, second = client.poll(), client.poll()
    assert first.response().text == "1:1"
    assert second.response().status == 400
    assert server.reasons == ["transport error"]


def test_close_packet_of_the_client_releases_the_poll() -> None:
    server = make_server()
    client = OldPolling(server)
    poll = client.poll()
    assert client.post("1:1").text == "ok"
    assert poll.response().text == "1:6"
    assert server.reasons == ["transport close"]


def test_large_payload_is_split_into_several_responses() -> None:
    server = make_server(max_http_buffer_size=1000, http_compression=None)
    client = OldPolling(server)
    for _ in range(5):
        server.session.send_text("x" * 400)
    received = 0
    for _ in range(3):
        response = client.poll().response()
        assert len(response.body) <= 1010
        received += len(list(decode_text_payload(response.body)))
    assert received == 5


def test_jsonp_session_of_revision_3_has_text_payloads() -> None:
    server = make_server(jsonp=True, echo=True)
    response = server.get(EIO="3", transport="polling", j="2").response()
    assert response.header("content-type") == "text/javascript; charset=UTF-8"
    assert response.text.startswith('___eio[2]("117:0{')
    sid = server.session.sid
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = "d=" + quote("4:4a\\nb")
    posted = server.post(
        body.encode(), form, EIO="3", transport="polling", sid=sid, j="2"
    ).response()
    assert (posted.status, posted.text) == (200, "ok")
    assert server.received == ["a\nb"]
    server.session.send_binary(b"\x01")
    # Node sends an object instead of a payload here.
    poll = server.get(EIO="3", transport="polling", sid=sid, j="2").response()
    assert poll.text == '___eio[2]("4:4a\\nb6:b4AQ==");'


def test_initial_packet_follows_the_open_packet_in_both_forms() -> None:
    server = make_server(initial_packet="hello")
    body = server.get(EIO="3", transport="polling").response().body
    assert list(decode_text_payload(body))[1:] == ["4hello"]
    server = make_server(initial_packet=b"\x01")
    response = server.get(EIO="3", transport="polling").response()
    assert response.header("content-type") == "application/octet-stream"
    opened, message = decode_binary_payload(response.body)
    assert isinstance(opened, str)
    assert opened.startswith('0{"sid"')
    assert message == b"\x01"
    connection = server.upgrade(EIO="3")
    connection.response()
    assert connection.frames()[1].payload == b"\x04\x01"


def test_binary_payload_is_compressed_above_the_threshold() -> None:
    server = make_server()
    client = OldPolling(server)
    server.session.send_binary(bytes(5000))
    connection = server.get({"accept-encoding": "gzip"}, **client.query)
    response = connection.response()
    assert response.header("content-encoding") == "gzip"
    assert response.header("content-type") == "application/octet-stream"
    assert list(decode_binary_payload(gzip.decompress(response.body))) == [bytes(5000)]


# -- WebSocket


def test_binary_frames_have_a_type_byte() -> None:
    server = make_server(echo=True)
    client = open_websocket(server)
    client.frame(BINARY, b"\x04\x01\x02")
    client.frame(TEXT, b"4text")
    assert server.received == [b"\x01\x02", "text"]
    assert client.packets() == [b"\x04\x01\x02", "4text"]


def test_client_without_binary_frames_uses_base64() -> None:
    server = make_server(echo=True)
    client = open_websocket(server, b64="1")
    client.frame(TEXT, b"b4AQI=")
    assert server.received == [b"\x01\x02"]
    assert client.packets() == ["b4AQI="]


@pytest.mark.parametrize(
    ("opcode", "payload", "reason"),
    [
        (BINARY, b"", "parse error"),
        (BINARY, b"\x09x", "parse error"),
        (BINARY, b"4x", "parse error"),
        (TEXT, b"", "parse error"),
        (TEXT, b"9", "parse error"),
        (TEXT, b"b", "parse error"),
        (TEXT, b"b4A", "parse error"),
        (TEXT, b"b9AQI=", "parse error"),
        (TEXT, b"3", "transport error"),
        (TEXT, b"b4\xff", "transport error"),
    ],
)
def test_invalid_frame_closes_the_session(opcode: int, payload: bytes, reason: str) -> None:
    server = make_server()
    client = open_websocket(server)
    client.frame(opcode, payload)
    assert client.is_over
    assert server.reasons == [reason]
    assert client.close_code == (1007 if b"\xff" in payload else 1005)


def test_message_above_the_limit_is_closed_with_1009() -> None:
    server = make_server(max_http_buffer_size=100)
    client = open_websocket(server)
    client.frame(BINARY, b"\x04" + bytes(101))
    assert client.close_code == 1009
    assert server.reasons == ["transport error"]


def test_slow_client_is_closed() -> None:
    server = make_server(max_outbox_size=1000)
    client = open_websocket(server)
    client.tcp.get_protocol().pause_writing()
    for _ in range(5):
        server.session.send_binary(bytes(400))
    assert server.reasons == ["slow consumer"]


def test_queued_packets_follow_when_the_client_reads_again() -> None:
    server = make_server()
    client = open_websocket(server)
    client.tcp.get_protocol().pause_writing()
    assert not server.session.writable
    server.session.send_binary(b"\x01")
    server.session.send_text("a")
    assert client.packets() == []
    client.tcp.get_protocol().resume_writing()
    assert client.packets() == [b"\x04\x01", "4a"]


def test_closed_websocket_is_freed_without_the_garbage_collector() -> None:
    kinds = (RevisionThreeTransport, RevisionThreeListener, Session)
    gc.collect()
    # Other tests of this process may have left some.
    known = {id(each) for each in gc.get_objects() if isinstance(each, kinds)}
    server = make_server()
    client = open_websocket(server)
    gc.collect()
    gc.disable()
    try:
        client.tcp.lose()
        client.session = None
        server.sessions.clear()
        left = [each for each in gc.get_objects() if isinstance(each, kinds)]
        assert {id(each) for each in left} <= known
    finally:
        gc.enable()


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([TEXT, BINARY]),
            st.one_of(
                st.binary(max_size=6),
                st.sampled_from([b"2", b"4a", b"b4AQ==", b"b4", b"\x04\x01", b"\x02", b"1", b"6"]),
            ),
        ),
        max_size=8,
    )
)
def test_any_frames_leave_the_session_open_or_close_it_with_a_reason(
    frames: list[tuple[int, bytes]],
) -> None:
    server = make_server(echo=True)
    client = open_websocket(server)
    for opcode, payload in frames:
        if not client.is_over:
            client.frame(opcode, payload)  # fails the test if an exception escapes
    if client.is_over:
        assert server.reasons in (["parse error"], ["transport error"], ["transport close"])
    else:
        client.send_packet("2")
        assert client.packets()[-1] == "3"


@pytest.mark.parametrize("size", [1, 2, 3])
def test_deflated_session_exchanges_binary_messages(size: int) -> None:
    server = make_server(per_message_deflate=PerMessageDeflate(threshold=size), echo=True)
    connection = server.upgrade({"sec-websocket-extensions": "permessage-deflate"}, EIO="3")
    response = connection.response()
    assert "permessage-deflate" in str(response.header("sec-websocket-extensions"))
    client = WebSocketClient(server, connection)
    client.frame(BINARY, b"\x04\x01")
    assert server.received == [b"\x01"]
    opened, echoed = connection.frames()
    assert opened.rsv1
    assert echoed.rsv1 is (size <= 2)  # the type byte counts


# -- the upgrade


@pytest.mark.parametrize("b64", ["", "1"])
def test_session_upgrades_to_websocket(b64: str) -> None:
    server = make_server()
    client = OldPolling(server, b64="1")
    assert client.handshake["upgrades"] == ["websocket"]
    poll = client.poll()
    websocket = client.upgrade(b64=b64)
    websocket.send_packet("2probe")
    assert websocket.packets() == ["3probe"]
    assert poll.response().text == "1:6"
    server.session.send_binary(b"\x01")
    websocket.send_packet("5")
    # Node: the request of the WebSocket counts.
    assert websocket.packets() == (["b4AQ=="] if b64 else [b"\x04\x01"])
    websocket.frame(BINARY, b"\x04\x02")
    websocket.send_packet("2")
    assert websocket.packets() == ["3"]
    assert server.received == [b"\x02"]
    assert client.poll().response().status == 400


def test_binary_frame_before_the_upgrade_closes_the_candidate() -> None:
    server = make_server()
    client = OldPolling(server)
    websocket = client.upgrade()
    websocket.frame(BINARY, b"\x04\x02")
    assert websocket.is_over
    assert server.reasons == []
    assert client.post("2:4a").text == "ok"


# -- the heartbeat


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_session_closes_when_the_client_sends_no_ping(transport: str) -> None:
    server = make_server()
    client = OldPolling(server) if transport == "polling" else open_websocket(server)
    server.clock.advance(INTERVAL + TIMEOUT - SLACK)
    assert server.closed == []
    server.clock.advance(2 * SLACK)
    assert server.closed == [("ping timeout", "no ping in time")]
    if isinstance(client, WebSocketClient):
        assert client.packets() == []  # the server sends no ping
        assert client.is_over
    else:
        assert client.poll().response().status == 400


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_pings_keep_the_session_open(transport: str) -> None:
    server = make_server()
    client = OldPolling(server) if transport == "polling" else open_websocket(server)
    for _ in range(5):
        server.clock.advance(INTERVAL + TIMEOUT - SLACK)
        if isinstance(client, WebSocketClient):
            client.send_packet("2")
            assert client.packets() == ["3"]
        else:
            assert client.post("1:2").text == "ok"
            assert client.poll().response().text == "1:3"
    assert server.closed == []


def test_other_packets_do_not_replace_a_ping() -> None:
    server = make_server()
    client = open_websocket(server)
    server.clock.advance(INTERVAL + TIMEOUT - SLACK)
    client.send("message")
    server.clock.advance(2 * SLACK)
    assert server.reasons == ["ping timeout"]


def test_data_of_a_ping_is_not_returned() -> None:
    server = make_server()
    client = open_websocket(server)
    client.send_packet("2data")
    assert client.packets() == ["3"]


def test_overdue_session_is_refused_before_its_timer() -> None:
    server = make_server()
    client = OldPolling(server)
    server.clock._now += INTERVAL + TIMEOUT + 0.01
    assert client.post("1:2").status == 400
    assert server.reasons == ["ping timeout"]


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_pong_of_a_client_closes_the_session(transport: str) -> None:
    server = make_server()
    if transport == "polling":
        assert OldPolling(server).post("1:3").status == 400
    else:
        client = open_websocket(server)
        client.send_packet("3")
        assert client.is_over
    assert server.closed == [("transport error", "invalid heartbeat direction")]


def test_sessions_of_both_revisions_share_an_engine() -> None:
    server = make_server(echo=True)
    old, new = open_websocket(server), server.open_websocket()
    server.clock.advance(INTERVAL + SLACK)
    assert (old.packets(), new.packets()) == ([], ["2"])
    old.send_packet("2")
    new.send_packet("3")
    assert old.packets() == ["3"]
    new.send(b"\x01")
    assert new.packets() == [b"\x01"]
    server.engine.close()
    assert old.is_over
    assert new.is_over
    assert server.clock.pending <= 2  # only the limits of the close handshakes


def test_long_upload_extends_the_time_for_a_ping() -> None:
    server = make_server(max_http_buffer_size=1_000_000)
    client = open_websocket(server)
    server.clock.advance(1)
    client.feed(b"\x82\xff" + (900_000).to_bytes(8, "big") + b"\x00\x00\x00\x00\x04")
    for _ in range(8):
        client.feed(bytes(100_000))
        server.clock.advance(2)
    assert server.closed == []
