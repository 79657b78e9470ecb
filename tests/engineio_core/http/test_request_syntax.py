"""Valid HTTP that few clients send: empty lines, OPTIONS *, chunk extensions, lengths of 0."""

from __future__ import annotations

import h11
import pytest

from engineio_core.http.chunked import MAX_LINE, MAX_TRAILERS, ChunkedReader
from tests.helpers.client import Server
from tests.helpers.wire import DELIVERIES, WEBSOCKET_HEADERS, Delivery, http_request

EMPTY_LINES = [b"\r\n", b"\r\n\r\n", b"\n", b"\r\n" * 100]


# -- empty lines, RFC 9112, section 2.2


@pytest.mark.parametrize("lines", EMPTY_LINES)
@pytest.mark.parametrize("deliver", DELIVERIES)
def test_empty_lines_before_a_request_are_ignored(lines: bytes, deliver: Delivery) -> None:
    server = Server()
    connection = server.connect()
    deliver(connection.feed, lines + http_request("GET", server.target(transport="polling")))
    assert connection.response().status == 200


@pytest.mark.parametrize("lines", EMPTY_LINES)
@pytest.mark.parametrize("deliver", DELIVERIES)
def test_empty_lines_after_a_post_body_are_ignored(lines: bytes, deliver: Delivery) -> None:
    server = Server()
    client = server.open_polling()
    target = server.target(transport="polling", sid=client.sid)
    connection = server.connect()
    posts = [http_request("POST", target, {}, b"4" + text) + lines for text in (b"a", b"b", b"c")]
    deliver(connection.feed, b"".join(posts))
    assert [each.text for each in connection.responses()] == ["ok", "ok", "ok"]
    assert server.received == ["a", "b", "c"]
    assert not connection.tcp.is_closed


def test_empty_lines_after_a_chunked_body_are_ignored() -> None:
    server = Server()
    client = server.open_polling()
    target = server.target(transport="polling", sid=client.sid)
    connection = server.connect()
    head = http_request("POST", target, {"Transfer-Encoding": "chunked"})
    for text in (b"4a", b"4b"):
        connection.feed(head + b"2\r\n" + text + b"\r\n0\r\n\r\n\r\n")
    assert [each.text for each in connection.responses()] == ["ok", "ok"]
    assert server.received == ["a", "b"]


@pytest.mark.parametrize("lines", [b"\r\n", b"\n\n", b"\r\n\r\n"])
def test_connection_with_empty_lines_only_is_closed_without_a_response(lines: bytes) -> None:
    server = Server()
    connection = server.connect()
    for byte in lines:
        connection.feed(bytes((byte,)))
    server.clock.advance(100)
    assert connection.tcp.is_closed
    assert connection.tcp.take() == b""


def test_empty_lines_do_not_extend_the_keep_alive_time() -> None:
    server = Server(keep_alive_timeout=10)
    connection = server.get(transport="polling")
    connection.responses()
    for _ in range(11):
        connection.feed(b"\r\n")
        server.clock.advance(1)
    assert connection.tcp.is_closed
    assert connection.tcp.take() == b""


# -- OPTIONS *, RFC 9110, section 9.3.7


def test_options_of_the_server_is_answered() -> None:
    server = Server()
    connection = server.connect()
    connection.feed(http_request("OPTIONS", "*") + http_request("GET", "/nowhere"))
    options, other = connection.responses()
    assert (options.status, options.header("Allow")) == (204, "GET, HEAD, POST, OPTIONS")
    assert other.status == 404


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_asterisk_target_of_another_method_is_refused(method: str) -> None:
    connection = Server().connect()
    connection.feed(http_request(method, "*"))
    assert connection.response().status == 400


# -- chunks, RFC 9112, section 7.1


@pytest.mark.parametrize(
    "chunks",
    [
        b"2 \r\n4a\r\n0\r\n\r\n",
        b"2 ;ext=1\r\n4a\r\n0 ;last\r\n\r\n",
        b'2\t ; name="a b" ; other\r\n4a\r\n0\r\n\r\n',
        b"1;a\r\n4\r\n1;b\r\na\r\n0;c\r\nTrailer: x\r\n\r\n",
        b"0002\r\n4a\r\n000\r\n\r\n",
    ],
)
@pytest.mark.parametrize("deliver", DELIVERIES)
def test_blanks_and_extensions_of_chunks_are_accepted(chunks: bytes, deliver: Delivery) -> None:
    server = Server()
    client = server.open_polling()
    target = server.target(transport="polling", sid=client.sid)
    connection = server.connect()
    request = http_request("POST", target, {"Transfer-Encoding": "chunked"}) + chunks
    deliver(connection.feed, request + http_request("GET", "/nowhere"))
    assert [each.status for each in connection.responses()] == [200, 404]
    assert server.received == ["a"]


def read_chunks(chunks: bytes) -> None:
    reader = ChunkedReader()
    for byte in chunks:
        reader.feed(bytes((byte,)))
        while reader.next_piece():
            pass


@pytest.mark.parametrize(
    "chunks",
    [
        b"x\r\n",
        b" 2\r\n4a\r\n",
        b"-1\r\n",
        b"0x2\r\n4a\r\n",
        b"2\n4a\r\n",
        b"2\n4a\n0\n\n",
        b"2\r\n4a\n",
        b"0\r\nA: b\n\n",
        b"2\r\n4abc\r\n",
        b"2\r\n4a0\r\n\r\n",
        b"2;\x00\r\n4a\r\n",
        b"2;a\rb\r\n4a\r\n",
        b"f" * 16 + b"\r\n",
        b"2;" + b"x" * MAX_LINE + b"\r\n4a\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n" + b"A: b\r\n" * MAX_TRAILERS,
    ],
)
def test_invalid_chunks_are_rejected(chunks: bytes) -> None:
    with pytest.raises(h11.RemoteProtocolError):
        read_chunks(chunks)


# -- a length of 0, RFC 9112, section 6.3


@pytest.mark.parametrize("length", ["0", "00", "0, 0"])
def test_websocket_handshake_with_a_length_of_zero_is_accepted(length: str) -> None:
    server = Server(echo=True)
    connection = server.upgrade({"Content-Length": length})
    assert connection.response().status == 101


def test_websocket_handshake_with_a_length_of_zero_may_have_repeated_headers() -> None:
    """h11 reads this head."""
    server = Server(echo=True)
    connection = server.connect()
    headers = [*WEBSOCKET_HEADERS.items(), ("Content-Length", "0"), ("X-A", "1"), ("X-A", "2")]
    connection.feed(http_request("GET", server.target(transport="websocket"), headers))
    assert connection.response().status == 101
    assert len(server.sessions) == 1


@pytest.mark.parametrize(
    "headers", [{"Content-Length": "1"}, {"Transfer-Encoding": "chunked"}], ids=str
)
def test_websocket_handshake_with_a_body_is_refused(headers: dict[str, str]) -> None:
    server = Server()
    connection = server.upgrade(headers, tail=b"x")
    assert connection.response().status == 400


def test_upgrade_request_with_a_length_of_zero_is_accepted() -> None:
    server = Server()
    client = server.open_polling()
    connection = server.upgrade({"Content-Length": "0"}, sid=client.sid)
    assert connection.response().status == 101


def test_poll_with_a_length_of_zero_is_answered() -> None:
    server = Server()
    client = server.open_polling()
    server.session.send_text("a")
    assert client.poll({"Content-Length": "0"}).response().text == "4a"
