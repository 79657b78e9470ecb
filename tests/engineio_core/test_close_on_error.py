"""Sessions that end with a transport error or a parse error."""

from __future__ import annotations

import pytest

from tests.helpers.client import Server
from tests.helpers.wire import TEXT, client_frame, http_request

# -- transport error


def test_second_poll_closes_the_session_with_transport_error() -> None:
    server = Server()
    client = server.open_polling()
    first, second = client.poll(), client.poll()
    assert (first.response().text, second.response().status) == ("1", 400)
    assert server.closed == [("transport error", "overlap from client")]
    assert client.poll().response().json["code"] == 1


def test_pipelined_polls_do_not_overlap() -> None:
    server = Server()
    client = server.open_polling()
    target = server.target(transport="polling", sid=client.sid)
    connection = server.connect()
    connection.feed(http_request("GET", target) * 2)
    server.session.send_text("one")
    assert connection.response().text == "4one"
    server.session.send_text("two")
    assert connection.response().text == "4two"
    assert server.closed == []


def test_poll_pipelined_after_an_overlapped_poll_is_refused() -> None:
    server = Server()
    client = server.open_polling()
    connection = server.connect()
    connection.feed(http_request("GET", server.target(transport="polling", sid=client.sid)) * 2)
    client.poll()
    assert [each.status for each in connection.responses()] == [200, 400]


def test_second_post_closes_the_session_with_transport_error() -> None:
    server = Server()
    client = server.open_polling()
    target = server.target(transport="polling", sid=client.sid)
    first = server.connect()
    first.feed(http_request("POST", target, {"Content-Length": "100"}) + b"4half")
    second = client.post("4whole")
    assert second.response().status == 400
    assert first.tcp.is_aborted
    assert server.closed == [("transport error", "data request overlap from client")]
    assert server.received == []


@pytest.mark.parametrize("end", ["lose", "finish"])
def test_aborted_poll_closes_the_session_with_transport_error(end: str) -> None:
    server = Server()
    poll = server.open_polling().poll()
    getattr(poll.tcp, end)()
    server.clock.run()
    assert server.closed == [("transport error", "poll connection closed prematurely")]
    assert server.engine.sessions == {}


def test_aborted_post_closes_the_session_with_transport_error() -> None:
    server = Server()
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    connection.feed(http_request("POST", target, {"Content-Length": "100"}) + b"4half")
    connection.tcp.lose()
    assert server.closed == [("transport error", "data request connection closed prematurely")]
    assert server.received == []


def test_session_stays_open_when_an_idle_connection_closes() -> None:
    server = Server()
    client = server.open_polling()
    poll = client.poll()
    server.session.send_text("hi")
    poll.response()
    poll.tcp.lose()
    assert server.closed == []


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_session_stays_open_when_a_poll_closes_its_connection(version: str) -> None:
    server = Server()
    client = server.open_polling()
    target = server.target(transport="polling", sid=client.sid)
    connection = server.connect()
    connection.feed(http_request("GET", target, {"Connection": "close"}, version=version))
    server.session.send_text("hi")
    response = connection.response()
    assert (response.text, response.header("Connection")) == ("4hi", "close")
    assert connection.tcp.is_closed
    assert server.closed == []


def test_post_with_binary_content_closes_the_session_with_transport_error() -> None:
    server = Server()
    client = server.open_polling()
    poll = client.poll()
    post = client.post(b"4abc", {"Content-Type": "application/octet-stream"})
    assert (post.response().status, poll.response().text) == (400, "1")
    assert server.closed == [("transport error", "invalid content")]


def test_ping_from_the_client_closes_the_session_with_transport_error(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    client.send_packet("2")
    assert server.closed == [("transport error", "invalid heartbeat direction")]
    assert client.is_over


def test_message_above_the_limit_closes_a_websocket_with_1009() -> None:
    server = Server(max_http_buffer_size=100)
    client = server.open_websocket()
    client.frame(TEXT, b"4" + b"x" * 100)
    assert client.close_code == 1009
    assert server.reasons == ["transport error"]


# -- parse error


@pytest.mark.parametrize("packet", ["abc", "", "7", "\u20ac", "-"])
def test_unknown_packet_closes_the_session_with_parse_error(packet: str, transport: str) -> None:
    server = Server()
    client = server.open(transport)
    client.packets()
    client.send_packet(packet)
    assert server.reasons == ["parse error"]
    assert client.is_over


@pytest.mark.parametrize("body", [b"abc", b"", b"4a\x1e", b"\x1e4a", b"4\xff", b"bA"])
def test_invalid_payload_receives_400_and_closes_the_session_with_parse_error(body: bytes) -> None:
    server = Server()
    client = server.open_polling()
    poll = client.poll()
    assert client.post(body).response().status == 400
    assert poll.response().text == "1"
    assert client.poll().response().status == 400
    assert server.reasons == ["parse error"]


def test_packets_before_an_invalid_packet_are_delivered(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    if transport == "polling":
        client.post("4good\x1enone\x1e4late")
    else:
        client.feed(b"".join(client_frame(TEXT, each) for each in (b"4good", b"x", b"4late")))
    assert server.received == ["good"]
    assert server.reasons == ["parse error"]
