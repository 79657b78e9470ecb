"""One HTTP request and its response, complete or streamed.

The exchange frames the response and passes bytes to the connection, which owns parser and TCP.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Final, NamedTuple, Protocol, final

from engineio_core.http.message import (
    NO_STORE,
    HttpRequest,
    HttpResponse,
    encode_ok,
    encode_response,
    encode_stream_head,
)
from engineio_core.http.states import FINISHED, GONE, STREAMING, WAITING, ExchangeState
from engineio_core.noop import noop

logger = logging.getLogger("engineio_core")


class BodyReader(Protocol):
    """The receiver of a request body, piece by piece."""

    def body_data(self, data: bytes) -> None:
        """Receive a piece of the body."""

    def body_complete(self) -> None:
        """Receive the end of the body."""


class Origin(NamedTuple):
    """The client of a connection: its address (`unix` without one), its port, and TLS."""

    address: str
    port: int
    secure: bool


class Carrier(Protocol):
    """The connection of an exchange."""

    @property
    def is_body_read(self) -> bool:
        """Whether the connection has read the whole request."""

    @property
    def body_amount(self) -> int:
        """The number of bytes of the body that the connection has read."""

    def write(self, data: bytes) -> None:
        """Write bytes to the client."""

    def read_body(self) -> None:
        """Read the body for the reader of the exchange."""

    def take_body(self) -> bytes | None:
        """Return the whole body if it arrived with its head, or None; it counts as read."""

    def pause_body(self) -> None:
        """Stop reading the body until `read_body`."""

    def exchange_finished(self) -> None:
        """Continue after the end of the response."""

    def abort(self) -> None:
        """Abort the connection; unsent bytes are dropped."""

    def release(self) -> tuple[asyncio.Transport, bytes]:
        """Return TCP and the bytes behind the request; the connection ends."""

    def detach(self, done: Callable[[asyncio.Transport, bytes, Origin], None]) -> None:
        """Pass TCP and the bytes behind the request head to `done`; the connection ends."""


class BodyFraming(Enum):
    """How a client recognizes the end of a streamed body (RFC 9112, section 6.3)."""

    NONE = "none"  # HEAD, 204 and 304: no body
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"  # HTTP/1.0


# Pieces of one body: the limit of engine.io 6.6.13 (maxBufferedChunks).
MAX_PIECES: Final = 10_000
TOO_LARGE: Final = "payload too large"

_NO_BODY: Final = BodyFraming.NONE


@final
class Exchange:
    """One request that waits for its response; implements `http.message.Responder`.

    `keep_alive` is whether the connection can serve another request afterwards, `is_http10` whether
    the request is HTTP/1.0, `is_of_session` whether it belongs to a polling client. The connection
    calls `on_abort` when the client leaves before the end of the response, and
    `on_writable(is_writable)` when its write buffer fills or drains.
    """

    __slots__ = (
        "_carrier", "_framing", "_left", "is_http10", "is_of_session", "keep_alive", "on_abort",
        "on_writable", "raw_headers", "reader", "request", "state",
    )  # fmt: skip

    state: ExchangeState

    def __init__(
        self, carrier: Carrier, request: HttpRequest, keep_alive: bool, *, is_http10: bool = False
    ) -> None:
        self.request = request
        self.keep_alive = keep_alive
        self.is_http10 = is_http10
        self.is_of_session = False  # the client polls, and needs the connection again
        self.state = WAITING
        self.reader: BodyReader | None = None
        # Set if a header is repeated: `request.headers` has joined the lines
        self.raw_headers: list[tuple[bytes, bytes]] | None = None
        self._carrier = carrier
        # Set by start_stream; `_left` is the rest of the announced length.
        self._framing: BodyFraming = _NO_BODY
        self._left = 0
        self.on_abort: Callable[[], None] = noop
        self.on_writable: Callable[[bool], None] = noop

    @property
    def is_open(self) -> bool:
        """Whether a part of the response can still be sent."""
        return self.state is WAITING or self.state is STREAMING

    @property
    def is_body_read(self) -> bool:
        """Whether the request has no body, or its body is read."""
        return self._carrier.is_body_read

    # -- a complete response

    def respond(self, response: HttpResponse) -> None:
        """Send the response. A second response, or one to a client that left, is dropped."""
        if self.state is not WAITING:
            return
        self.state = FINISHED
        self.on_abort = noop
        extra = self.request._response_headers or {}
        head_only = self.request.method == "HEAD"
        try:
            data = encode_response(response, extra, close=not self.keep_alive, head_only=head_only)
        except ValueError:
            logger.exception("invalid header in the response to %s", self.request.path)
            self.keep_alive = False
            data = encode_response(HttpResponse(500), {}, close=True)
        self._carrier.write(data)
        self._carrier.exchange_finished()

    def respond_ok(self, content_type: tuple[str, str], body: bytes) -> None:
        """Send a response with status 200, a content type, and no other header of its own."""
        if self.request._response_headers or not self.keep_alive:
            self.respond(HttpResponse(200, body, (content_type, NO_STORE)))
        elif self.state is WAITING:
            self.state = FINISHED
            self.on_abort = noop
            self._carrier.write(encode_ok(content_type, body))
            self._carrier.exchange_finished()

    # -- a streamed response

    def start_stream(self, status: int, headers: Iterable[tuple[Any, Any]]) -> None:
        """Send the head of a response whose body follows. Raises ValueError for a bad header."""
        if self.state is not WAITING:
            return
        lines: list[tuple[Any, Any]] = []
        length: int | None = None
        for name, value in headers:
            match name.lower():
                case "content-length":
                    length = int(value)
                case "connection":
                    self.keep_alive = self.keep_alive and "close" not in value.lower()
                    continue
                case "transfer-encoding":
                    continue  # the exchange chooses the framing
            lines.append((name, value))
        if self.request.method == "HEAD" or status in {204, 304}:
            self._framing = BodyFraming.NONE
        elif length is not None:
            self._framing, self._left = BodyFraming.LENGTH, length
        elif self.is_http10:
            self._framing = BodyFraming.UNTIL_CLOSE
            self.keep_alive = False
        else:
            self._framing = BodyFraming.CHUNKED
        is_chunked = self._framing is BodyFraming.CHUNKED
        data = encode_stream_head(status, lines, chunked=is_chunked, close=not self.keep_alive)
        self.state = STREAMING
        self._carrier.write(data)

    def write(self, data: bytes) -> None:
        """Send a piece of the body. Raises ValueError if it exceeds the Content-Length."""
        if not data or self.state is not STREAMING:
            return
        match self._framing:
            case BodyFraming.NONE:
                return
            case BodyFraming.LENGTH:
                self._left -= len(data)
                if self._left < 0:
                    raise ValueError("the body of a response must not exceed its Content-Length")
            case BodyFraming.CHUNKED:
                data = b"%x\r\n%b\r\n" % (len(data), data)
        self._carrier.write(data)

    def finish(self) -> None:
        """End a streamed response. Raises ValueError if the body is shorter than announced."""
        if self.state is not STREAMING:
            return
        if self._framing is BodyFraming.LENGTH and self._left:
            raise ValueError("the body of a response must not be shorter than its Content-Length")
        self.state = FINISHED
        if self._framing is BodyFraming.CHUNKED:
            self._carrier.write(b"0\r\n\r\n")
        self.on_abort = noop
        self._carrier.exchange_finished()

    # -- the body of the request

    @property
    def body_amount(self) -> int:
        """The number of bytes of the body that have arrived."""
        return self._carrier.body_amount

    def read_body(
        self, limit: int, done: Callable[[bytes], None], too_large: Callable[[str], None]
    ) -> None:
        """Collect the body; call `done(body)`, or `too_large(description)` above `limit` bytes."""
        if int(self.request.headers.get("content-length", "0")) > limit:
            too_large(TOO_LARGE)  # before the client receives 100 Continue
            return
        body = self._carrier.take_body()
        if body is not None:
            done(body)
            return
        self.stream_body(BodyCollector(limit, done, too_large))

    def stream_body(self, reader: BodyReader) -> None:
        """Pass the body to `reader` as it arrives."""
        self.reader = reader
        if self._carrier.is_body_read:
            reader.body_complete()
        else:
            self._carrier.read_body()

    def pause_body(self) -> None:
        """Stop reading the body until `resume_body`."""
        self._carrier.pause_body()

    def resume_body(self) -> None:
        """Continue reading the body after `pause_body`."""
        self._carrier.read_body()

    # -- the end

    def client_left(self) -> None:
        """Call `on_abort` once. The connection calls this method when the client leaves."""
        if self.state is not GONE:
            self.state = GONE
            on_abort, self.on_abort = self.on_abort, noop
            on_abort()

    def abort(self) -> None:
        """Abort the connection without a response."""
        if self.state is not GONE:
            self.state = GONE
            self.on_abort = noop
            self._carrier.abort()

    def upgrade(self) -> tuple[asyncio.Transport, bytes]:
        """Return TCP and the bytes behind the request; HTTP ends on this connection."""
        self.state = FINISHED
        self.on_abort = noop
        return self._carrier.release()

    def detach(self, done: Callable[[asyncio.Transport, bytes, Origin], None]) -> None:
        """Pass TCP and the bytes behind the request head to `done`, without a response.

        The request must be unread, and `done` is called when all earlier responses are sent.
        """

        def detached(tcp: asyncio.Transport, data: bytes, origin: Origin) -> None:
            self.state = FINISHED
            self.on_abort = noop
            done(tcp, data, origin)

        self._carrier.detach(detached)


@final
class BodyCollector:
    """A body reader that joins a body of at most `limit` bytes, in linear time."""

    __slots__ = ("_body", "_done", "_left", "_pieces", "_too_large")

    def __init__(
        self, limit: int, done: Callable[[bytes], None], too_large: Callable[[str], None]
    ) -> None:
        self._left = limit
        # A long body on a slow link arrives in segments of about 1400 bytes.
        self._pieces = MAX_PIECES + limit // 1000
        self._done = done
        self._too_large = too_large
        self._body: bytes | bytearray | None = b""

    def body_data(self, data: bytes) -> None:
        """Append a piece; call `too_large` when the body exceeds a limit."""
        if self._body is None:
            return
        self._left -= len(data)
        self._pieces -= 1
        if self._left < 0 or self._pieces < 0:
            self._body = None
            self._too_large(TOO_LARGE if self._left < 0 else "too many chunks")
        elif not self._body:
            self._body = data  # most bodies arrive in one piece
        else:
            # One buffer: a list of thousands of small pieces takes twenty times their size.
            if not isinstance(self._body, bytearray):
                self._body = bytearray(self._body)
            self._body += data

    def body_complete(self) -> None:
        """Call `done` with the body."""
        if self._body is not None:
            body, self._body = self._body, None
            self._done(bytes(body))
