"""Responses that the polling client receives: divided, in one piece, and against `http.client`.

The first byte of an input selects whether the server closes the connection at the end.
"""

from __future__ import annotations

import asyncio
import io
import re
from http.client import HTTPException, HTTPResponse
from typing import Any, NamedTuple

from engineio_core.client.errors import TransportError
from engineio_core.client.http_channel import Answer, HttpChannel
from fuzz.escapes import Escapes
from fuzz.pieces import divide
from fuzz.target import Target
from tests.helpers.fake_clock import FakeClock
from tests.helpers.fake_tcp import FakeTcp

LIMIT = 400
ESCAPES = Escapes("engineio_core")
LOOP = asyncio.new_event_loop()
# The email parser, which http.client uses, ends lines also at these characters.
_OTHER_LINE_ENDS = re.compile(rb"[\x0b\x0c\x1c-\x1e\x85]|\r(?!\n)")
# http.client takes a list of equal lengths (RFC 9110, section 8.6) for an unknown length.
_LENGTHS = re.compile(rb"^content-length[ \t]*:.*,", re.IGNORECASE | re.MULTILINE)
# It does not remove blanks behind the name of a transfer coding (section 5.5).
_CODING = re.compile(rb"^transfer-encoding[ \t]*:.*[ \t]\r?$", re.IGNORECASE | re.MULTILINE)
# It keeps the line ends of folded values (RFC 9112, section 5.2).
_FOLDED = re.compile(rb"\n[ \t]")
_INTERIM = re.compile(rb"HTTP/1\.[0-9] 1")


class Outcome(NamedTuple):
    """The response or the error of a request, and the state of its connection."""

    answer: Answer | None
    error: str
    is_reusable: bool


class _Source:
    """A socket that `http.client` reads."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *arguments: Any) -> io.BytesIO:
        """Return the bytes as a file."""
        return io.BytesIO(self._data)


async def fetch(pieces: list[bytes], *, closes: bool) -> Outcome:
    """Send a request, and receive the pieces as its response."""
    clock = FakeClock()
    tcp = FakeTcp(clock)
    channel = HttpChannel(clock, LIMIT)
    tcp.set_protocol(channel)
    channel.connection_made(tcp)
    request = channel.request("GET", "/", [("Host", "a")], None)
    waiter = request.send(None)
    assert waiter is not None
    outcome: Outcome | None = None
    steps = [lambda piece=piece: tcp.feed(piece) for piece in pieces]
    if closes:
        steps.append(lambda: tcp.lose() if not tcp.is_closed else None)
    for step in steps:
        step()
        assert channel._size <= LIMIT or tcp.is_aborted
        if outcome is None and channel._waiter is not None and channel._waiter.done():
            outcome = finish(request, channel)
        clock.run()
    if outcome is None:
        outcome = Outcome(None, "incomplete", False)
        request.close()
        assert tcp.is_aborted
    return outcome


def finish(request: Any, channel: HttpChannel) -> Outcome:
    """Return the result of a request whose response is complete or invalid."""
    try:
        request.send(None)
    except StopIteration as end:
        return Outcome(end.value, "", channel.is_reusable)
    except (TransportError, OSError) as error:
        assert not channel.is_reusable
        return Outcome(None, type(error).__name__, False)
    raise AssertionError("the request waits, although its response is complete")


def read_with_library(data: bytes) -> tuple[int, bytes] | None:
    """Return status and body as `http.client` reads them; None for an error."""
    response = HTTPResponse(_Source(data), method="GET")  # type: ignore[arg-type]
    try:
        response.begin()
        return response.status, response.read()
    except (HTTPException, ValueError):
        return None


def run(data: bytes) -> None:
    """Compare one piece with many, and with `http.client` where both accept the response."""
    closes, wire = data[:1] == b"c", data[1:]

    async def compare() -> Outcome:
        found = await fetch([wire], closes=closes)
        pieces = divide(wire)
        assert (await fetch(pieces, closes=closes))[:2] == found[:2]
        return found

    with ESCAPES:
        answer = LOOP.run_until_complete(compare()).answer
    if answer is None:
        return
    assert 200 <= answer.status <= 999
    assert len(answer.body) <= LIMIT
    head = re.split(rb"\r?\n\r?\n", wire, maxsplit=1)[0]
    if _INTERIM.match(wire):
        return
    if any(each.search(head) for each in (_OTHER_LINE_ENDS, _LENGTHS, _CODING, _FOLDED)):
        return
    expected = read_with_library(wire)
    if answer.status in {204, 304}:  # http.client (Python 3.11) reads chunks also behind these
        assert answer.body == b""
        return
    assert expected is None or expected == (answer.status, answer.body), expected


_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=UTF-8\r\n"
TARGET = Target(
    "responses that the polling client receives; divided, and against `http.client`",
    lambda: (
        b"k" + _OK + b"Content-Length: 2\r\nSet-Cookie: a=b; Path=/\r\n\r\nok",
        b"k" + _OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n0{\"a\"\r\n1;x=y\r\n}\r\n"
        b"0\r\nA: b\r\n\r\n",
        b"c" + _OK + b"Connection: close\r\n\r\n4hello",
        b"c" + _OK + b"Content-Length: 9\r\n\r\nhello",
        b"kHTTP/1.1 100 Continue\r\n\r\n" + _OK + b"Content-Length: 0\r\n\r\n",
        b"kHTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\nConnection: close\r\n\r\n{1}",
        b"kHTTP/1.0 204 No Content\r\n\r\nmore", b"kHTTP/1.1 101 Switching Protocols\r\n\r\n\x81",
        b"k" + (_OK + b"Content-Length: 2\r\n\r\nok") * 2,
        b"k" + _OK + b"Content-Length: 401\r\n\r\n" + bytes(401),
    ),
    run,
    (
        b"\r\n", b"\n", b"\r\n\r\n", b": ", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0", b"HTTP/1.1 304 ",
        b"HTTP/1.1 204 ", b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n",
        b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"5\r\nhello\r\n", b", 2", b";",
        b" ",
        b"HTTP/1.1 103 Early Hints\r\n\r\n", b"\t",
    ),
    longest=600,
)  # fmt: skip
