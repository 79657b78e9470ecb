"""HTTP/1.1 on one TCP connection: requests in, one at a time, and the hand-over on upgrade.

Knows: h11 (for reading only), keep-alive, pipelining, limits, deadlines.
Does not know: what the requests are about: a `Router` is told of each.

Two lanes, as for WebSocket: a usual request that is there as a whole is read by `http_head`;
everything else goes to h11, which judges it. Answers are written by hand. A parser serves one
request; the next one begins with the bytes that the last one left.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import h11

from engineio_core.http.exchange import Exchange
from engineio_core.http.fast_head import read_head
from engineio_core.http.message import (
    MAX_HEADER_LINES,
    BadTarget,
    HttpRequest,
    HttpResponse,
    encode_response,
    join_headers,
)

if TYPE_CHECKING:
    from engineio_core.clock import Clock
    from engineio_core.http.trusted_proxies import TrustedProxies
    from engineio_core.options import EngineOptions

logger = logging.getLogger("engineio_core")

LINGER: Final = 2.0  # seconds that a client may take to notice the answer to a refused upload
MIN_BODY_RATE: Final = 1000  # bytes a second, below which a body is late whatever has come


class Router(Protocol):
    """Who answers requests."""

    @property
    def options(self) -> EngineOptions:
        """The limits and deadlines of connections."""

    @property
    def _proxies(self) -> TrustedProxies:
        """Whose word about the client's address is taken."""

    def _route(self, exchange: Exchange) -> None:
        """Take one request; it is answered now or later."""


class HttpProtocol(asyncio.Protocol):
    """One TCP connection while it speaks HTTP."""

    __slots__ = (
        "_body", "_body_began", "_body_size", "_checked", "_clock", "_connections", "_deadline",
        "_discarded", "_exchange", "_held", "_is_advancing", "_is_body_paused", "_is_lingering",
        "_is_tcp_paused", "_is_writing_paused", "_parser", "_router", "_timer", "_unread",
        "peer", "secure", "tcp",
    )  # fmt: skip

    tcp: asyncio.Transport

    def __init__(self, router: Router, clock: Clock, connections: set[HttpProtocol]) -> None:
        # The connection
        self._router = router
        self._clock = clock
        self._connections = connections
        self.peer = ""
        self.secure = False
        # Reading
        self._parser: h11.Connection | None = None  # while the slow lane has the request
        self._unread = b""  # what has come, and no lane has taken
        self._body: bytes | None = None  # of a request of the fast lane, until somebody takes it
        self._exchange: Exchange | None = None
        self._held = 0  # bytes, here or in the parser, of which nothing was made
        self._checked = 0  # bytes of a head that were looked at
        self._body_began = 0.0
        self._body_size = 0
        self._discarded = 0  # bytes of a body that nobody wants
        self._is_advancing = False
        self._is_body_paused = False
        self._is_lingering = False
        self._is_tcp_paused = False
        self._is_writing_paused = False
        # One timer for head, body and keep-alive; when it fires it looks at the deadline
        self._deadline = math.inf
        self._timer: Any = None

    def _make_parser(self) -> h11.Connection:
        limit = self._router.options.max_header_size
        return h11.Connection(h11.SERVER, max_incomplete_event_size=limit)

    # -- called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: the first request head is awaited."""
        self.tcp = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if isinstance(peer, tuple) else "unix"
        self.secure = transport.get_extra_info("sslcontext") is not None
        self._connections.add(self)
        self._set_deadline(self._router.options.header_timeout)

    def data_received(self, data: bytes) -> None:
        """Take bytes. Nothing escapes from here."""
        if self._is_lingering:
            return
        is_new = self._exchange is None and self._held == 0
        self._held += len(data)
        if self._parser is None:
            self._unread = self._unread + data if self._unread else data
        else:
            try:
                self._parser.receive_data(data)
            except h11.RemoteProtocolError as error:
                self._refuse(error.error_status_hint, str(error))
                return
        self._advance()
        if is_new and self._exchange is None and self._held and not self._is_lingering:
            self._set_deadline(self._router.options.header_timeout)
        if self._held > self._router.options.max_header_size and not self._is_lingering:
            # What is pipelined behind a request waits in the kernel.
            self._pause_tcp()

    def eof_received(self) -> bool:
        """The client has finished: what it asked for is given up, as Node does."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever is about to answer."""
        self._stop()
        self._connections.discard(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.client_left()

    def pause_writing(self) -> None:
        """Tell whoever streams an answer; the next request has to wait."""
        self._is_writing_paused = True
        if self._exchange is not None:
            self._exchange.on_writable(False)

    def resume_writing(self) -> None:
        """Tell whoever streams an answer."""
        self._is_writing_paused = False
        if self._exchange is not None:
            self._exchange.on_writable(True)
        self._resume_tcp()
        self._advance()

    # -- reading

    def _advance(self) -> None:
        """Make what can be made of the bytes that are there."""
        if self._is_advancing:
            return
        self._is_advancing = True
        try:
            while self._advance_once():
                pass
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint, str(error))
        except Exception:
            logger.exception("an HTTP request failed")
            self._refuse(500, "internal error")
        finally:
            self._is_advancing = False

    def _advance_once(self) -> bool:
        """Handle one event of the parser; tell whether there may be another."""
        exchange = self._exchange
        if exchange is None:
            if self._is_lingering or self._is_writing_paused or not self._held:
                return False
            return self._begin_fast() or self._begin_slowly()
        if exchange.is_finished and exchange.is_body_read:
            return self._end_exchange(exchange)
        if exchange.is_body_read or self._is_body_paused:
            return False
        if exchange.reader is None and not exchange.is_answered:
            return False
        return self._read_body(exchange)

    def _begin_fast(self) -> bool:
        """Take a usual request, if it is there as a whole; tell whether it was."""
        if self._parser is not None:
            return False
        data = self._unread
        head = read_head(data, self._router.options.max_header_size)
        if head is None:
            return False
        method, target, headers, end, length = head
        stop = end + length
        if stop > len(data):
            return False
        self._unread = data[stop:]
        self._held = len(self._unread)
        self._body = data[end:stop] if "content-length" in headers else None
        keep_alive = "close" not in headers.get("connection", "").lower()
        self._deadline = math.inf
        self._begin_exchange(method, target, headers, keep_alive=keep_alive, is_old=False)
        return True

    def _begin_slowly(self) -> bool:
        """Let h11 read the head; tell whether it is complete."""
        parser = self._parser
        if parser is None:
            parser = self._parser = self._make_parser()
            data, self._unread = self._unread, b""
            parser.receive_data(data)
        self._check_head(parser)
        event = parser.next_event()
        if isinstance(event, h11.Request):
            self._begin(event)
            return True
        return False

    def _check_head(self, parser: h11.Connection) -> None:
        """Refuse a head that is too long, or that another reader may split in another way."""
        data, _ = parser.trailing_data
        # Each byte is looked at once, however small the pieces are that a head comes in.
        known, self._checked = self._checked, len(data)
        end = data.find(b"\r\n\r\n", max(known - 3, 0))
        if end > self._router.options.max_header_size:
            # h11 measures only what has no end yet: a head that comes in one read would pass.
            raise h11.RemoteProtocolError("the request head is too long", error_status_hint=431)
        if _is_ambiguous(data, known, end + 2 if end >= 0 else len(data)):
            raise h11.RemoteProtocolError("ambiguous line ends in a request head")

    def _begin(self, event: h11.Request) -> None:
        if event.http_version not in {b"1.0", b"1.1"}:
            raise h11.RemoteProtocolError("unknown version of HTTP", error_status_hint=505)
        if len(event.headers) > MAX_HEADER_LINES:
            raise h11.RemoteProtocolError("too many header lines", error_status_hint=431)
        headers = join_headers(event.headers)
        if "transfer-encoding" in headers and "content-length" in headers:
            # RFC 9112, section 6.1: it "ought to be handled as an error": this is how requests
            # are smuggled past a proxy.
            raise h11.RemoteProtocolError("both Transfer-Encoding and Content-Length")
        is_old = event.http_version == b"1.0"
        keep_alive = not is_old and "close" not in headers.get("connection", "").lower()
        method, target = event.method.decode("ascii"), event.target.decode("latin-1")
        self._held = 0
        if "content-length" in headers or "transfer-encoding" in headers:
            self._await_body()
        else:
            self._deadline = math.inf
        self._begin_exchange(method, target, headers, keep_alive=keep_alive, is_old=is_old)

    def _begin_exchange(
        self, method: str, target: str, headers: dict[str, str], *, keep_alive: bool, is_old: bool
    ) -> None:
        """Begin the exchange of a request."""
        try:
            request = HttpRequest(
                method,
                target,
                headers,
                remote_address=self.peer,
                secure=self.secure,
            )
        except BadTarget as error:
            raise h11.RemoteProtocolError(str(error)) from None
        self._router._proxies.apply(request)
        exchange = self._exchange = Exchange(self, request, keep_alive, is_old=is_old)
        self._checked = self._discarded = 0
        self._is_body_paused = False
        self._router._route(exchange)

    def _read_body(self, exchange: Exchange) -> bool:
        parser = self._parser
        if parser is None:
            body, self._body = self._body, None
            exchange.is_body_read = True
            if exchange.reader is not None and not exchange.is_finished:
                if body:
                    exchange.reader.body_data(body)
                exchange.reader.body_complete()
            return True
        event = parser.next_event()
        if isinstance(event, h11.Data):
            self._held = 0
            if exchange.reader is not None and not exchange.is_finished:
                self._expect_body(len(event.data))
                exchange.reader.body_data(bytes(event.data))
                return True
            self._discarded += len(event.data)
            if self._discarded <= self._router.options.max_http_buffer_size:
                return True
            self._linger()
            return False
        if isinstance(event, h11.EndOfMessage):
            exchange.is_body_read = True
            self._deadline = math.inf
            if exchange.reader is not None and not exchange.is_finished:
                exchange.reader.body_complete()
            return True
        if parser.they_are_waiting_for_100_continue and not exchange.is_answered:
            self.tcp.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            parser.send(h11.InformationalResponse(status_code=100, headers=[]))
        return False

    def _await_body(self) -> None:
        """Begin to measure how fast a body comes."""
        self._body_began = self._clock.time()
        self._body_size = 0
        self._set_deadline(self._router.options.body_timeout)

    def _expect_body(self, size: int) -> None:
        """Put the deadline off for a body that makes progress."""
        self._body_size += size
        late = self._body_began + self._body_size / MIN_BODY_RATE
        timeout = self._router.options.body_timeout
        self._set_deadline(min(timeout, late + timeout - self._clock.time()))

    # -- Carrier: called by the exchange

    def write(self, data: bytes) -> None:
        """Write bytes to the client."""
        self.tcp.write(data)

    def read_body(self) -> None:
        """Go on reading the body: somebody takes it."""
        if self._is_body_paused:
            self._is_body_paused = False
            self._await_body()
        self._resume_tcp()
        self._advance()

    def pause_body(self) -> None:
        """Read nothing more of the body until `read_body`; the client is not late meanwhile."""
        self._is_body_paused = True
        self._deadline = math.inf
        self._pause_tcp()

    def exchange_answered(self) -> None:
        """Go on to the next request, if the connection can serve one."""
        exchange = self._exchange
        if exchange is None:
            return
        parser = self._parser
        if (parser is not None and parser.they_are_waiting_for_100_continue) or (
            not exchange.keep_alive and not exchange.is_body_read
        ):
            self._linger()
            return
        if self._is_body_paused:
            self._is_body_paused = False
            self._await_body()
        self._resume_tcp()
        self._advance()

    def cut(self) -> None:
        """End the connection at once."""
        self._exchange = None
        self._is_lingering = True
        self._stop()
        self.tcp.abort()

    def release(self) -> tuple[asyncio.Transport, bytes]:
        """Give TCP away, with the bytes that came behind the request."""
        data = self._unread
        if self._parser is not None:
            # h11 stops behind a request that asks for an upgrade; what follows is not HTTP.
            self._parser.next_event()
            data, _ = self._parser.trailing_data
        self._unread, self._held = b"", 0
        self._exchange = None
        self._stop()
        self._connections.discard(self)
        return self.tcp, data

    # -- the end of an exchange, and of the connection

    def close_if_idle(self) -> None:
        """Close, unless a request is under way: then when it is answered."""
        if self._exchange is None:
            self._close()
        else:
            self._exchange.keep_alive = False

    def _end_exchange(self, exchange: Exchange) -> bool:
        self._exchange = None
        if not exchange.keep_alive or self.tcp.is_closing():
            self._close()
            return False
        parser = self._parser
        if parser is not None:
            if parser.their_state is h11.SEND_BODY:
                parser.next_event()  # the end of a message without a body
            self._unread, _ = parser.trailing_data
            self._parser = None
        data = self._unread
        self._held = len(data)
        options = self._router.options
        self._set_deadline(options.header_timeout if data else options.keep_alive_timeout)
        return bool(data)

    def _close(self) -> None:
        """Close when all is written; a client that does not read it is given up in the end."""
        self._is_lingering = True
        self._set_deadline(self._router.options.close_timeout)
        self.tcp.close()

    def _linger(self) -> None:
        """Close without a reset: a client that still uploads must be able to read its answer."""
        self._is_lingering = True
        self._exchange = None
        if self.tcp.can_write_eof() and not self.tcp.is_closing():
            self.tcp.write_eof()
        self._set_deadline(LINGER)
        self._resume_tcp()

    def _refuse(self, status: int, why: str) -> None:
        logger.info("a request from %s was refused with %d: %s", self.peer, status, why)
        exchange, self._exchange = self._exchange, None
        if exchange is None or not exchange.is_answered:
            self.tcp.write(encode_response(HttpResponse(status), {}, close=True))
        if exchange is not None:
            exchange.client_left()
        self._linger()

    def _pause_tcp(self) -> None:
        if not self.tcp.is_closing():  # uvloop raises there
            self._is_tcp_paused = True
            self.tcp.pause_reading()

    def _resume_tcp(self) -> None:
        if self._is_tcp_paused and not self.tcp.is_closing():
            self._is_tcp_paused = False
            self.tcp.resume_reading()

    def _stop(self) -> None:
        self._deadline = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_deadline(self, seconds: float) -> None:
        self._deadline = self._clock.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._clock.call_at(self._deadline, self._look_at_deadline)

    def _look_at_deadline(self) -> None:
        self._timer = None
        if self._deadline == math.inf:
            return
        if self._deadline > self._clock.time():
            self._timer = self._clock.call_at(self._deadline, self._look_at_deadline)
        elif self._is_lingering:
            self.tcp.abort()
        elif self._exchange is None and self._held == 0:
            self._close()
        else:
            self._refuse(408, "it did not arrive in time")


def _is_ambiguous(head: bytes, known: int, stop: int) -> bool:
    """Tell whether a head, of which `known` bytes are judged, holds more than plain lines.

    h11 lets lines pass that end without CR and LF, or go on on the next; a proxy may read those
    in another way. RFC 9112, sections 2.2 and 5.2, allow to refuse both.
    """
    start = known - 1 if head[known - 1 : known] == b"\r" else known
    lines = head.count(b"\r\n", start, stop)
    carriage_returns = head.count(b"\r", start, stop) - head.endswith(b"\r", start, stop)
    if head.count(b"\n", start, stop) != lines or carriage_returns != lines:
        return True
    before = max(known - 1, 0)
    return head.find(b"\n ", before, stop) >= 0 or head.find(b"\n\t", before, stop) >= 0
