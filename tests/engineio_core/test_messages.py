"""Messages in both directions: their kinds, their order, their limits."""

from __future__ import annotations

import array
import asyncio
import base64

import pytest

from engineio_core import EncodedPacket
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


def test_messages_of_the_client_arrive(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    for message in ["a", "", MULTIBYTE, b"\x00\xff", b""]:
        client.send(message)
    assert server.received == ["a", "", MULTIBYTE, b"\x00\xff", b""]


def test_messages_of_the_server_arrive_in_order(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    sent = ["a", "", MULTIBYTE, b"\x00\xff", b"", "z"]
    for message in sent:
        server.session.send(EncodedPacket.message(message))
    assert client.messages() == sent


def test_messages_come_back_unchanged(transport: str) -> None:
    server = Server(echo=True)
    client = server.open(transport)
    for message in [MULTIBYTE, bytes(range(256)), "x" * 100_000]:
        client.send(message)
        assert client.messages() == [message]


def test_packets_that_are_sent_in_one_go_leave_in_one_poll() -> None:
    server = Server()
    client = server.open_polling()
    poll = client.poll()
    server.session.send_text("a")
    server.session.send_binary(b"\x01\x02")
    server.session.send_text("b")
    assert poll.response().text == "4a\x1ebAQI=\x1e4b"


def test_a_payload_of_the_client_may_hold_many_packets() -> None:
    server = Server()
    client = server.open_polling()
    post = client.post("4a\x1ebAQI=\x1e4b")
    assert post.response().text == "ok"
    assert server.received == ["a", b"\x01\x02", "b"]


def test_thousands_of_packets_fit_in_one_payload() -> None:
    server = Server()
    client = server.open_polling()
    assert (
        client.post("\x1e".join(f"4{number}" for number in range(50_000))).response().text == "ok"
    )
    assert server.received == [str(number) for number in range(50_000)]


def test_the_answer_to_a_post_has_the_headers_of_node() -> None:
    server = Server()
    response = server.open_polling().post("4hi").response()
    assert (response.status, response.text) == (200, "ok")
    assert response.header("Content-Type") == "text/html"
    assert response.header("cache-control") == "no-store"


def test_the_answer_to_a_poll_has_the_headers_of_node() -> None:
    server = Server()
    client = server.open_polling()
    server.session.send_text("\u20ac")
    response = client.poll().response()
    assert response.header("Content-Type") == "text/plain; charset=UTF-8"
    assert response.header("cache-control") == "no-store"
    assert response.header("Content-Length") == "4"


def test_answers_are_packed_within_the_limit_of_a_payload() -> None:
    server = Server(max_http_buffer_size=100)
    client = server.open_polling()
    for number in range(5):
        server.session.send_text(str(number) * 40)
    server.session.send_binary(b"x" * 300)
    bodies = [client.poll().response().text for _ in range(4)]
    assert [len(body) for body in bodies] == [83, 83, 41, 401]
    joined = "\x1e".join(bodies).split("\x1e")
    assert joined[:5] == [f"4{str(number) * 40}" for number in range(5)]


def test_binary_from_any_buffer_is_sent_as_its_bytes(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    numbers = array.array("i", [0, 1, 2, 3])
    for data in (memoryview(numbers)[1:3], bytearray(b"\x01"), memoryview(b"abcd")[1:]):
        server.session.send(EncodedPacket.message(data))
    assert client.messages() == [numbers[1:3].tobytes(), b"\x01", b"bcd"]


@pytest.mark.parametrize("encoded", ["AQID", "AQIDBA==", "AQIDBA", "-_-_", "AQ ID"])
def test_base64_is_read_as_leniently_as_node_does(encoded: str) -> None:
    server = Server()
    server.open_polling().send_packet(f"b{encoded}")
    plain = encoded.replace("-", "+").replace("_", "/").replace(" ", "").rstrip("=")
    assert server.received == [base64.b64decode(plain + "=" * (-len(plain) % 4))]


@pytest.mark.parametrize("packet", ["0", "5", "6", "0{}", "6x"])
def test_packets_that_mean_nothing_here_are_ignored(packet: str, transport: str) -> None:
    server = Server()
    client = server.open(transport)
    client.send_packet(packet)
    client.send("still here")
    assert server.received == ["still here"]


def test_a_message_of_the_maximum_size_arrives(transport: str) -> None:
    server = Server(max_http_buffer_size=1000)
    client = server.open(transport)
    client.send("x" * 999)  # with its type digit
    assert server.received == ["x" * 999]


def test_a_post_above_the_limit_is_answered_413_and_the_session_goes_on() -> None:
    server = Server(max_http_buffer_size=1000)
    client = server.open_polling()
    response = client.post("4" + "x" * 1000).response()
    assert (response.status, response.body) == (413, b"")
    assert (server.received, server.closed) == ([], [])
    client.send("smaller")
    assert server.received == ["smaller"]


def test_a_chunked_post_above_the_limit_is_answered_413_while_it_comes() -> None:
    server = Server(max_http_buffer_size=1000)
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    body = chunked(b"4" + b"x" * 1500, 100)
    connection.feed(http_request("POST", target, {"Transfer-Encoding": "chunked"}) + body[:-50])
    assert connection.response().status == 413
    assert server.closed == []
    connection.feed(body[-50:])
    client.send("smaller")
    assert server.received == ["smaller"]


@pytest.mark.parametrize("deliver", DELIVERIES)
@pytest.mark.parametrize("framing", ["counted", "chunked"])
def test_a_post_arrives_however_it_is_cut(deliver: Delivery, framing: str) -> None:
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
def test_websocket_messages_arrive_however_they_are_cut(deliver: Delivery) -> None:
    server = Server()
    client = server.open_websocket()
    sent = ["a", MULTIBYTE, "x" * 200, "", "y" * 70_000 if deliver is not DELIVERIES[1] else "y"]
    wire = b"".join(client_frame(TEXT, b"4" + each.encode()) for each in sent)
    wire += client_frame(BINARY, b"\x00" * 300)
    deliver(client.feed, wire)
    assert server.received == [*sent, b"\x00" * 300]


def test_a_message_in_many_small_pieces_costs_no_more_than_linear_time() -> None:
    server = Server(max_http_buffer_size=4_000_000)
    client = server.open_websocket()
    wire = client_frame(BINARY, b"x" * 4_000_000)
    # Copying what is there for every piece would move 30 GB.
    for start in range(0, len(wire), 256):
        client.tcp.feed(wire[start : start + 256])
    assert server.received == [b"x" * 4_000_000]


def test_a_megabyte_by_polling_arrives_whole() -> None:
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


def test_answers_within_one_chunk_leave_in_one_write() -> None:
    server = Server(echo=True)
    client = server.open_websocket()
    client.tcp.writes.clear()
    client.feed(b"".join(client_frame(TEXT, b"4%d" % number) for number in range(10)))
    assert len(client.tcp.writes) == 1
    assert client.messages() == [str(number) for number in range(10)]


def test_one_encoding_serves_all_receivers() -> None:
    server = Server()
    clients = [server.open_websocket() for _ in range(20)]
    packet = EncodedPacket.message("to all")
    for session in server.sessions:
        session.send(packet)
    assert all(client.tcp.writes[-1] is packet.frame for client in clients)
    assert all(client.messages() == ["to all"] for client in clients)


def test_a_listener_that_fails_closes_nothing(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    heard: list[str] = []

    def fail_on_bad(text: str) -> None:
        if text == "bad":
            b"\xff".decode()  # a UnicodeDecodeError of ours is not the client's
        heard.append(text)

    server.session.on_text = fail_on_bad
    for text in ("good", "bad", "good again"):
        client.send(text)
    assert heard == ["good", "good again"]
    assert server.closed == []


def test_a_listener_that_meets_a_cancelled_future_fails_as_others_do(transport: str) -> None:
    server = Server()
    client = server.open(transport)

    def answer(text: str) -> None:
        server.session.send_text(text)
        if text == "bad":
            raise asyncio.CancelledError

    server.session.on_text = answer
    for text in ("bad", "good"):
        client.send(text)
        assert client.messages() == [text]
    assert server.closed == []


def test_a_listener_may_be_changed_while_messages_arrive(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    second: list[str] = []

    def first(text: str) -> None:
        server.session.on_text = second.append

    server.session.on_text = first
    for text in ("one", "two", "three"):
        client.send(text)
    assert second == ["two", "three"]


def test_garbage_of_one_client_does_not_reach_another(transport: str) -> None:
    server = Server(echo=True)
    good, bad = server.open(transport), server.open(transport)
    bad.send_packet("nonsense")
    good.send("fine")
    assert good.messages() == ["fine"]
    assert server.reasons == ["parse error"]
