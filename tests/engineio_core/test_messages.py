"""Messages in both directions: types, order, size limits and callbacks."""

from __future__ import annotations

import array
import asyncio
import base64

import pytest

from engineio_core import EncodedPacket
from engineio_core.session_state import SessionState
from tests.helpers.client import Server
from tests.helpers.wire import (
    BINARY,
    DELIVERIES,
    TEXT,
    Delivery,
    chunked,
    client_frame,
    http_request,
)

MULTIBYTE = "\u4f60\u597d \u20ac \U0001f980 utf\u2014"


def test_client_messages_are_received(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    for message in ["a", "", MULTIBYTE, b"\x00\xff", b""]:
        client.send(message)
    assert server.received == ["a", "", MULTIBYTE, b"\x00\xff", b""]


def test_server_messages_arrive_in_order(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    sent = ["a", "", MULTIBYTE, b"\x00\xff", b"", "z"]
    for message in sent:
        server.session.send(EncodedPacket.message(message))
    assert client.messages() == sent


def test_echoed_messages_are_unchanged(transport: str) -> None:
    server = Server(echo=True)
    client = server.open(transport)
    for message in [MULTIBYTE, bytes(range(256)), "x" * 100_000]:
        client.send(message)
        assert client.messages() == [message]


def test_packets_sent_together_leave_in_one_poll_response() -> None:
    server = Server()
    client = server.open_polling()
    poll = client.poll()
    server.session.send_text("a")
    server.session.send_binary(b"\x01\x02")
    server.session.send_text("b")
    assert poll.response().text == "4a\x1ebAQI=\x1e4b"


def test_payload_with_several_packets_is_received() -> None:
    server = Server()
    client = server.open_polling()
    post = client.post("4a\x1ebAQI=\x1e4b")
    assert post.response().text == "ok"
    assert server.received == ["a", b"\x01\x02", "b"]


def test_payload_with_50_000_packets_is_received() -> None:
    server = Server()
    client = server.open_polling()
    assert (
        client.post("\x1e".join(f"4{number}" for number in range(50_000))).response().text == "ok"
    )
    assert server.received == [str(number) for number in range(50_000)]


def test_post_response_has_the_headers_of_the_node_server() -> None:
    server = Server()
    response = server.open_polling().post("4hi").response()
    assert (response.status, response.text) == (200, "ok")
    assert response.header("Content-Type") == "text/html"
    assert response.header("cache-control") == "no-store"


def test_poll_response_has_the_headers_of_the_node_server() -> None:
    server = Server()
    client = server.open_polling()
    server.session.send_text("\u20ac")
    response = client.poll().response()
    assert response.header("Content-Type") == "text/plain; charset=UTF-8"
    assert response.header("cache-control") == "no-store"
    assert response.header("Content-Length") == "4"


def test_poll_responses_respect_the_payload_limit() -> None:
    server = Server(max_http_buffer_size=100)
    client = server.open_polling()
    for number in range(5):
        server.session.send_text(str(number) * 40)
    server.session.send_binary(b"x" * 300)
    bodies = [client.poll().response().text for _ in range(4)]
    assert [len(body) for body in bodies] == [83, 83, 41, 401]
    joined = "\x1e".join(bodies).split("\x1e")
    assert joined[:5] == [f"4{str(number) * 40}" for number in range(5)]


def test_binary_message_of_any_buffer_type_is_sent_as_bytes(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    numbers = array.array("i", [0, 1, 2, 3])
    for data in (memoryview(numbers)[1:3], bytearray(b"\x01"), memoryview(b"abcd")[1:]):
        server.session.send(EncodedPacket.message(data))
    assert client.messages() == [numbers[1:3].tobytes(), b"\x01", b"bcd"]


@pytest.mark.parametrize("encoded", ["AQID", "AQIDBA==", "AQIDBA", "-_-_"])
def test_base64_is_decoded_as_leniently_as_in_the_node_server(encoded: str) -> None:
    server = Server()
    server.open_polling().send_packet(f"b{encoded}")
    plain = encoded.replace("-", "+").replace("_", "/").rstrip("=")
    assert server.received == [base64.b64decode(plain + "=" * (-len(plain) % 4))]


def test_base64_with_other_characters_ends_the_session() -> None:
    server = Server()
    server.open_polling().send_packet("bAQ ID")
    assert server.received == []
    assert server.session.state is SessionState.CLOSED


@pytest.mark.parametrize("packet", ["0", "5", "6", "0{}", "6x"])
def test_unexpected_packet_types_are_ignored(packet: str, transport: str) -> None:
    server = Server()
    client = server.open(transport)
    client.send_packet(packet)
    client.send("still here")
    assert server.received == ["still here"]


def test_message_of_the_maximum_size_is_received(transport: str) -> None:
    server = Server(max_http_buffer_size=1000)
    client = server.open(transport)
    client.send("x" * 999)  # 1000 bytes with the type digit
    assert server.received == ["x" * 999]


def test_post_above_the_limit_receives_413_and_closes_the_session() -> None:
    server = Server(max_http_buffer_size=1000)
    client = server.open_polling()
    poll = client.poll()
    response = client.post("4" + "x" * 1000).response()
    assert (response.status, response.body) == (413, b"")
    assert server.received == []
    assert server.closed == [("transport error", "payload too large")]
    assert poll.responses() == []
    server.clock.advance(0.1)
    for request in (poll, client.poll()):
        assert request.response().json == {"code": 1, "message": "Session ID unknown"}


def test_chunked_post_above_the_limit_receives_413_before_it_ends() -> None:
    server = Server(max_http_buffer_size=1000)
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    body = chunked(b"4" + b"x" * 1500, 100)
    connection.feed(http_request("POST", target, {"Transfer-Encoding": "chunked"}) + body[:-50])
    assert connection.response().status == 413
    assert server.closed == [("transport error", "payload too large")]
    connection.feed(body[-50:])
    assert server.received == []


@pytest.mark.parametrize("deliver", DELIVERIES)
@pytest.mark.parametrize("framing", ["counted", "chunked"])
def test_post_is_received_in_any_segmentation(deliver: Delivery, framing: str) -> None:
    server = Server()
    client = server.open_polling()
    target = server.target(transport="polling", sid=client.sid)
    body = "\x1e".join(["4" + MULTIBYTE, "bAQI=", "4z"]).encode()
    wire = (
        http_request("POST", target, {}, body)
        if framing == "counted"
        else http_request("POST", target, {"Transfer-Encoding": "chunked"}, chunked(body, 3))
    )
    connection = server.connect()
    deliver(connection.feed, wire * 2)
    assert [each.text for each in connection.responses()] == ["ok", "ok"]
    assert server.received == [MULTIBYTE, b"\x01\x02", "z"] * 2


@pytest.mark.parametrize("deliver", DELIVERIES)
def test_websocket_messages_are_received_in_any_segmentation(deliver: Delivery) -> None:
    server = Server()
    client = server.open_websocket()
    sent = ["a", MULTIBYTE, "x" * 200, "", "y" * 70_000 if deliver is not DELIVERIES[1] else "y"]
    wire = b"".join(client_frame(TEXT, b"4" + each.encode()) for each in sent)
    wire += client_frame(BINARY, b"\x00" * 300)
    deliver(client.feed, wire)
    assert server.received == [*sent, b"\x00" * 300]


def test_message_in_many_segments_is_received_in_linear_time() -> None:
    server = Server(max_http_buffer_size=4_000_000)
    client = server.open_websocket()
    wire = client_frame(BINARY, b"x" * 4_000_000)
    # Copying the received bytes again for each segment would move 30 GB.
    for start in range(0, len(wire), 256):
        client.tcp.feed(wire[start : start + 256])
    assert server.received == [b"x" * 4_000_000]


def test_megabyte_message_is_received_over_polling() -> None:
    server = Server(max_http_buffer_size=5_000_000)
    client = server.open_polling()
    body = "4" + "\u20ac" * 350_000
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    wire = http_request("POST", target, {}, body.encode())
    for start in range(0, len(wire), 65_536):
        connection.feed(wire[start : start + 65_536])
    assert connection.response().text == "ok"
    assert server.received == [body[1:]]


def test_replies_to_one_chunk_leave_in_one_write() -> None:
    server = Server(echo=True)
    client = server.open_websocket()
    client.tcp.writes.clear()
    client.feed(b"".join(client_frame(TEXT, b"4%d" % number) for number in range(10)))
    assert len(client.tcp.writes) == 1
    assert client.messages() == [str(number) for number in range(10)]


def test_broadcast_packet_is_encoded_once() -> None:
    server = Server()
    clients = [server.open_websocket() for _ in range(20)]
    packet = EncodedPacket.message("to all")
    for session in server.sessions:
        session.send(packet)
    assert all(client.tcp.writes[-1] is packet.frame for client in clients)
    assert all(client.messages() == ["to all"] for client in clients)


def test_error_in_the_message_callback_keeps_the_session(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    received: list[str] = []

    def fail_on_bad(text: str) -> None:
        if text == "bad":
            b"\xff".decode()  # a UnicodeDecodeError of the callback is not a client error
        received.append(text)

    server.session.on_text = fail_on_bad
    for text in ("good", "bad", "good again"):
        client.send(text)
    assert received == ["good", "good again"]
    assert server.closed == []


def test_cancelled_error_in_the_message_callback_keeps_the_session(transport: str) -> None:
    server = Server()
    client = server.open(transport)

    def reply(text: str) -> None:
        server.session.send_text(text)
        if text == "bad":
            raise asyncio.CancelledError

    server.session.on_text = reply
    for text in ("bad", "good"):
        client.send(text)
        assert client.messages() == [text]
    assert server.closed == []


def test_message_callback_is_replaceable_while_messages_arrive(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    second: list[str] = []

    def first(text: str) -> None:
        server.session.on_text = second.append

    server.session.on_text = first
    for text in ("one", "two", "three"):
        client.send(text)
    assert second == ["two", "three"]


def test_invalid_packet_of_one_client_does_not_affect_another(transport: str) -> None:
    server = Server(echo=True)
    good, bad = server.open(transport), server.open(transport)
    bad.send_packet("nonsense")
    good.send("fine")
    assert good.messages() == ["fine"]
    assert server.reasons == ["parse error"]
