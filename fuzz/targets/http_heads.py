"""Request heads: each head that the fast reader accepts must mean the same to h11."""

from __future__ import annotations

import h11

from engineio_core.http.fast_head import read_head
from engineio_core.http.message import HttpRequest, InvalidTargetError, join_headers
from fuzz.requests import REQUESTS, TOKENS
from fuzz.target import Target

LIMIT = 4096


def run(data: bytes) -> None:
    """Compare the fast reader with h11."""
    head = read_head(data, LIMIT)
    if head is None:
        return
    method, target, headers = head.method, head.target, head.lines.headers
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LIMIT)
    connection.receive_data(data)
    event = connection.next_event()
    assert isinstance(event, h11.Request), "h11 needs more bytes"
    assert event.http_version == b"1.1"
    assert (event.method.decode(), event.target.decode()) == (method, target)
    assert join_headers(event.headers) == headers
    assert "transfer-encoding" not in headers
    assert int(headers.get("content-length", "0")) == head.lines.body_length
    assert connection.trailing_data[0] == data[head.end :]
    # The lines of the former request of a connection are not parsed again.
    again = read_head(data, LIMIT, head.lines)
    assert again is not None
    assert again.lines is head.lines
    try:
        request = HttpRequest(method, target, headers)
    except InvalidTargetError:
        return
    assert request.path == "*" or request.path.startswith("/")
    assert all(isinstance(value, str) for value in request.query.values())


TARGET = Target(
    "request heads: the fast reader against h11",
    lambda: REQUESTS,
    run,
    TOKENS,
)
