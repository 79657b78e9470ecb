"""Hostile HTTP requests: smuggling, malformed syntax, and heads or bodies above the limits."""

from __future__ import annotations

import pytest

from tests.helpers.client import Server
from tests.helpers.wire import DELIVERIES, Delivery, chunked, http_request

TARGET = "/engine.io/?EIO=4&transport=polling"


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        (
            "both Content-Length and Transfer-Encoding",
            http_request("POST", TARGET, {"Content-Length": "4", "Transfer-Encoding": "chunked"}),
        ),
        (
            "two different Content-Lengths",
            http_request("POST", TARGET, [("Content-Length", "4"), ("Content-Length", "5")]),
        ),
        ("a list of Content-Lengths", http_request("POST", TARGET, {"Content-Length": "4, 5"})),
        ("a signed Content-Length", http_request("POST", TARGET, {"Content-Length": "+4"})),
        ("a negative Content-Length", http_request("POST", TARGET, {"Content-Length": "-4"})),
        ("a Content-Length in hex", http_request("POST", TARGET, {"Content-Length": "0x4"})),
        (
            "a Content-Length of 40 digits",
            http_request("POST", TARGET, {"Content-Length": "9" * 40}),
        ),
        (
            "an unknown Transfer-Encoding",
            http_request("POST", TARGET, {"Transfer-Encoding": "gzip, chunked"}),
        ),
        (
            "Transfer-Encoding twice",
            http_request(
                "POST", TARGET, [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "x")]
            ),
        ),
        (
            "a space before the colon",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 4\r\n\r\n",
        ),
        ("lines that end with LF only", b"GET / HTTP/1.1\nHost: a\n\n"),
        ("one line that ends with LF only", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
        ("a CR within a line", b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"),
        ("a folded line", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"),
        ("no Host", b"GET / HTTP/1.1\r\n\r\n"),
        ("two Hosts", http_request("GET", TARGET, [("Host", "a"), ("Host", "b")])),
        ("a NUL in a header", http_request("GET", TARGET, {"X": "a\x00b"})),
        ("not HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        ("no version", b"GET /\r\n\r\n"),
        ("an unsupported version", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        ("two spaces after the method", b"GET  /engine.io/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a target with a space", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a target of another scheme", b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("an invalid target", b"GET nonsense HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a target with raw UTF-8", "GET /\u20ac HTTP/1.1\r\nHost: a\r\n\r\n".encode()),
        ("CONNECT", b"CONNECT evil:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("deliver", DELIVERIES)
def test_ambiguous_or_malformed_request_is_refused_and_closes_the_connection(
    name: str, wire: bytes, deliver: Delivery
) -> None:
    server = Server()
    connection = server.connect()
    smuggled = http_request("GET", TARGET)
    deliver(connection.feed, wire + smuggled)
    (response,) = connection.responses()
    assert response.status in {400, 501, 505}, name
    assert response.header("Connection") == "close"
    assert connection.tcp.is_over
    assert not server.sessions, "the server must not process the second request"


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n4x\r\n0\r\n\r\n",
        b"-2\r\n4x\r\n0\r\n\r\n",
        b"0x2\r\n4x\r\n0\r\n\r\n",
        b"2\r\n4xx\r\n0\r\n\r\n",
        b"2\r\n4xXX0\r\n\r\n",
        b"f" * 30 + b"\r\n",
        b" 2\r\n4x\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("deliver", DELIVERIES)
def test_invalid_chunk_ends_the_request_and_its_session(body: bytes, deliver: Delivery) -> None:
    server = Server()
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    head = http_request("POST", target, {"Transfer-Encoding": "chunked"})
    deliver(connection.feed, head + body + http_request("GET", TARGET))
    assert connection.response().status == 400
    assert connection.tcp.is_over
    assert server.received == []
    assert server.reasons == ["transport error"]
    assert len(server.sessions) == 1


def test_request_head_above_the_limit_receives_431() -> None:
    server = Server(max_header_size=16 * 1024)
    connection = server.connect()
    connection.feed(b"GET / HTTP/1.1\r\nHost: a\r\n")
    for number in range(300):
        connection.feed(b"X-%d: %b\r\n" % (number, b"y" * 100))
    assert connection.response().status == 431
    assert connection.tcp.is_over


@pytest.mark.parametrize("lines", [b"X: " + b"a" * 15_000, b"a:b\r\n" * 3000])
def test_request_head_is_accepted_byte_by_byte(lines: bytes) -> None:
    connection = Server().connect()
    for byte in b"GET / HTTP/1.1\r\nHost: x\r\n" + lines:
        connection.feed(bytes((byte,)))
    assert connection.responses() == []


def test_endless_request_line_is_refused() -> None:
    server = Server(max_header_size=16 * 1024)
    connection = server.connect()
    for _ in range(300):
        connection.feed(b"GET /" + b"a" * 100)
    assert connection.response().status in {400, 431}


def test_endless_chunk_extension_is_refused() -> None:
    server = Server(max_header_size=16 * 1024)
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    connection.feed(http_request("POST", target, {"Transfer-Encoding": "chunked"}) + b"2;")
    for _ in range(300):
        connection.feed(b"x" * 100)
    assert connection.response().status in {400, 431}


def test_trailers_are_ignored() -> None:
    server = Server()
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    body = chunked(b"4x")[:-2] + b"X-Trailer: yes\r\n\r\n"
    connection.feed(http_request("POST", target, {"Transfer-Encoding": "chunked"}) + body * 1)
    assert connection.response().text == "ok"


def test_repeated_headers_are_joined() -> None:
    server = Server()
    connection = server.connect()
    cookies = [("Cookie", "a=1"), ("Cookie", "b=2"), ("X-A", "1"), ("x-a", "2")]
    connection.feed(http_request("GET", TARGET, cookies))
    headers = server.session.request.headers
    assert (headers["cookie"], headers["x-a"]) == ("a=1; b=2", "1, 2")


def test_upgrade_to_another_protocol_is_ignored() -> None:
    server = Server()
    connection = server.connect()
    headers = {"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings", "HTTP2-Settings": "x"}
    connection.request("GET", TARGET, headers)
    assert connection.response().status == 200
    connection.request("GET", TARGET)
    assert connection.response().status == 200


def test_excessive_header_count_receives_431() -> None:
    server = Server()
    headers = {f"x-{number}": "" for number in range(200)}
    response = server.get(headers, transport="polling").response()
    assert response.status == 431
    assert server.engine.sessions == {}


def test_excessive_query_parameter_count_receives_400() -> None:
    server = Server()
    query = {f"x{number}": "" for number in range(200)}
    assert server.get(transport="polling", **query).response().status == 400
    assert server.engine.sessions == {}
