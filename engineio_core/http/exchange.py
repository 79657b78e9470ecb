"""One HTTP request and its answer, whole or streamed.

Knows: what may still be read and written.  Does not know: parsers, TCP, who answers and why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from engineio_core.http.message import (
    HttpRequest,
    HttpResponse,
    encode_response,
    encode_stream_head,
)

if TYPE_CHECKING:
    import asyncio

logger = logging.getLogger("engineio_core")


class BodyReader(Protocol):
    """Who takes the body of a request, piece by piece."""

    def body_data(self, data: bytes) -> None:
        """Take some of it."""

    def body_complete(self) -> None:
        """That was all."""


class Carrier(Protocol):
    """The connection that an exchange belongs to, as the exchange sees it."""

    def write(self, data: bytes) -> None:
        """Write bytes to the client."""

    def read_body(self) -> None:
        """Go on reading the body: somebody takes it."""

    def pause_body(self) -> None:
        """Read nothing more until `read_body`."""

    def exchange_answered(self) -> None:
        """The answer is written."""

    def cut(self) -> None:
        """End the connection at once."""

    def release(self) -> tuple[asyncio.Transport, bytes]:
        """Give TCP away, with the bytes that came behind the request."""


class Exchange:
    """One request that waits for its answer. It is what `http_message.Responder` promises.

    `keep_alive` says whether the connection may serve another request when this one is done,
    `is_old` whether it is one of HTTP/1.0. An exchange `is_answered` as soon as a head is
    written, `is_finished` when the whole answer is.
    """

    __slots__ = (
        "_carrier", "_has_body", "_is_chunked", "_is_old", "_left", "is_answered", "is_body_read",
        "is_finished", "is_gone", "keep_alive", "on_abort", "on_writable", "reader", "request",
    )  # fmt: skip

    def __init__(
        self, carrier: Carrier, request: HttpRequest, keep_alive: bool, *, is_old: bool = False
    ) -> None:
        self.request = request
        self.keep_alive = keep_alive
        self._carrier = carrier
        # Reading
        self.reader: BodyReader | None = None
        self.is_body_read = "content-length" not in request.headers and (
            "transfer-encoding" not in request.headers
        )
        # Answering
        self.is_answered = False
        self.is_finished = False
        self.is_gone = False
        self._is_old = is_old
        self._has_body = request.method != "HEAD"
        self._is_chunked = False
        self._left: int | None = None  # of a streamed answer that has told its length
        self.on_abort: Callable[[], None] = nobody
        self.on_writable: Callable[[bool], None] = nobody

    # -- a whole answer

    def respond(self, response: HttpResponse) -> None:
        """Send the answer. A second one, or one to a client that left, is dropped."""
        if self.is_answered or self.is_gone:
            return
        self.is_answered = self.is_finished = True
        self.on_abort = nobody
        extra = self.request.response_headers
        try:
            data = encode_response(
                response, extra, close=not self.keep_alive, head_only=not self._has_body
            )
        except ValueError:
            logger.exception("an answer to %s could not be sent", self.request.path)
            self.keep_alive = False
            data = encode_response(HttpResponse(500), {}, close=True)
        self._carrier.write(data)
        self._carrier.exchange_answered()

    # -- a streamed answer

    def start_stream(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Send the head of an answer whose body follows in pieces. Raises ValueError."""
        if self.is_answered or self.is_gone:
            return
        lines: list[tuple[str, str]] = []
        length: int | None = None
        for name, value in headers:
            match name.lower():
                case "content-length":
                    length = int(value)
                case "connection":
                    self.keep_alive = self.keep_alive and "close" not in value.lower()
                    continue
                case "transfer-encoding":
                    continue  # how a body is framed on this connection is known here alone
            lines.append((name, value))
        self._has_body = self._has_body and status not in {204, 304}
        if self._has_body:
            self._left = length
            self._is_chunked = length is None and not self._is_old
            # What is neither chunked nor counted ends with the connection.
            self.keep_alive = self.keep_alive and (length is not None or self._is_chunked)
        data = encode_stream_head(
            status, lines, chunked=self._is_chunked, close=not self.keep_alive
        )
        self.is_answered = True
        self._carrier.write(data)

    def write(self, data: bytes) -> None:
        """Send a piece of the body. Raises ValueError for more than was announced."""
        if not data or self.is_gone or self.is_finished or not self._has_body:
            return
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise ValueError("the body of an answer is longer than its Content-Length")
        self._carrier.write(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)

    def finish(self) -> None:
        """End a streamed answer. Raises ValueError for less than was announced."""
        if self.is_gone or self.is_finished:
            return
        if self._left:
            raise ValueError("the body of an answer is shorter than its Content-Length")
        self.is_finished = True
        if self._is_chunked:
            self._carrier.write(b"0\r\n\r\n")
        self.on_abort = nobody
        self._carrier.exchange_answered()

    # -- the request's body

    def read_body(
        self, limit: int, done: Callable[[bytes], None], too_large: Callable[[], None]
    ) -> None:
        """Collect the body of at most `limit` bytes, then call `done`, or `too_large`."""
        if int(self.request.headers.get("content-length", "0")) > limit:
            too_large()  # before the client is told to go on
            return
        self.stream_body(BodyCollector(limit, done, too_large))

    def stream_body(self, reader: BodyReader) -> None:
        """Give the body to `reader` as it comes."""
        self.reader = reader
        if self.is_body_read:
            reader.body_complete()
        else:
            self._carrier.read_body()

    def pause_body(self) -> None:
        """Read nothing more of the body until `resume_body`."""
        self._carrier.pause_body()

    def resume_body(self) -> None:
        """Undo `pause_body`."""
        self._carrier.read_body()

    # -- the end

    def client_left(self) -> None:
        """The client is gone. Called by the connection."""
        if not self.is_gone:
            self.is_gone = True
            on_abort, self.on_abort = self.on_abort, nobody
            on_abort()

    def destroy(self) -> None:
        """Cut the connection without an answer."""
        self.is_gone = True
        self.on_abort = nobody
        self._carrier.cut()

    def upgrade(self) -> tuple[asyncio.Transport, bytes]:
        """Take TCP over: HTTP is done with it."""
        self.is_answered = self.is_finished = True
        self.on_abort = nobody
        return self._carrier.release()


class BodyCollector:
    """Collects a body of at most `limit` bytes; linear, whatever the pieces are."""

    __slots__ = ("_body", "_done", "_left", "_too_large")

    def __init__(
        self, limit: int, done: Callable[[bytes], None], too_large: Callable[[], None]
    ) -> None:
        self._left = limit
        self._done = done
        self._too_large = too_large
        self._body: bytes | bytearray | None = b""

    def body_data(self, data: bytes) -> None:
        """Keep some of it, or find that it is too large."""
        if self._body is None:
            return
        self._left -= len(data)
        if self._left < 0:
            self._body = None
            self._too_large()
        elif not self._body:
            self._body = data  # mostly, it is all
        else:
            # One buffer: a list of thousands of tiny pieces takes twenty times their size.
            if not isinstance(self._body, bytearray):
                self._body = bytearray(self._body)
            self._body += data

    def body_complete(self) -> None:
        """Hand the body over."""
        if self._body is not None:
            body, self._body = self._body, None
            self._done(bytes(body))


def nobody(*_: object) -> None:
    """Stand in for a listener that is not there."""
