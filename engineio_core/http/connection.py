"""HTTP/1.1 on one TCP connection: one request at a time, limits, deadlines, release on upgrade.

A usual request that arrives complete is read by `fast_head`; h11 reads all others, and decides
whether they are valid. The router chooses the response, and the exchange writes it. A parser serves
one request; the next request starts with the bytes that follow.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Callable
from typing import Final, Protocol, final

import h11

from engineio_core.http.chunked import ChunkedReader
from engineio_core.http.exchange import Exchange, Origin
from engineio_core.http.fast_head import HeaderLines, read_head
from engineio_core.http.message import (
    MAX_HEADER_LINES,
    HttpRequest,
    HttpResponse,
    InvalidTargetError,
    encode_response,
    join_headers,
    plain_address,
)
from engineio_core.http.states import (
    BODY,
    CLOSED,
    FINISHED,
    HEAD,
    IDLE,
    LINGERING,
    RESPONDING,
    WAITING,
    ConnectionState,
)
from engineio_core.http.trusted_proxies import TrustedProxies
from engineio_core.options import MIN_BODY_RATE, EngineOptions
from engineio_core.read_turn import ReadTurn
from engineio_core.timers import Timer, TimerQueue

logger = logging.getLogger("engineio_core")

#: Requests for h11 that a client may send without awaiting the responses. Neither browsers nor
#: proxies do so, and h11 takes four times as long as the reader of usual requests.
MAX_PIPELINED: Final = 100
#: The bytes that a piece of an unwanted body counts in addition to its length.
PIECE_BYTES: Final = 100
LINGER: Final = 2.0  # seconds in which a client can read the response to a refused upload


#: Empty lines in front of a request that are skipped at once; h11 refuses more. RFC 9112, section
#: 2.2: a server SHOULD ignore at least one; old clients send one after the body of a POST.
MAX_EMPTY_LINES: Final = 100
_EMPTY_LINES: Final = re.compile(rb"(?:\r?\n){0,%d}" % MAX_EMPTY_LINES)
_CARRIAGE_RETURN: Final = ord("\r")
_LAST_LINE_END: Final = _CARRIAGE_RETURN  # the request line begins with a higher byte


class Router(Protocol):
    """The engine, as a connection sees it."""

    @property
    def options(self) -> EngineOptions:
        """The limits and deadlines of connections."""

    @property
    def _proxies(self) -> TrustedProxies:
        """The proxies whose forwarding headers are trusted."""

    def _route(self, exchange: Exchange) -> None:
        """Respond to one request, now or later."""


@final
class HttpConnection(asyncio.Protocol):
    """One TCP connection while it speaks HTTP."""

    # `state` describes the life of the connection. The flags describe flow control, which is
    # independent of the state, and prevent recursion of `_advance`.
    __slots__ = (
        "_awaits_continue", "_body", "_body_began", "_body_size", "_checked", "_chunks", "_clock",
        "_connections", "_deadline", "_discarded", "_exchange", "_held", "_is_advancing",
        "_is_body_paused", "_is_of_session", "_is_tcp_paused", "_is_writing_paused", "_lines",
        "_parser",
        "_pipelined", "_router", "_timer", "_timer_due", "_timers", "_turn", "_unread", "peer",
        "peer_port", "secure", "state", "tcp",
    )  # fmt: skip

    tcp: asyncio.Transport
    state: ConnectionState

    def __init__(
        self, router: Router, timers: TimerQueue, connections: set[HttpConnection]
    ) -> None:
        self.state = IDLE
        self._router = router
        self._timers = timers
        self._clock = timers.clock
        self._connections = connections
        self.peer = ""
        self.peer_port = 0
        self.secure = False
        # Reading
        self._parser: h11.Connection | None = None  # set while h11 reads the request
        self._unread = b""  # bytes that neither reader has taken
        self._lines: HeaderLines | None = None  # of the last fast request
        self._body: bytes | None = None  # of a fast request, until a reader takes it
        self._chunks: ChunkedReader | None = None  # set while it reads a chunked body
        self._awaits_continue = False  # the client sends its body after 100 Continue
        self._exchange: Exchange | None = None  # set in the states BODY and RESPONDING
        self._held = 0  # bytes of the next event that are buffered, here or in the parser
        self._checked = 0  # bytes of a head that `_is_ambiguous` has checked
        self._body_began = 0.0
        self._body_size = 0
        self._discarded = 0  # bytes and pieces of a body without a reader
        self._pipelined = 0  # consecutive requests for h11 that arrived together
        self._is_advancing = False
        self._is_body_paused = False
        self._is_tcp_paused = False
        self._is_writing_paused = False
        # The last request was one of a polling client, or the first request has not arrived.
        self._is_of_session = True
        self._turn: ReadTurn | None = None  # since the first check
        # One timer for head, body and keep-alive; it checks the deadline when it fires.
        self._deadline = math.inf
        self._timer: Timer | None = None
        self._timer_due = math.inf

    def _make_parser(self) -> h11.Connection:
        limit = self._router.options.max_header_size
        return h11.Connection(h11.SERVER, max_incomplete_event_size=limit)

    # -- called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request head."""
        self.tcp = transport  # type: ignore[assignment]  # a call of cast() costs time
        peer = transport.get_extra_info("peername")
        self.peer, self.peer_port = peer[:2] if isinstance(peer, tuple) else ("unix", 0)
        if ":" in self.peer:
            self.peer = plain_address(self.peer)
        self.secure = transport.get_extra_info("sslcontext") is not None
        self._connections.add(self)
        self._set_deadline(self._router.options.header_timeout)

    def data_received(self, data: bytes) -> None:
        """Read bytes; no exception leaves this method."""
        state = self.state
        if state is IDLE:
            if data[0] <= _LAST_LINE_END:
                data = _skip_empty_lines(data)
                if not data:
                    return
            self.state = HEAD
        elif self._is_ending():
            return
        self._held += len(data)
        if self._chunks is not None:
            self._chunks.feed(data)
        elif self._parser is None:
            self._unread = self._unread + data if self._unread else data
        else:
            try:
                self._parser.receive_data(data)
            except h11.RemoteProtocolError as error:
                self._refuse(error.error_status_hint, str(error))
                return
        self._advance()
        if state is IDLE and self.state is HEAD:
            self._set_deadline(self._router.options.header_timeout)
        if self._held > self._router.options.max_header_size and not self._is_ending():
            # Further pipelined requests wait in the kernel.
            self._pause_tcp()

    def eof_received(self) -> bool:
        """Close TCP, as the Node server does: pending requests of the client are aborted."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the exchange that the client left."""
        self._stop()
        self._connections.discard(self)
        if self.state is not CLOSED:
            self.state = CLOSED
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.client_left()

    def pause_writing(self) -> None:
        """Pause a streamed response and the next request."""
        self._is_writing_paused = True
        if self._exchange is not None:
            self._exchange.on_writable(False)

    def resume_writing(self) -> None:
        """Resume a streamed response and the next request."""
        self._is_writing_paused = False
        if self._exchange is not None:
            self._exchange.on_writable(True)
        self._resume_tcp()
        self._advance()

    # -- reading

    def _advance(self) -> None:
        """Handle all events that the buffered bytes complete."""
        if self._is_advancing:
            return
        self._is_advancing = True
        try:
            while self._advance_once():
                # Only with further bytes, or outside the fast path: a usual request has no check.
                is_usual = not self._held and self._parser is None and self._chunks is None
                if not is_usual and self._is_turn_over():
                    break
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint, str(error))
        except Exception:
            logger.exception("an HTTP request failed")
            self._refuse(500, "internal error")
        finally:
            self._is_advancing = False

    def _is_turn_over(self) -> bool:
        turn = self._turn
        if turn is None:
            turn = self._turn = ReadTurn(self._clock, self._proceed)
        if not turn.is_over():
            return False
        self._pause_tcp()
        return True

    def _proceed(self) -> None:
        """Continue after an interrupted turn."""
        if self._is_ending():
            return
        self._advance()
        turn = self._turn
        is_waiting = turn is not None and turn.is_interrupted
        is_full = self._held > self._router.options.max_header_size
        if not (is_waiting or is_full or self._is_body_paused or self._is_ending()):
            self._resume_tcp()

    def _advance_once(self) -> bool:
        """Handle one event; return whether another may follow."""
        exchange = self._exchange
        if exchange is None:
            if self.state is not HEAD or self._is_writing_paused:
                return False
            if self._parser is None:
                if self._unread and self._unread[0] <= _LAST_LINE_END:
                    self._unread = _skip_empty_lines(self._unread)
                    self._held = len(self._unread)
                if len(self._unread) < 2 and self._unread in {b"", b"\r"}:
                    return False
            return self._begin_fast() or self._begin_slowly()
        if self.state is RESPONDING:
            return exchange.state is FINISHED and self._end_exchange(exchange)
        if self._is_body_paused:
            return False
        if exchange.reader is None and exchange.is_open:
            return False
        return self._read_body(exchange)

    def _begin_fast(self) -> bool:
        """Route a usual request if it is complete; return whether it was."""
        if self._parser is not None:
            return False
        data = self._unread
        head = read_head(data, self._router.options.max_header_size, self._lines)
        if head is None:
            return False
        lines, end = head.lines, head.end
        stop = end + lines.body_length
        if stop > len(data):
            return False
        self._lines = lines
        self._unread = data[stop:]
        self._held = len(self._unread)
        self._body_size = 0
        self._body = data[end:stop] if stop > end else None
        self._deadline = math.inf
        self._begin_exchange(
            head.method,
            head.target,
            # A copy: the application may change the headers of a request.
            lines.headers.copy(),
            keep_alive=lines.keep_alive,
            is_http10=False,
            has_body=stop > end,
            is_checked=True,
        )
        return True

    def _begin_slowly(self) -> bool:
        """Read the head with h11; return whether it is complete."""
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
        """Reject a head that is too long, or that another reader may split in another way."""
        data, _ = parser.trailing_data
        # Each byte is checked once, regardless of the size of the pieces.
        known, self._checked = self._checked, len(data)
        end = data.find(b"\r\n\r\n", max(known - 3, 0))
        if end > self._router.options.max_header_size:
            # h11 limits incomplete heads only: a head that arrives in one read would pass.
            raise h11.RemoteProtocolError("the request head is too long", error_status_hint=431)
        if _is_ambiguous(data, known, end + 2 if end >= 0 else len(data)):
            raise h11.RemoteProtocolError("ambiguous line ends in a request head")

    def _begin(self, event: h11.Request) -> None:
        """Route a request that h11 has read."""
        if event.http_version not in {b"1.0", b"1.1"}:
            raise h11.RemoteProtocolError("unknown version of HTTP", error_status_hint=505)
        if len(event.headers) > MAX_HEADER_LINES:
            raise h11.RemoteProtocolError("too many header lines", error_status_hint=431)
        headers = join_headers(event.headers)
        if "transfer-encoding" in headers and "content-length" in headers:
            # RFC 9112, section 6.1: such a request "ought to be handled as an error", because it
            # can smuggle a second request past a proxy.
            raise h11.RemoteProtocolError("both Transfer-Encoding and Content-Length")
        is_http10 = event.http_version == b"1.0"
        keep_alive = not is_http10 and "close" not in headers.get("connection", "").lower()
        method, target = event.method.decode("ascii"), event.target.decode("latin-1")
        self._held = 0
        self._body_size = 0
        self._deadline = math.inf
        # RFC 9112, section 6.3: a length of 0 is a request without a body.
        length = int(headers.get("content-length", "0"))
        has_body = length > 0 or "transfer-encoding" in headers
        is_followed = self._parser is not None and len(self._parser.trailing_data[0]) > length
        self._pipelined = self._pipelined + 1 if is_followed else 0
        keep_alive = keep_alive and self._pipelined < MAX_PIPELINED
        self._awaits_continue = (
            has_body and not is_http10 and headers.get("expect", "").lower() == "100-continue"
        )
        if "transfer-encoding" in headers:
            self._chunks = ChunkedReader()
            if self._parser is not None:
                self._chunks.feed(self._parser.trailing_data[0])
            self._parser = None
        self._begin_exchange(
            method,
            target,
            headers,
            keep_alive=keep_alive,
            is_http10=is_http10,
            has_body=has_body,
            raw_headers=list(event.headers) if len(headers) < len(event.headers) else None,
        )

    def _begin_exchange(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        *,
        keep_alive: bool,
        is_http10: bool,
        has_body: bool,
        is_checked: bool = False,
        raw_headers: list[tuple[bytes, bytes]] | None = None,
    ) -> None:
        if target == "*" and method != "OPTIONS":
            # RFC 9112, section 3.2.4
            raise h11.RemoteProtocolError("the request target * is for OPTIONS only")
        try:
            request = HttpRequest(
                method,
                target,
                headers,
                remote_address=self.peer,
                remote_port=self.peer_port,
                secure=self.secure,
                is_checked=is_checked,
            )
        except InvalidTargetError as error:
            raise h11.RemoteProtocolError(str(error)) from None
        self._router._proxies.apply(request)
        exchange = self._exchange = Exchange(self, request, keep_alive, is_http10=is_http10)
        exchange.raw_headers = raw_headers
        self._checked = self._discarded = 0
        self._is_body_paused = False
        if has_body:
            self.state = BODY
        else:
            self.state = RESPONDING
        self._router._route(exchange)

    def _read_body(self, exchange: Exchange) -> bool:
        """Read a piece of the body; return whether another event may follow."""
        reader = exchange.reader if exchange.is_open else None
        if self._parser is None and self._chunks is None:
            body, self._body = self._body, None
            self.state = RESPONDING
            if reader is not None:
                if body:
                    reader.body_data(body)
                reader.body_complete()
            return True
        piece = self._next_piece()
        if piece:
            self._held = 0
            self._awaits_continue = False
            if reader is not None:
                self._expect_body(len(piece))
                reader.body_data(piece)
                return True
            # Each piece counts as some bytes: a client must not send very many small ones.
            self._discarded += len(piece) + PIECE_BYTES
            if self._discarded <= self._router.options.max_http_buffer_size:
                return True
            self._linger()
            return False
        if piece is not None:
            self.state = RESPONDING
            self._awaits_continue = False
            self._deadline = math.inf
            if reader is not None:
                reader.body_complete()
            return True
        if self._awaits_continue and exchange.state is WAITING:
            self._awaits_continue = False
            self.tcp.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return False

    def _next_piece(self) -> bytes | None:
        """Return the next bytes of the body, b"" at its end, or None if more bytes are needed."""
        if self._chunks is not None:
            return self._chunks.next_piece()
        assert self._parser is not None, "a body has a reader"
        event = self._parser.next_event()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        return b"" if isinstance(event, h11.EndOfMessage) else None

    def _await_body(self) -> None:
        """Start to measure the rate of a body."""
        self._body_began = self._clock.time() - self._body_size / MIN_BODY_RATE
        self._set_deadline(self._router.options.body_timeout)

    def _expect_body(self, size: int) -> None:
        """Extend the deadline of a body that makes progress."""
        self._body_size += size
        late = self._body_began + self._body_size / MIN_BODY_RATE
        timeout = self._router.options.body_timeout
        self._set_deadline(min(timeout, late + timeout - self._clock.time()))

    # -- Carrier: called by the exchange

    @property
    def is_body_read(self) -> bool:
        """Whether the connection has read the whole request."""
        return self.state is not BODY

    @property
    def body_amount(self) -> int:
        """The number of bytes of the body that the reader has received."""
        return self._body_size

    def write(self, data: bytes) -> None:
        """Write bytes to the client."""
        self.tcp.write(data)

    def read_body(self) -> None:
        """Read the body for the reader of the exchange."""
        self._is_body_paused = False
        if self.state is BODY and self._body is None and self._deadline == math.inf:
            self._await_body()
        self._resume_tcp()
        self._advance()

    def take_body(self) -> bytes | None:
        """Return the whole body if it arrived with its head, or None; it counts as read."""
        body, self._body = self._body, None
        if body is not None:
            self.state = RESPONDING
        return body

    def pause_body(self) -> None:
        """Stop reading the body until `read_body`; the body deadline stops as well."""
        self._is_body_paused = True
        self._deadline = math.inf
        self._pause_tcp()

    def exchange_finished(self) -> None:
        """Continue with the next request, or linger if the connection cannot serve one."""
        exchange = self._exchange
        if exchange is None:
            return
        if self._awaits_continue or (not exchange.keep_alive and self.state is BODY):
            self._linger()
            return
        self._is_body_paused = False
        if self.state is BODY and self._body is None and self._deadline == math.inf:
            self._await_body()  # of a request that is answered before its body is read
        self._resume_tcp()
        self._advance()

    def abort(self) -> None:
        """Abort TCP; unsent bytes are dropped."""
        self._exchange = None
        if self.state is not CLOSED:
            self.state = CLOSED
        self._stop()
        self.tcp.abort()

    def release(self) -> tuple[asyncio.Transport, bytes]:
        """Return TCP and the bytes behind the request; the connection ends."""
        data = self._unread
        if self._parser is not None:
            # h11 stops behind an upgrade request; the following bytes are not HTTP.
            self._parser.next_event()
            data, _ = self._parser.trailing_data
        self._unread, self._held = b"", 0
        self._exchange = None
        self.state = CLOSED
        self._stop()
        self._connections.discard(self)
        return self.tcp, data

    def detach(self, done: Callable[[asyncio.Transport, bytes, Origin], None]) -> None:
        """Pass TCP and the bytes behind the request head to `done`; the connection ends.

        Another process continues the connection, so that this one must first write the responses to
        earlier, pipelined requests.
        """
        exchange, tcp = self._exchange, self.tcp
        if exchange is None or tcp.is_closing():
            return
        self._pause_tcp()
        # A TLS connection stays in this process, which relays its bytes in order.
        if tcp.get_write_buffer_size() and tcp.get_extra_info("sslcontext") is None:
            clock = self._clock
            exchange.on_writable = lambda writable: (
                clock.call_soon(self.detach, done) if writable else None
            )
            self._set_deadline(self._router.options.header_timeout)
            tcp.set_write_buffer_limits(0)
            return
        if self._parser is not None:
            data, _ = self._parser.trailing_data
        elif self._chunks is not None:
            data = self._chunks.take_rest()
        else:
            data = (self._body or b"") + self._unread
        self._parser = None
        self.release()
        done(tcp, data, Origin(self.peer, self.peer_port, self.secure))

    # -- the end of an exchange, and of the connection

    def close_if_idle(self) -> None:
        """Close now, or after the response if a request is under way."""
        if self._exchange is not None:
            self._exchange.keep_alive = False
        elif self.state is not CLOSED:  # aborted, and not yet lost
            self._close()

    def close_if_unused(self) -> None:
        """Close now if the connection is idle and no polling client uses it."""
        if self.state is IDLE and not self._is_of_session:
            self._close()

    def _is_ending(self) -> bool:
        return self.state is LINGERING or self.state is CLOSED

    def _end_exchange(self, exchange: Exchange) -> bool:
        """Wait for the next request, or close; return whether the next request is buffered."""
        self._exchange = None
        self._is_of_session = exchange.is_of_session
        if not exchange.keep_alive or self.tcp.is_closing():
            self._close()
            return False
        parser = self._parser
        if parser is not None:
            if parser.their_state is h11.SEND_BODY:
                parser.next_event()  # the end of a message without a body
            self._unread, _ = parser.trailing_data
            self._parser = None
        elif self._chunks is not None:
            self._unread = self._chunks.take_rest()
            self._chunks = None
        if self._unread and self._unread[0] <= _LAST_LINE_END:
            self._unread = _skip_empty_lines(self._unread)
        self._held = len(self._unread)
        options = self._router.options
        if self._unread:
            self.state = HEAD
            self._set_deadline(options.header_timeout)
            return True
        self.state = IDLE
        self._set_deadline(options.keep_alive_timeout)
        return False

    def _close(self) -> None:
        """Close TCP after all writes; the deadline aborts a client that does not read."""
        self.state = LINGERING
        self._set_deadline(self._router.options.close_timeout)
        self.tcp.close()

    def _linger(self) -> None:
        """Close without a reset, so that a client that still uploads can read its response."""
        self.state = LINGERING
        self._exchange = None
        if self.tcp.can_write_eof() and not self.tcp.is_closing():
            self.tcp.write_eof()
        self._set_deadline(LINGER)
        self._resume_tcp()

    def _refuse(self, status: int, why: str) -> None:
        """Respond with an error unless a response has begun, and close."""
        if self._is_ending():
            return
        logger.info(
            "refused a request from %s with status %d: %s",
            self.peer, status, why, extra={"client": self.peer},
        )  # fmt: skip
        exchange, self._exchange = self._exchange, None
        if exchange is None or exchange.state is WAITING:
            self.tcp.write(encode_response(HttpResponse(status), {}, close=True))
        if exchange is not None:
            exchange.client_left()
        self._linger()

    def _pause_tcp(self) -> None:
        if not self.tcp.is_closing():  # uvloop raises for a closing transport
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
        if self._timer is None or self._timer_due > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_due = self._deadline
            self._timer = self._timers.call_at(self._deadline, self._check_deadline)

    def _check_deadline(self) -> None:
        self._timer = None
        if self._deadline == math.inf:
            return
        if self._deadline > self._clock.time():
            self._timer_due = self._deadline
            self._timer = self._timers.call_at(self._deadline, self._check_deadline)
        elif self.state is LINGERING:
            self.tcp.abort()
        elif self.state is IDLE or (self._exchange is None and not self._held):
            self._close()  # at most an empty line has arrived
        else:
            self._refuse(408, "the request did not arrive in time")


def _skip_empty_lines(data: bytes) -> bytes:
    match = _EMPTY_LINES.match(data)
    return data[match.end() :] if match is not None else data


def _is_ambiguous(head: bytes, known: int, stop: int) -> bool:
    """Return whether a head, of which `known` bytes are checked, has bare or folded line ends.

    h11 accepts lines that end without CR, and lines that continue on the next; a proxy may split
    these in another way. RFC 9112, sections 2.2 and 5.2, permits rejecting both.
    """
    start = known - 1 if known and head[known - 1] == _CARRIAGE_RETURN else known
    lines = head.count(b"\r\n", start, stop)
    carriage_returns = head.count(b"\r", start, stop) - head.endswith(b"\r", start, stop)
    if head.count(b"\n", start, stop) != lines or carriage_returns != lines:
        return True
    before = max(known - 1, 0)
    return head.find(b"\n ", before, stop) >= 0 or head.find(b"\n\t", before, stop) >= 0
