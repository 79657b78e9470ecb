"""The HTTP long-polling transport: a pending GET carries packets out, a POST brings packets in.

The transport receives parsed requests as `Responder` objects. Outgoing packets stay in the outbox
of the session until a GET fetches them. Packets sent in one iteration of the event loop leave in
one response: `wake` schedules the response for after the current callback.
"""

from __future__ import annotations

import logging
import re
from asyncio import CancelledError
from functools import partial
from typing import TYPE_CHECKING, Final, final

from engineio_core.budgets import LARGE_MESSAGE, Hold, hold
from engineio_core.codec import packet as packets
from engineio_core.codec.encoded_packet import CLOSE_PACKET, NOOP_PACKET, EncodedPacket
from engineio_core.codec.polling_form import PLAIN, Decode, PollingForm
from engineio_core.errors import (
    UNKNOWN_SID,
    CloseReason,
    HandshakeRefusedError,
    ProtocolError,
)
from engineio_core.handshake import encode_refusal
from engineio_core.http.compression import negotiate_encoding
from engineio_core.http.message import (
    NO_STORE,
    OCTET_STREAM,
    TEXT_HTML,
    HttpResponse,
    Responder,
)
from engineio_core.read_turn import TIME_BYTES, ReadTurn
from engineio_core.session_state import SessionState, UpgradeState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engineio_core.http.message import HttpRequest
    from engineio_core.transports.interface import PollingSession, TransportContext


logger = logging.getLogger("engineio_core")

# Packets of one response. The Python package `engineio` rejects a payload of more than 16 packets
# (`Payload.max_decode_packets`); the query of its requests has the time as decimal seconds.
MAX_PACKETS: Final = 1_000_000
MAX_PACKETS_OF_PYTHON: Final = 16
_PYTHON_TIMESTAMP: Final = re.compile(r"[0-9]{9,11}\.[0-9]+")

# Seconds between the response to a POST that is too large and that to the pending poll.
POLL_REFUSED_AFTER: Final = 0.1

# Packets that a closing session reads of one POST: only a close packet has an effect. More of them
# would take the event loop for long, because they begin no turn.
MAX_IGNORED: Final = 1000

# Bytes of a body that may arrive in pieces, so that the pong waits behind it.
LONG_BODY: Final = 64 * 1024

# A compiled module reads a Final name of its own faster than a member of an enum.
_OPEN: Final = SessionState.OPEN
_CLOSING: Final = SessionState.CLOSING
_CLOSED: Final = SessionState.CLOSED
_PROBED: Final = UpgradeState.PROBED


@final
class PollingTransport:
    """Polling transport of one session; the owner sets `session` after construction.

    The transport updates the session before it sends a response, because sending the response may
    serve the next pipelined request.
    """

    __slots__ = (
        "_body_hold", "_closed", "_context", "_decode", "_decorate", "_form", "_held_post",
        "_is_compressing", "_is_reading_paused", "_left", "_next", "_on_read", "_poll", "_post",
        "_posted", "_turn", "_undelivered", "_wake_planned", "max_packets", "session",
    )  # fmt: skip

    name = "polling"
    writable = False  # all packets pass through the outbox, so that one poll carries many

    session: PollingSession

    def __init__(
        self,
        context: TransportContext,
        decorate: Callable[[HttpRequest, list[tuple[str, str]]], None],
        form: PollingForm = PLAIN,
    ) -> None:
        """Create the transport; `form` encodes and decodes the bodies of the session."""
        self._context = context
        self._decorate = decorate
        self._form = form
        self._decode = form.decode  # of the current POST
        self.max_packets = MAX_PACKETS
        self._poll: Responder | None = None
        self._post: Responder | None = None
        self._posted = 0  # bytes of the complete long POSTs
        # While reading is paused: the POST without a response and its undelivered packets
        self._held_post: Responder | None = None
        self._next: str | bytes | None = None
        self._undelivered: Iterator[str | bytes] | None = None
        self._is_compressing = False  # the response to the last poll
        self._is_reading_paused = False
        self._turn: ReadTurn | None = None  # of a long body, until its last packet
        self._left: str | None = None  # the reason why the client has left before the last packet
        self._on_read: Callable[[], None] | None = None  # an upgrade that waits for the last packet
        self._wake_planned = False
        self._closed = False
        self._body_hold: Hold | None = None

    # -- requests, called by the engine

    def poll(self, responder: Responder) -> None:
        """Answer a GET with the queued packets, or keep it pending until there are some."""
        if self._poll is not None or self._is_compressing:
            # Like Node: the pending poll gets a close packet, the second poll an error.
            self._break_off(ProtocolError("overlap from client"), responder)
            return
        responder.on_abort = self._poll_aborted
        self._poll = responder
        session = self.session
        if session.state is _CLOSING and not session._has_outbox:
            # Node's response to the first poll after an orderly close.
            self._answer_poll([NOOP_PACKET, CLOSE_PACKET])
            self._closed = True
            session._transport_closed(CloseReason.FORCED_CLOSE, "the server closed the session")
        else:
            self._flush()

    def post(self, responder: Responder) -> None:
        """Read the body of a POST, deliver its packets, respond "ok"."""
        if self._post is not None or self._held_post is not None or self._left is not None:
            self._break_off(ProtocolError("data request overlap from client"), responder)
            return
        decode: Decode | None = self._form.decode
        if responder.request.headers.get("content-type") == OCTET_STREAM[1]:
            decode = self._form.decode_binary
        if decode is None:
            # Engine.IO v4 has no binary payloads: binary packets are base64-encoded text.
            self._break_off(ProtocolError("invalid content"), responder)
            return
        responder.on_abort = self._post_aborted
        self._post = responder
        self._decode = decode
        limit = self._context.options.max_http_buffer_size
        if not self._reserve(responder, limit):
            self._post_too_large("too many unfinished messages")
            return
        responder.read_body(limit, self._post_complete, self._post_too_large)

    def _reserve(self, responder: Responder, limit: int) -> bool:
        """Reserve memory for the body of a POST; return False if there is none."""
        headers = responder.request.headers
        size = int(headers.get("content-length", "0"))
        if "transfer-encoding" in headers:
            size = limit
        if size <= LARGE_MESSAGE or size > limit:
            return True
        session = self.session
        self._body_hold = hold(
            self._context.budgets, size,
            is_stranger=session._is_stranger, accounts=session._accounts,
        )  # fmt: skip
        return self._body_hold is not None

    def _break_off(self, error: ProtocolError, responder: Responder) -> None:
        """End the session after a protocol error and refuse the request."""
        self._closed = True
        self.session._transport_failed(error)
        # The status first: a client that reads the close packet first reports no status.
        responder.respond(HttpResponse(error.status))
        self._answer_poll([CLOSE_PACKET])
        self._release_posts()

    def _post_complete(self, body: bytes) -> None:
        responder, self._post = self._post, None
        self._body_hold = None
        assert responder is not None, "a body completes once"
        if len(body) > LONG_BODY:
            self._posted += len(body)
        if len(body) > TIME_BYTES:
            self._turn = ReadTurn(self._context.clock, self._continue_delivery)
        self._deliver_all(responder, self._decode(body))

    def _deliver_all(
        self,
        responder: Responder,
        payload: Iterator[str | bytes],
        first: str | bytes | None = None,
    ) -> None:
        """Deliver the packets of a POST, of which one may be known already, then respond.

        Stop while reading is paused, and when the turn of a long body is over.
        """
        session = self.session
        ignored = 0
        try:
            packet = next(payload, None) if first is None else first
            while packet is not None:
                self._deliver(packet)
                if session.state is not _OPEN:
                    ignored += 1
                    if session.state is _CLOSED or ignored >= MAX_IGNORED:
                        break
                packet = next(payload, None)
                if session.state is _OPEN and (
                    (self._is_reading_paused and self._on_read is None)
                    or (self._turn is not None and packet is not None and self._turn.is_over())
                ):
                    self._hold(responder, packet, payload)
                    return
        except ProtocolError as error:
            # Node responds "ok" here; the test suite of the protocol expects 400.
            self._break_off(error, responder)
            return
        self._turn = None
        self._respond(responder, b"ok", TEXT_HTML)

    def _continue_delivery(self) -> None:
        """Deliver further packets of a long body, in the next turn."""
        if self._turn is None:
            return
        if self._left is not None:
            self._deliver_rest(self._left)
        elif not self._is_reading_paused or self._on_read is not None:
            self._resume()

    @property
    def has_rest(self) -> bool:
        """Whether packets of a POST wait for the next turn, or until reading is resumed."""
        return self._undelivered is not None

    def call_when_read(self, callback: Callable[[], None]) -> None:
        """Call a function after the packets that wait, unless the client leaves before.

        The packets do not wait until reading is resumed: the client polls no longer, so that it
        would receive neither acks nor pings until then.
        """
        self._on_read = callback
        if self._is_reading_paused:
            self._context.clock.call_soon(self._continue_upgrade)

    def _continue_upgrade(self) -> None:
        if self._left is None and not (self._turn is not None and self._turn.is_interrupted):
            self._resume()

    def _hold(
        self, responder: Responder, packet: str | bytes | None, payload: Iterator[str | bytes]
    ) -> None:
        """Keep the response, the next packet if there is one, and the packets behind it."""
        self._held_post = responder
        self._next = packet
        self._undelivered = None if packet is None else payload
        responder.on_abort = self._held_post_aborted if packet is None else self._post_aborted

    def _deliver(self, packet: str | bytes) -> None:
        try:
            if isinstance(packet, bytes):
                self.session._receive_binary(packet)
            elif packet.startswith(packets.CLOSE):
                poll, self._poll = self._poll, None
                self.session._receive_text(packet.encode())
                if poll is not None:
                    # Engine.IO v4: the pending GET gets a noop packet, not a close packet.
                    self._poll = poll
                    self._answer_poll([NOOP_PACKET])
            else:
                self.session._receive_text(packet.encode())
        except ProtocolError:
            raise
        except (Exception, CancelledError):
            logger.exception("a callback of session %s failed", self.session.sid[:6])

    def _post_too_large(self, description: str) -> None:
        responder, self._post = self._post, None
        self._body_hold = None
        assert responder is not None, "a body exceeds the limit once"
        logger.warning(
            "session %s: a POST is refused with status 413 and closes the session: %s; the limit "
            "is max_http_buffer_size=%d bytes",
            self.session.sid[:6], description, self._context.options.max_http_buffer_size,
        )  # fmt: skip
        # Like engine.io 6.6.13. Clients that ignore the status would wait for packets forever.
        self._closed = True
        self.session._transport_failed(ProtocolError(description))
        responder.respond(HttpResponse(413))
        # Refused like the next poll. After a close packet, python-socketio 5 does not reconnect.
        # The official client reports the first error: that of the POST.
        poll, self._poll = self._poll, None
        if poll is not None:
            refusal = encode_refusal(HandshakeRefusedError(UNKNOWN_SID))
            self._context.clock.call_later(POLL_REFUSED_AFTER, poll.respond, refusal)
        self._release_posts()

    def _poll_aborted(self) -> None:
        self._poll = None
        self._lost("poll connection closed prematurely")

    def _answer_aborted(self) -> None:
        self._lost("poll connection closed before its response")

    def _post_aborted(self) -> None:
        self._post = self._held_post = self._body_hold = None
        self._lost("data request connection closed prematurely")

    def _held_post_aborted(self) -> None:
        self._held_post = None

    def _lost(self, description: str) -> None:
        if not self._closed and self._left is None:
            self._left = description
            self._deliver_rest(description)

    def client_left(self) -> None:
        """End the session after the packets that wait: the WebSocket of its upgrade has closed."""
        self._lost("the WebSocket closed during the upgrade")

    def _deliver_rest(self, description: str) -> None:
        """Deliver the packets that wait, in turns, then end the session: the client has left.

        The packets do not wait until reading is resumed.
        """
        rest, first = self._take_rest()
        session = self.session
        try:
            packet = next(rest, None) if first is None else first
            while packet is not None:
                self._deliver(packet)
                if session.state is not _OPEN:
                    break
                packet = next(rest, None)
                if packet is not None and self._turn is not None and self._turn.is_over():
                    self._next, self._undelivered = packet, rest
                    return
        except ProtocolError as error:
            logger.info("session %s ended with a packet that is %s", session.sid[:6], error)
        session._transport_closed(CloseReason.TRANSPORT_ERROR, description)
        self.discard()

    # -- Transport

    def send(self, packet: EncodedPacket) -> None:
        """Fail: the session never calls this, because `writable` is False."""
        raise AssertionError("packets of a polling session pass through the outbox")

    def send_bare(self, packet: bytes) -> None:
        """Fail: the session never calls this, because `writable` is False."""
        raise AssertionError("packets of a polling session pass through the outbox")

    def wake(self) -> None:
        """Schedule the response to the pending GET, if any, for after the current callback."""
        if self._poll is not None and not self._wake_planned:
            self._wake_planned = True
            self._context.clock.call_soon(self._flush_planned)

    def _flush_planned(self) -> None:
        self._wake_planned = False
        if self._poll is not None and not self._closed:
            self._flush()

    def _flush(self) -> None:
        session = self.session
        options = self._context.options
        taken = session._take_outbox(options.max_http_buffer_size, self.max_packets)
        if not taken:
            if session._upgrade_state is not _PROBED:
                return
            taken = [NOOP_PACKET]
        self._answer_poll(taken)
        if not session._has_outbox:
            session._outbox_emptied()

    def is_idle(self) -> bool:
        """Return whether a GET is pending and no response is scheduled."""
        return self._poll is not None and not self._wake_planned

    def has_just_sent(self) -> bool:
        """Return False: packets wait in the outbox until the end of the iteration."""
        return False

    def buffered_amount(self) -> int:
        """Return 0: the transport has no buffer of its own."""
        return 0

    def partial_amount(self) -> int:
        """Return the number of bytes of long POSTs and of the current one, in total."""
        return self._posted + (self._post.body_amount if self._post is not None else 0)

    def close(self) -> bool:
        """Send a close packet: immediately if a GET is pending, else with the next GET."""
        self._release_posts()
        if self._poll is None and self._left is None:
            return False
        self._closed = True
        self._answer_poll([CLOSE_PACKET])
        return True

    def discard(self) -> None:
        """Answer or abort all pending requests."""
        self._closed = True
        if self.session.transport is self:
            self._answer_poll([CLOSE_PACKET])
            self._release_posts()
        else:  # after an upgrade, which has waited for all packets; a running upload may complete
            self._answer_poll([NOOP_PACKET])
            self.resume_reading()

    def pause_reading(self) -> None:
        """Withhold the response to the current POST: the client sends no other POST before it."""
        self._is_reading_paused = True

    def resume_reading(self) -> None:
        """Deliver the remaining packets of the withheld POST and respond to it."""
        self._is_reading_paused = False
        if self._left is None:
            self._resume()

    def _resume(self) -> None:
        held, self._held_post = self._held_post, None
        rest, first = self._take_rest()
        if held is not None:
            self._deliver_all(held, rest, first)
        on_read = self._on_read
        if on_read is not None and self._undelivered is None:
            self._on_read = None
            on_read()

    def _take_rest(self) -> tuple[Iterator[str | bytes], str | bytes | None]:
        """Return the packets that were received while reading was paused, and the first one."""
        rest, self._undelivered = self._undelivered, None
        first, self._next = self._next, None
        return rest or iter(()), first

    # -- responses

    def _release_posts(self) -> None:
        """Complete a withheld POST and abort a running upload."""
        self._turn = None
        self._is_reading_paused = False
        self._resume()
        post, self._post = self._post, None
        if post is not None:
            post.abort()

    def _answer_poll(self, taken: list[EncodedPacket]) -> None:
        poll, self._poll = self._poll, None
        if poll is not None:
            wants_compression = any(packet.compress for packet in taken)
            body, kind = self._form.encode(taken)
            self._respond(poll, body, kind, wants_compression)

    def _respond(
        self,
        responder: Responder,
        body: bytes,
        content_type: tuple[str, str],
        wants_compression: bool = False,
    ) -> None:
        headers: list[tuple[str, str]] = []
        request = responder.request
        rule = self._context.options.http_compression
        if wants_compression and rule is not None and len(body) >= rule.threshold:
            encoding = negotiate_encoding(request.headers.get("accept-encoding", ""))
            if encoding is not None:
                headers.append(("Content-Encoding", encoding))
                headers.append(content_type)
                responder.on_abort = self._answer_aborted
                self._is_compressing = True
                finish = partial(self._respond_compressed, responder, headers)
                self._context.compressions.add(body, encoding, rule.level, finish)
                return
        disable_xss_filter(request, headers)
        self._decorate(request, headers)
        if headers:
            responder.respond(HttpResponse(200, body, [content_type, NO_STORE, *headers]))
        else:
            responder.respond_ok(content_type, body)

    def _respond_compressed(
        self, responder: Responder, headers: list[tuple[str, str]], body: bytes
    ) -> None:
        self._is_compressing = False
        disable_xss_filter(responder.request, headers)
        self._decorate(responder.request, headers)
        responder.respond(HttpResponse(200, body, [*headers, NO_STORE]))


def count_accepted_packets(request: HttpRequest) -> int:
    """Return the number of packets that a client accepts in one response."""
    if _PYTHON_TIMESTAMP.fullmatch(request.query.get("t", "")):
        return MAX_PACKETS_OF_PYTHON
    return MAX_PACKETS


def disable_xss_filter(request: HttpRequest, headers: list[tuple[str, str]]) -> None:
    """Disable the XSS filter of old Internet Explorer versions, like Node."""
    agent = request.headers.get("user-agent", "")
    if ";MSIE" in agent or "Trident/" in agent:
        headers.append(("X-XSS-Protection", "0"))
