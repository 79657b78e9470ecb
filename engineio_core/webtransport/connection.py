"""One QUIC connection of a client: HTTP/3 requests, WebTransport sessions and their limits.

`listener` accepts connections; `opening` decides about sessions. No exception leaves the methods
that aioquic and the event loop call.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, Protocol, final

import pylsqpack
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import CONNECTION_SPECIFIC_HEADERS, H3Connection
from aioquic.h3.connection import ProtocolError as Http3Error
from aioquic.h3.events import (
    DataReceived,
    H3Event,
    HeadersReceived,
    WebTransportStreamDataReceived,
)
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import (
    ConnectionTerminated,
    ProtocolNegotiated,
    QuicEvent,
    StopSendingReceived,
    StreamReset,
)
from aioquic.quic.packet import QuicErrorCode

from engineio_core.http.message import HttpRequest, HttpResponse, InvalidTargetError
from engineio_core.webtransport.opening import Opening, OpeningEngine, screen
from engineio_core.webtransport.stream import (
    REJECTED,
    SessionStream,
    has_many_gaps,
    has_unacknowledged_end,
    limit_windows,
    reject,
)
from engineio_core.webtransport.transport import WebTransportTransport

logger = logging.getLogger("engineio_core")

# Sessions of one connection, and streams and requests that the server refuses before it closes the
# connection.
MAX_SESSIONS: Final = 16
MAX_REFUSED: Final = 64
_DRAFT: Final = (b"sec-webtransport-http3-draft", b"draft02")


@final
class StaticTableHttp(H3Connection):
    """HTTP/3 without the dynamic table of QPACK.

    References to the table could expand the head of one request to hundreds of megabytes before
    its size is checked.
    """

    def _init_connection(self) -> None:
        self._max_table_capacity = 0
        self._blocked_streams = 0
        self._decoder = pylsqpack.Decoder(0, 0)
        super()._init_connection()


class ConnectionOwner(Protocol):
    """The listener, as a connection sees it."""

    engine: OpeningEngine
    connections: set[WebTransportConnection]

    @property
    def is_closing(self) -> bool:
        """Whether the listener accepts no further session."""


@final
class WebTransportConnection(QuicConnectionProtocol):
    """The sessions of one QUIC connection."""

    _timer: asyncio.TimerHandle | None

    def __init__(
        self, quic: QuicConnection, stream_handler: Any = None, *, owner: ConnectionOwner
    ) -> None:
        super().__init__(quic, stream_handler)
        self.quic = quic
        self.sessions: dict[int, SessionStream] = {}
        self._by_stream: dict[int, SessionStream] = {}
        self._http: H3Connection | None = None
        self._owner = owner
        self._engine = owner.engine
        self._refused = 0
        self._tasks: dict[int, asyncio.Task[None]] = {}  # checks of requests, by stream ID
        self._idle_timer: asyncio.TimerHandle | None = None
        self._is_over = False
        owner.connections.add(self)
        limit_windows(quic, self._window)
        self._watch_idle()

    @property
    def http(self) -> H3Connection:
        """The HTTP/3 layer of the connection."""
        assert self._http is not None, "a session exists only after the handshake"
        return self._http

    # -- called by aioquic and the event loop

    def datagram_received(self, data: bytes | str, addr: Any) -> None:
        """Process a datagram, then let the streams continue."""
        self._guard(super().datagram_received, data, addr)
        if has_many_gaps(self.quic):
            self._guard(self.close, QuicErrorCode.PROTOCOL_VIOLATION, "too many gaps in a stream")
        self._check_streams()

    def _handle_timer(self) -> None:
        self._guard(super()._handle_timer)
        self._check_streams()

    def transmit(self) -> None:
        """Send the pending datagrams, unless the socket is closed."""
        if self._transport is not None and not self._transport.is_closing():
            super().transmit()

    def quic_event_received(self, event: QuicEvent) -> None:
        """Process one event of the connection."""
        self._guard(self._process, event)

    def _guard(self, function: Any, *arguments: Any) -> None:
        """Call a function; log an exception and close the connection."""
        try:
            function(*arguments)
        except Exception:
            logger.exception("a WebTransport connection failed")
            self.quic.close(error_code=QuicErrorCode.INTERNAL_ERROR)
            self.transmit_soon()

    def _check_streams(self) -> None:
        for stream in list(self.sessions.values()):
            self._guard(stream.check)

    def is_settled(self) -> bool:
        """Return whether no session is open, and the client has all responses and capsules."""
        if self.sessions:
            return False
        # A client that closes the connection acknowledges nothing.
        if self.quic._close_event is not None:
            return True
        return not any(has_unacknowledged_end(each) for each in self.quic._streams.values())

    def stop(self) -> None:
        """Close the connection and release its timers: the socket is about to close."""
        self.close(0x100, "the server shuts down")
        self._terminated()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- called by streams

    def transmit_soon(self) -> None:
        """Send datagrams once, at the end of this iteration of the event loop."""
        self._transmit_soon()

    def forget(self, stream: SessionStream) -> None:
        """Remove a session that has ended."""
        self.sessions.pop(stream.session_id, None)
        if stream.stream_id is not None:
            self._by_stream.pop(stream.stream_id, None)
        if not self.sessions and not self._is_over:
            self._watch_idle()

    def _window(self, stream_id: int) -> int:
        stream = self._by_stream.get(stream_id)
        return 0 if stream is None else stream.window()

    # -- events

    def _process(self, event: QuicEvent) -> None:
        if isinstance(event, ProtocolNegotiated):
            self._http = StaticTableHttp(self.quic, enable_webtransport=True)
        elif isinstance(event, ConnectionTerminated):
            self._terminated()
            return
        elif isinstance(event, StreamReset | StopSendingReceived):
            self._stream_reset(event.stream_id)
        if self._http is not None:
            for each in self._http.handle_event(event):
                self._process_http(each)

    def _process_http(self, event: H3Event) -> None:
        if isinstance(event, WebTransportStreamDataReceived):
            self._stream_data(event)
        elif isinstance(event, HeadersReceived):
            self._requested(event)
        elif isinstance(event, DataReceived):
            session = self.sessions.get(event.stream_id)
            # The only capsule that matters closes the session; the end of the stream follows it.
            if session is not None and event.stream_ended:
                session.ended("the client closed")

    def _stream_data(self, event: WebTransportStreamDataReceived) -> None:
        stream = self.sessions.get(event.session_id)
        if stream is None or stream.transport is None:
            self._refuse_stream(event.stream_id)
            return
        if stream.stream_id is None and event.stream_id % 4 == 0:  # bidirectional, of the client
            stream.open(event.stream_id)
            self._by_stream[event.stream_id] = stream
        elif stream.stream_id != event.stream_id:
            # Like Node, use the first bidirectional stream only.
            self._refuse_stream(event.stream_id)
            return
        if event.data:
            stream.transport.data_received(event.data)
        if event.stream_ended:
            stream.ended("the client ended its stream")

    def _stream_reset(self, stream_id: int) -> None:
        stream = self._by_stream.get(stream_id) or self.sessions.get(stream_id)
        if stream is not None:
            stream.ended("the client reset its stream")
        elif (task := self._tasks.pop(stream_id, None)) is not None:
            task.cancel()

    def _terminated(self) -> None:
        self._is_over = True
        self._owner.connections.discard(self)
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        for task in self._tasks.values():
            task.cancel()
        for stream in list(self.sessions.values()):
            self._guard(stream.lost)

    # -- requests

    def _requested(self, event: HeadersReceived) -> None:
        stream_id = event.stream_id
        fields = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers
        ]
        pseudo = {name: value for name, value in fields if name.startswith(":")}
        target = pseudo.get(":path", "")
        if stream_id in self.sessions or stream_id in self._tasks:
            return  # trailers
        try:
            request = HttpRequest(
                "GET", target, _join_fields(fields, pseudo.get(":authority", "")),
                remote_address=self._remote_address(), remote_port=self._remote_port(), secure=True,
            )  # fmt: skip
        except InvalidTargetError:
            self._respond(stream_id, HttpResponse(400))
            return
        # The checks of a request with an Origin are those of a WebSocket handshake.
        request.is_upgrade = True
        size = sum(len(name) + len(value) for name, value in fields)
        if (
            pseudo.get(":method") != "CONNECT"
            or pseudo.get(":protocol") != "webtransport"
            or not self._engine._serves(request.path)
            or event.stream_ended
        ):
            self._respond(stream_id, HttpResponse(404))
        elif size > self._engine.options.max_header_size:
            self._respond(stream_id, HttpResponse(431))
        elif len(self.sessions) + len(self._tasks) >= MAX_SESSIONS or self._owner.is_closing:
            self._respond(stream_id, HttpResponse(503))
        else:
            self._tasks[stream_id] = asyncio.get_running_loop().create_task(
                self._answer(stream_id, request), name="engineio webtransport request"
            )

    async def _answer(self, stream_id: int, request: HttpRequest) -> None:
        """Check a request, and open its WebTransport session or refuse it."""
        try:
            response = await screen(self._engine, request)
            if response.status == 200 and not self._owner.is_closing:
                self._accept(stream_id, request, response)
            else:
                status = HttpResponse(503) if response.status == 200 else response
                self._respond(stream_id, status, request.response_headers)
        except Exception:
            logger.exception("a WebTransport request failed")
            reject(self.quic, stream_id, REJECTED)
        finally:
            self._tasks.pop(stream_id, None)
            self.transmit_soon()

    def _accept(self, stream_id: int, request: HttpRequest, response: HttpResponse) -> None:
        options = self._engine.options
        stream = SessionStream(self, stream_id, options.close_timeout)
        transport = WebTransportTransport(stream, self._engine._session_context())
        opening = Opening(self._engine, request, transport)
        transport.listener = opening
        stream.transport = transport
        stream.abandon = opening.abandon
        self.sessions[stream_id] = stream
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        added = [*request.response_headers.items(), *response.headers]
        self.http.send_headers(stream_id, [(b":status", b"200"), _DRAFT, *_encode(added)])

    def _respond(
        self, stream_id: int, response: HttpResponse, added: dict[str, str] | None = None
    ) -> None:
        """Send a response to a request that opens no session."""
        headers = _encode([*(added or {}).items(), *response.headers])
        try:
            self.http.send_headers(
                stream_id, [(b":status", str(response.status).encode()), *headers]
            )
            self.http.send_data(stream_id, response.body, end_stream=True)
        except (Http3Error, RuntimeError) as error:
            # The client has reset the stream.
            logger.debug("a response was not sent: %s", error)
        stream = self.quic._streams.get(stream_id)
        if stream is not None and not stream.receiver.is_finished:
            self.quic.stop_stream(stream_id, 0x100)  # H3_NO_ERROR: RFC 9114, section 4.1
        self._count_refusal()
        self.transmit_soon()

    def _refuse_stream(self, stream_id: int) -> None:
        reject(self.quic, stream_id, REJECTED)
        self._count_refusal()
        self.transmit_soon()

    def _count_refusal(self) -> None:
        self._refused += 1
        if self._refused > MAX_REFUSED:
            self.quic.close(error_code=0x107, reason_phrase="too many refused streams")
            self.transmit_soon()

    # -- limits

    def _watch_idle(self) -> None:
        """Close the connection if it has no session within `header_timeout` seconds."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._idle_timer = asyncio.get_running_loop().call_later(
            self._engine.options.header_timeout, self._close_idle
        )

    def _close_idle(self) -> None:
        self._idle_timer = None
        if not self.sessions:
            self.close(0x100, "no WebTransport session")

    def _remote_address(self) -> str:
        return str(self._peer()[0])

    def _remote_port(self) -> int:
        return int(self._peer()[1])

    def _peer(self) -> Any:
        paths = self.quic._network_paths
        return paths[0].addr if paths else ("", 0)


def _join_fields(fields: list[tuple[str, str]], authority: str) -> dict[str, str]:
    """Return the headers of a request, duplicates joined; `:authority` becomes `host`."""
    headers = {"host": authority}
    for name, value in fields:
        if name.startswith(":") or name == "host":
            continue
        if name in headers:
            headers[name] += ("; " if name == "cookie" else ", ") + value
        else:
            headers[name] = value
    return headers


def _encode(headers: list[tuple[str, Any]]) -> list[tuple[bytes, bytes]]:
    """Return headers as HTTP/3 needs them: lower case, without those of a TCP connection."""
    encoded = [
        (str(name).lower().encode("latin-1"), str(each).encode("latin-1"))
        for name, value in headers
        for each in (value if isinstance(value, list | tuple) else (value,))
    ]
    return [each for each in encoded if each[0] not in CONNECTION_SPECIFIC_HEADERS]
