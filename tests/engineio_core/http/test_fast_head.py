"""Both lanes of HTTP see the same requests: the fast one, and h11."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engineio_core.http.fast_head import read_head
from engineio_core.server import Engine
from tests.helpers.fake_clock import FakeClock
from tests.helpers.fake_tcp import FakeTcp

USUAL = (
    b"POST /engine.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: a\r\nCookie: a=1; b=2\r\n"
    b"Content-Type:  text/plain \r\nContent-Length: 2\r\n\r\n40"
)


def answer(request: bytes, first: int) -> tuple[bytes, bool]:
    """Send a request whose first chunk has `first` bytes: 1 leaves it all to h11."""
    clock = FakeClock()
    engine = Engine(clock=clock)
    tcp = FakeTcp(clock)
    protocol = engine._make_connection()
    tcp.set_protocol(protocol)
    protocol.connection_made(tcp)
    protocol.data_received(request[:first])
    if request[first:]:
        protocol.data_received(request[first:])
    return bytes(tcp.written), tcp.is_closed


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
def test_both_lanes_answer_alike(request_: bytes) -> None:
    assert answer(request_, len(request_)) == answer(request_, 1)


@given(
    st.lists(
        st.tuples(st.integers(0, len(USUAL) - 1), st.sampled_from(b"\r\n\0 \t:,;aG1\x7f\xe9\xff")),
        max_size=4,
    )
)
def test_both_lanes_answer_alike_whatever_is_broken(changes: list[tuple[int, int]]) -> None:
    request = bytearray(USUAL)
    for position, byte in changes:
        request[position] = byte
    assert answer(bytes(request), len(request)) == answer(bytes(request), 1)


def test_only_usual_requests_take_the_fast_lane() -> None:
    head = read_head(USUAL, 16384)
    assert head is not None
    assert (head.method, head.body_length, len(USUAL) - head.end) == ("POST", 2, 2)
    assert head.headers["content-type"] == "text/plain"
    assert read_head(USUAL[:-6], 16384) is None
    assert read_head(USUAL, len(USUAL) - 10) is None
