"""Request heads: the fast path and h11 must produce the same responses."""

from __future__ import annotations

import re
from collections.abc import Callable

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_core.http.fast_head import read_head, read_lines
from engineio_core.http.message import HttpRequest, join_headers
from engineio_core.server import Engine
from tests.helpers.fake_clock import FakeClock
from tests.helpers.fake_tcp import FakeTcp

USUAL = (
    b"POST /engine.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: a\r\nCookie: a=1; b=2\r\n"
    b"Content-Type:  text/plain \r\nContent-Length: 2\r\n\r\n40"
)


def respond_to(request: bytes, first: int) -> tuple[bytes, bool]:
    """Send a request whose first chunk has `first` bytes; with 1, h11 parses the request."""
    clock = FakeClock()
    engine = Engine(clock=clock)
    tcp = FakeTcp(clock)
    protocol = engine._make_connection()
    tcp.set_protocol(protocol)
    protocol.connection_made(tcp)
    protocol.data_received(request[:first])
    if request[first:]:
        protocol.data_received(request[first:])
    # The two responses may be sent in different seconds.
    return re.sub(rb"Date: [^\r]+\r\n", b"", bytes(tcp.written)), tcp.is_closed


@pytest.mark.parametrize(
    "request_",
    [
        USUAL,
        USUAL + USUAL,
        USUAL.replace(b"Host: a\r\n", b""),
        USUAL.replace(b"Host: a", b"Host: a\r\nHost: b"),
        USUAL.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked"),
        USUAL.replace(b"Content-Length: 2", b"Content-Length: 2\r\nTransfer-Encoding: chunked"),
        USUAL.replace(b"Content-Length: 2", b"Content-Length: +2"),
        USUAL.replace(b"Content-Length: 2", b"Content-Length: 2, 2"),
        USUAL.replace(b"Content-Length: 2", b"Content-Length : 2"),
        USUAL.replace(b"Cookie", b" Cookie"),
        USUAL.replace(b"HTTP/1.1", b"HTTP/1.0"),
        USUAL.replace(b"POST", b"PUT"),
        USUAL.replace(b"POST /", b"POST  /"),
        USUAL.replace(b"a=1", b"a=\xff"),
        USUAL.replace(b"a=1", b"a=\x00"),
        USUAL.replace(b"Host: a", b"Host: a\r\nConnection: close"),
    ],
)
def test_fast_path_and_h11_send_the_same_response(request_: bytes) -> None:
    assert respond_to(request_, len(request_)) == respond_to(request_, 1)


@given(
    st.lists(
        st.tuples(st.integers(0, len(USUAL) - 1), st.sampled_from(b"\r\n\0 \t:,;aG1\x7f\xe9\xff")),
        max_size=4,
    )
)
def test_fast_path_and_h11_send_the_same_response_when_bytes_are_changed(
    changes: list[tuple[int, int]],
) -> None:
    request = bytearray(USUAL)
    for position, byte in changes:
        request[position] = byte
    assert respond_to(bytes(request), len(request)) == respond_to(bytes(request), 1)


def test_fast_path_parses_only_common_requests() -> None:
    head = read_head(USUAL, 16384)
    assert head is not None
    assert (head.method, head.lines.body_length, len(USUAL) - head.end) == ("POST", 2, 2)
    assert head.lines.headers["content-type"] == "text/plain"
    assert read_head(USUAL[:-6], 16384) is None
    assert read_head(USUAL, len(USUAL) - 10) is None


def respond_in_turn(requests: list[bytes], *, byte_by_byte: bool) -> tuple[bytes, bool]:
    """Send requests on one connection, each in one chunk or byte by byte (h11 parses these)."""
    clock = FakeClock()
    engine = Engine(clock=clock)
    tcp = FakeTcp(clock)
    protocol = engine._make_connection()
    tcp.set_protocol(protocol)
    protocol.connection_made(tcp)
    for request in requests:
        pieces = [request[at : at + 1] for at in range(len(request))] if byte_by_byte else [request]
        for piece in pieces:
            protocol.data_received(piece)
    return re.sub(rb"Date: [^\r]+\r\n", b"", bytes(tcp.written)), tcp.is_closed


@given(
    st.lists(
        st.tuples(st.integers(0, len(USUAL) - 1), st.sampled_from(b"\r\n\0 \t:,;aG1\x7f\xe9\xff")),
        max_size=3,
    ),
    st.integers(0, 2),
)
def test_repeated_header_lines_have_the_same_response_as_with_h11_when_bytes_are_changed(
    changes: list[tuple[int, int]], changed: int
) -> None:
    requests = [bytearray(USUAL) for _ in range(3)]
    for position, byte in changes:
        requests[changed][position] = byte
    chunks = [bytes(request) for request in requests]
    whole = respond_in_turn(chunks, byte_by_byte=False)
    assert whole == respond_in_turn(chunks, byte_by_byte=True)
    assert whole == respond_in_turn([b"".join(chunks)], byte_by_byte=False)  # pipelined


def test_repeated_header_lines_are_parsed_once() -> None:
    head = read_head(USUAL, 16384)
    assert head is not None
    again = read_head(USUAL.replace(b"sid=x", b"sid=other"), 16384, head.lines)
    assert again is not None
    assert again.lines is head.lines
    assert again.target.endswith("sid=other")
    assert read_head(USUAL, len(USUAL) - 10, head.lines) is None
    changed = read_head(USUAL.replace(b"a=1", b"a=2"), 16384, head.lines)
    assert changed is not None
    assert changed.lines.headers["cookie"] == "a=2; b=2"


def test_changed_headers_of_a_request_do_not_reach_the_next_one() -> None:
    clock = FakeClock()
    engine = Engine(clock=clock)
    seen: list[dict[str, str]] = []

    @engine.use
    def change(request: HttpRequest) -> None:
        seen.append(dict(request.headers))
        request.headers.pop("cookie")

    tcp = FakeTcp(clock)
    protocol = engine._make_connection()
    tcp.set_protocol(protocol)
    protocol.connection_made(tcp)
    for _ in range(2):
        protocol.data_received(USUAL)
    assert seen[0] == seen[1]
    assert seen[1]["cookie"] == "a=1; b=2"


def parse_with_h11(lines: bytes) -> dict[str, str]:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"GET / HTTP/1.1\r\n" + lines + b"\r\n")
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    return join_headers(event.headers)


@given(
    st.dictionaries(
        st.sampled_from(["Connection", "Sec-WebSocket-Key", "upgrade", "ACCEPT", "X-Other"]),
        st.sampled_from(["", "Upgrade", "upgrade", "keep-alive", "websocket", "13", "other"]),
    ),
    st.sampled_from([str, str.lower, str.upper]),
)
def test_usual_names_and_values_are_read_like_with_h11(
    headers: dict[str, str], spell: Callable[[str], str]
) -> None:
    text = "".join(f"{spell(name)}: {value}\r\n" for name, value in headers.items())
    lines = read_lines(b"Host: a\r\n" + text.encode())
    assert lines is not None
    assert lines.headers == parse_with_h11(lines.data)
