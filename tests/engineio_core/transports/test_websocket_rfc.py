"""RFC 6455: fragmentation, control frames, the closing handshake and invalid frames."""

from __future__ import annotations

import pytest

from engineio_core.transports import websocket_slow_path
from tests.helpers.client import Server, WebSocketClient
from tests.helpers.wire import (
    BINARY,
    CLOSE,
    CONT,
    DELIVERIES,
    PING,
    PONG,
    TEXT,
    Delivery,
    client_frame,
)


def open_client(**options: int) -> tuple[Server, WebSocketClient]:
    server = Server(echo=True, **options)
    return server, server.open_websocket()


@pytest.mark.parametrize("deliver", DELIVERIES)
def test_fragments_are_joined_around_control_frames(deliver: Delivery) -> None:
    server, client = open_client()
    wire = b"".join([
        client_frame(TEXT, b"4Hel", fin=False),
        client_frame(PING, b"there?"),
        client_frame(CONT, b"", fin=False),
        client_frame(PONG, b"unsolicited"),
        client_frame(CONT, "lo \u20ac".encode()[:-1], fin=False),
        client_frame(CONT, "\u20ac".encode()[-1:]),
        client_frame(BINARY, b"\x01", fin=False),
        client_frame(CONT, b"\x02"),
        client_frame(TEXT, b"4whole"),
    ])  # fmt: skip
    deliver(client.feed, wire)
    assert server.received == ["Hello \u20ac", b"\x01\x02", "whole"]
    assert [(frame.opcode, frame.payload) for frame in client.frames()] == [
        (PONG, b"there?"),
        (TEXT, "4Hello \u20ac".encode()),
        (BINARY, b"\x01\x02"),
        (TEXT, b"4whole"),
    ]


@pytest.mark.parametrize("payload", [b"", b"x", b"x" * 125])
def test_pong_repeats_the_payload_of_the_ping(payload: bytes) -> None:
    _, client = open_client()
    client.frame(PING, payload)
    assert [(frame.opcode, frame.payload) for frame in client.frames()] == [(PONG, payload)]


def test_replies_keep_the_order_of_the_received_frames() -> None:
    _, client = open_client()
    client.feed(client_frame(TEXT, b"4a") + client_frame(PING, b"p") + client_frame(TEXT, b"4b"))
    assert [frame.payload for frame in client.frames()] == [b"4a", b"p", b"4b"]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", 1005),
        (b"\x03\xe8", 1000),
        (b"\x03\xe9going away", 1001),
        (b"\x0f\xa0", 4000),
        (b"\x03", 1002),  # half a code
        (b"\x03\xed", 1002),  # 1005 must not be sent
        (b"\x00\x00", 1002),
        (b"\x03\xe8\xff", 1007),  # the reason is not UTF-8
    ],
)
def test_close_frame_receives_a_close_frame_and_ends_tcp(payload: bytes, code: int) -> None:
    server, client = open_client()
    client.frame(CLOSE, payload)
    assert client.close_code == code
    assert client.tcp.is_over
    assert server.reasons == ["transport close" if code not in {1002, 1007} else "transport error"]


def test_message_after_a_close_frame_is_ignored() -> None:
    server, client = open_client()
    client.feed(client_frame(CLOSE, b"\x03\xe8") + client_frame(TEXT, b"4late"))
    assert server.received == []
    assert client.close_code == 1000


def test_tcp_closes_immediately_after_a_common_close_frame() -> None:
    server, client = open_client()
    client.frame(CLOSE)
    assert client.tcp.is_closed
    assert client.close_code == 1005
    server.clock.run()
    assert server.reasons == ["transport close"]


def test_connection_is_aborted_when_the_client_does_not_read_the_queued_data() -> None:
    server, client = open_client(close_timeout=30)
    client.tcp.stall()
    server.session.send_text("never read")
    client.frame(CLOSE)
    server.clock.advance(29)
    assert not client.tcp.is_aborted
    server.clock.advance(1)
    assert client.tcp.is_aborted


def test_connection_is_aborted_when_the_client_keeps_tcp_open_after_the_close() -> None:
    server, client = open_client(close_timeout=30)
    client.frame(CLOSE, b"\x0f\xa0")
    server.clock.advance(29)
    assert not client.tcp.is_aborted
    server.clock.advance(1)
    assert client.tcp.is_aborted


@pytest.mark.parametrize(
    ("name", "wire", "code"),
    [
        ("an unmasked frame", client_frame(TEXT, b"4x", masked=False), 1002),
        ("rsv1 without an extension", client_frame(TEXT, b"4x", rsv=4), 1002),
        ("rsv2", client_frame(TEXT, b"4x", rsv=2), 1002),
        ("rsv3", client_frame(BINARY, b"x", rsv=1), 1002),
        ("a reserved data opcode", client_frame(3, b"x"), 1002),
        ("a reserved control opcode", client_frame(11, b"x"), 1002),
        ("a fragmented ping", client_frame(PING, b"x", fin=False), 1002),
        ("a long ping", client_frame(PING, b"x" * 126), 1002),
        ("a continuation without a message", client_frame(CONT, b"x"), 1002),
        (
            "a new message within a fragmented one",
            client_frame(TEXT, b"4x", fin=False) + client_frame(TEXT, b"4y"),
            1002,
        ),
        ("text that is not utf-8", client_frame(TEXT, b"4\xff"), 1007),
        (
            "fragments that are not utf-8 together",
            client_frame(TEXT, b"4\xe2\x82", fin=False) + client_frame(CONT, b"x"),
            1007,
        ),
        ("an overlong encoding", client_frame(TEXT, b"4\xc0\xaf"), 1007),
        ("a surrogate", client_frame(TEXT, b"4\xed\xa0\x80"), 1007),
        ("a message that is too long", client_frame(TEXT, b"4" + b"x" * 1000), 1009),
        (
            "fragments that are too long together",
            client_frame(TEXT, b"4" + b"x" * 600, fin=False) + client_frame(CONT, b"x" * 600),
            1009,
        ),
    ],
)
@pytest.mark.parametrize("deliver", DELIVERIES)
def test_invalid_frame_closes_the_session_with_the_code_of_the_rfc(
    name: str, wire: bytes, code: int, deliver: Delivery
) -> None:
    server, client = open_client(max_http_buffer_size=1000)
    deliver(client.feed, client_frame(TEXT, b"4fine") + wire + client_frame(TEXT, b"4late"))
    assert client.close_code == code, name
    assert server.reasons == ["transport error"]
    assert server.received == ["fine"]
    assert client.tcp.has_written_eof


def test_invalid_header_is_rejected_before_the_payload_arrives() -> None:
    for head in (
        client_frame(TEXT, b"x" * 2000)[:14],
        client_frame(TEXT, b"x" * 70_000)[:14],
        client_frame(3, b"x" * 50)[:2],
        client_frame(TEXT, b"x" * 50, masked=False)[:2],
    ):
        server, client = open_client(max_http_buffer_size=1000)
        client.feed(head)
        assert server.reasons == ["transport error"]
        assert client.close_code in {1002, 1009}


@pytest.mark.parametrize("length", [2**31, 2**63 - 1, 2**64 - 1])
def test_huge_length_is_rejected_without_allocation(length: int) -> None:
    server, client = open_client()
    client.feed(b"\x82\xff" + length.to_bytes(8, "big") + b"mask")
    assert server.reasons == ["transport error"]


def test_flood_of_empty_fragments_closes_with_1008(monkeypatch: pytest.MonkeyPatch) -> None:
    assert websocket_slow_path.MAX_FRAGMENTS == 131_072
    monkeypatch.setattr(websocket_slow_path, "MAX_FRAGMENTS", 1000)
    server, client = open_client()
    client.frame(TEXT, b"4", fin=False)
    client.feed(client_frame(CONT, b"", fin=False) * 999)
    assert client.close_code is None
    client.feed(client_frame(CONT, b"", fin=False))
    assert client.close_code == 1008
    assert server.reasons == ["transport error"]


def test_close_frame_after_an_error_of_a_listener_has_a_code_only() -> None:
    server, client = open_client()

    def fail(text: str) -> None:
        from engineio_core import ProtocolError

        raise ProtocolError("\u20ac" * 200, websocket_code=1002)

    # A listener of the transport may raise ProtocolError.
    server.session.transport._reader.receive_text = fail
    client.frame(TEXT, b"4x")
    assert client.close_code == 1002
    assert client.close_frame == b"\x03\xea"


def test_server_frames_are_not_masked_or_fragmented() -> None:
    _, client = open_client()
    for length in (0, 124, 125, 65_534, 65_535, 100_000):
        client.send("x" * length)
        (frame,) = client.frames()
        assert (frame.fin, len(frame.payload)) == (True, length + 1)


def test_response_has_no_subprotocol_when_the_client_offers_none() -> None:
    assert Server().upgrade().response().header("Sec-WebSocket-Protocol") is None


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-WebSocket-Key": "short"},
        {"Sec-WebSocket-Version": "8"},
        {"Sec-WebSocket-Protocol": "a,,\x01"},
        {"Sec-WebSocket-Extensions": "permessage-deflate; ="},
    ],
)
def test_malformed_handshake_receives_400(headers: dict[str, str]) -> None:
    from engineio_core import PerMessageDeflate

    server = Server(per_message_deflate=PerMessageDeflate())
    connection = server.upgrade(headers)
    response = connection.response()
    assert response.status == 400
    assert connection.tcp.is_closed
    assert not server.sessions


def test_long_extension_and_subprotocol_lists_are_parsed_in_linear_time() -> None:
    from engineio_core import PerMessageDeflate

    server = Server(per_message_deflate=PerMessageDeflate(), max_header_size=64 * 1024)
    long_list = "a" + " " * 20_000 + ",b" + ";" * 10_000
    connection = server.upgrade(
        {"Sec-WebSocket-Extensions": long_list, "Sec-WebSocket-Protocol": " " * 10_000 + "x"}
    )
    assert connection.response().status in {101, 400}
