"""Frames of the link between a gateway and the origin, as bytes and as values.

A *gateway* is a process that holds the connections of clients; the *origin* is the process whose
program receives their messages. A link is one byte stream between them: each frame has 4 bytes of
length (big-endian, of kind and body), 1 byte of kind, and a body. Numbers in bodies are unsigned
and big-endian; structured bodies are MessagePack. A session has a number that is unique within
its link.

    HELLO      both        the version of the frames, a nonce, a proof of the shared secret
    ALIVE      both        empty: the sender is alive
    ADMIT      to origin   request id (4), request: may this request continue?
    ADMITTED   to gateway  request id (4), verdict
    REFUSED    to origin   a request that the gateway refused
    OPEN       to origin   session (4), sid, name of the transport, request id or 0, request
    TEXT       to origin   session (4), one text packet with its type digit
    BINARY     to origin   session (4), one binary message
    UPGRADED   to origin   session (4): the session uses WebSocket now
    TAKEN      to origin   session (4), bytes (8) that the client's connection has taken
    CLOSED     to origin   session (4), reason, description
    LEAVING    both        to origin: seconds, or nil: close the sessions of this gateway in this
                           time; to gateway: the origin stops, and this link ends
    LAG        to origin   seconds (8, IEEE 754): the delay of a timer of the gateway
    SEND       to gateway  flags (1), count (4), sessions (4 each), one packet
    PAUSE      to gateway  session (4): read no further message of this client
    RESUME     to gateway  session (4)
    CLOSE      to gateway  session (4): close after the queued packets
    DISCARD    to gateway  session (4): close immediately
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from struct import Struct
from typing import Any, Final, NamedTuple, final

import msgspec

from engineio_core.http.message import HttpRequest

VERSION: Final = 3
#: Largest frame: a link is trusted, but a damaged length must not exhaust the memory.
MAX_FRAME: Final = 1 << 30

LENGTH: Final = Struct("!I")
NUMBER: Final = Struct("!I")
GROUP: Final = Struct("!BI")
AMOUNT: Final = Struct("!IQ")
SECONDS: Final = Struct("!d")

IS_BINARY: Final = 1
IS_UNCOMPRESSED: Final = 2


class Kind(IntEnum):
    """The kinds of frames."""

    HELLO = 1
    ALIVE = 2
    ADMIT = 3
    ADMITTED = 4
    REFUSED = 5
    OPEN = 6
    TEXT = 7
    BINARY = 8
    UPGRADED = 9
    TAKEN = 10
    CLOSED = 11
    SEND = 12
    PAUSE = 13
    RESUME = 14
    CLOSE = 15
    DISCARD = 16
    LEAVING = 17
    LAG = 18


class LinkError(Exception):
    """The peer of a link sent something that is not a frame, or has another version or secret."""


class RelayedRequest(NamedTuple):
    """The head of a client's request, with the client's address after trusted proxies."""

    method: str
    target: str
    headers: dict[str, str]
    remote_address: str
    remote_port: int
    secure: bool
    host: str

    @classmethod
    def of(cls, request: HttpRequest) -> RelayedRequest:
        """Return the values of a request."""
        return cls(
            request.method,
            request.target,
            request.headers,
            request.remote_address,
            request.remote_port,
            request.secure,
            request.host,
        )

    def restore(self) -> HttpRequest:
        """Return a request with these values."""
        request = HttpRequest(
            self.method,
            self.target,
            self.headers,
            remote_address=self.remote_address,
            remote_port=self.remote_port,
            secure=self.secure,
        )
        request.host = self.host
        return request


class Opened(NamedTuple):
    """A session that a gateway has opened."""

    sid: str
    transport: str
    admitted: int
    """The id of the ADMIT frame of its handshake."""
    request: RelayedRequest


class Refused(NamedTuple):
    """A request that a gateway refused: the code and the message of its response."""

    code: int
    message: str
    request: RelayedRequest


class Verdict(NamedTuple):
    """The result of the origin's middlewares for one request."""

    response: tuple[int, bytes, list[tuple[str, str]]] | None
    """The response that ends the request: status, body, headers."""
    has_failed: bool
    """Whether a middleware raised an exception; the request is refused with code 3."""
    headers: list[tuple[str, str]]
    """Headers for the response of the gateway."""


class Hello(NamedTuple):
    """The first frame in each direction, and the proof that follows it."""

    version: int
    nonce: bytes
    proof: bytes


class Closed(NamedTuple):
    """The end of a session at the gateway."""

    reason: str
    description: str


class Leaving(NamedTuple):
    """The end of a gateway or of the origin."""

    drain: float | None
    """Seconds in which the origin closes the sessions; None for the default."""


_encoder: Final = msgspec.msgpack.Encoder()
_decoders: Final = {
    kind: msgspec.msgpack.Decoder(kind)
    for kind in (RelayedRequest, Opened, Refused, Verdict, Hello, Closed, Leaving)
}


def encode(value: Any) -> bytes:
    """Return a structured body."""
    return _encoder.encode(value)


def decode(kind: type[Any], body: bytes) -> Any:
    """Return the value of a structured body. Raises LinkError."""
    try:
        return _decoders[kind].decode(body)
    except ValueError as error:  # DecodeError, or UnicodeDecodeError for a text
        raise LinkError(f"a {kind.__name__} frame is not valid: {error}") from error


@final
class FrameSplitter:
    """Splits the byte stream of a link into frames.

    If `is_turn_over` is set, it is called before each frame; once it returns True, the frames that
    follow wait for the next call of `feed`.
    """

    __slots__ = ("_chunks", "_needed", "_on_frame", "_size", "is_turn_over")

    def __init__(self, on_frame: Callable[[int, bytes], None]) -> None:
        self._on_frame = on_frame
        self.is_turn_over: Callable[[], bool] | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._needed = 0

    def feed(self, data: bytes) -> None:
        """Call `on_frame(kind, body)` for each complete frame. Raises LinkError."""
        if self._chunks:
            self._chunks.append(data)
            self._size += len(data)
            if self._size < self._needed:
                return
            data = b"".join(self._chunks)
            self._chunks.clear()
        start, end = 0, len(data)
        needed = 5
        while end - start >= 5:
            (length,) = LENGTH.unpack_from(data, start)
            if not 1 <= length <= MAX_FRAME:
                raise LinkError(f"a frame must have 1 to {MAX_FRAME} bytes, got {length}")
            if end - start < 4 + length:
                needed = 4 + length
                break
            if self.is_turn_over is not None and self.is_turn_over():
                needed = 0
                break
            begin = start + 4
            start = begin + length
            self._on_frame(data[begin], data[begin + 1 : start])
        if start < end:
            self._chunks.append(data[start:])
            self._size, self._needed = end - start, needed


def encode_frame(kind: Kind, *parts: bytes) -> bytes:
    """Return a frame whose body consists of the parts."""
    size = 1 + sum(map(len, parts))
    return b"".join((LENGTH.pack(size), bytes((kind,)), *parts))
