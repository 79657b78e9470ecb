"""Whole connections: requests, bodies and pipelining, in one piece and divided.

Heads, chunked bodies and the order of requests must not depend on the division; an exception
inside the connection counts as an escape.
"""

from __future__ import annotations

import re
from typing import Any

from engineio_core.http.connection import HttpConnection
from engineio_core.http.exchange import Exchange
from engineio_core.http.message import HttpResponse
from engineio_core.http.trusted_proxies import TrustedProxies
from engineio_core.options import EngineOptions
from engineio_core.timers import TimerQueue
from fuzz.escapes import Escapes
from fuzz.pieces import divide
from fuzz.requests import REQUESTS, TOKENS
from fuzz.target import Target
from fuzz.turns import counted_turns
from tests.helpers.fake_clock import FakeClock
from tests.helpers.fake_tcp import FakeTcp

LIMIT = 600
OPTIONS = EngineOptions(max_header_size=512, max_http_buffer_size=LIMIT)
PROXIES = TrustedProxies()
# The date, the interim response, and which of two rules an invalid head violates first.
_CHANGING = re.compile(
    rb"Date: [^\r]+\r\n|HTTP/1.1 100 Continue\r\n\r\n|(?<=HTTP/1.1 )4(?:00 Bad Request|31 [\w ]+)"
)
ESCAPES = Escapes("engineio_core")


class Recorder:
    """Router that reads the body of each request and answers with its length."""

    options = OPTIONS
    _proxies = PROXIES

    def __init__(self) -> None:
        self.requests: list[object] = []

    def _route(self, exchange: Exchange) -> None:
        request = exchange.request
        found = [request.method, request.target, request.headers]
        self.requests.append(found)

        def answer(body: bytes) -> None:
            found.append(body)
            exchange.respond(HttpResponse(200, b"%d" % len(body)))

        def refuse(description: str) -> None:
            found.append(description)
            exchange.keep_alive = False
            exchange.respond(HttpResponse(413))

        if exchange.is_body_read:
            answer(b"")
        else:
            exchange.read_body(LIMIT, answer, refuse)


def serve(pieces: list[bytes]) -> Any:
    """Return the requests of a connection, its responses and whether it is over."""
    clock = FakeClock()
    tcp = FakeTcp(clock)
    router = Recorder()
    connection = HttpConnection(router, TimerQueue(clock), set())
    tcp.set_protocol(connection)
    connection.connection_made(tcp)
    for piece in pieces:
        if not tcp.is_closed:
            tcp.feed(piece)
        clock.run()
        # A read of an event loop is bounded as well: the head, and the piece that exceeds it.
        assert connection._held <= OPTIONS.max_header_size + len(piece) + LIMIT
    written = _CHANGING.sub(b"", bytes(tcp.written))
    clock.advance(200.0)
    assert tcp.is_over, "no deadline ends the connection"
    return router.requests, written


def run(data: bytes) -> None:
    """Compare one piece with many."""
    with ESCAPES, counted_turns():
        assert serve(divide(data)) == serve([data] if data else [])


TARGET = Target(
    "whole HTTP connections: heads, bodies, pipelining; divided and in one piece",
    lambda: REQUESTS,
    run,
    TOKENS,
)
