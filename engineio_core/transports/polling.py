"""Long-polling: one pending GET that carries packets out, one POST at a time that brings some in.

Knows: the two kinds of request, payloads, what a client may not do at once.
Does not know: how a request is parsed or who carries it; packets wait in the session's outbox.

Packets that are sent in one go leave in one response: `wake` answers the pending GET only when
what is under way now has finished.
"""

from __future__ import annotations

import logging
from asyncio import CancelledError
from itertools import chain
from typing import TYPE_CHECKING

from engineio_core.codec import packet as packets
from engineio_core.codec.encoded_packet import CLOSE_PACKET, NOOP_PACKET, EncodedPacket
from engineio_core.codec.payload import decode_payload, encode_payload
from engineio_core.errors import CloseReason, ProtocolError
from engineio_core.http.compression import compress, negotiate_encoding
from engineio_core.http.message import NO_STORE, TEXT_HTML, TEXT_PLAIN, HttpResponse, Responder
from engineio_core.session_state import SessionState, UpgradeState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engineio_core.http.message import HttpRequest
    from engineio_core.transports.interface import PollingSession, TransportContext


logger = logging.getLogger("engineio_core")


class PollingTransport:
    """The polling side of one session. `session` is set right after construction.

    Before a request is answered the session is brought to its new state: what the client has
    pipelined behind the request is served while the answer is written.
    """

    __slots__ = (
        "_closed", "_context", "_decorate", "_held_post", "_is_reading_paused", "_poll", "_post",
        "_undelivered", "_wake_planned", "session",
    )  # fmt: skip

    name = "polling"
    writable = False  # every packet takes the way over the outbox, so that polls carry many

    session: PollingSession

    def __init__(
        self,
        context: TransportContext,
        decorate: Callable[[HttpRequest, list[tuple[str, str]]], None],
    ) -> None:
        self._context = context
        self._decorate = decorate
        self._poll: Responder | None = None
        self._post: Responder | None = None
        # Reading was paused: a POST whose "ok" waits, and those of its packets that wait, too
        self._held_post: Responder | None = None
        self._undelivered: Iterator[str | bytes] | None = None
        self._is_reading_paused = False
        self._wake_planned = False
        self._closed = False

    # -- requests, from the engine

    def poll(self, responder: Responder) -> None:
        """Take a GET: answer it with what waits, or keep it until something does."""
        if self._poll is not None:
            # Node: the pending poll is told that the session closes, the second is refused.
            self._break_off(ProtocolError("overlap from client"), responder)
            return
        responder.on_abort = self._poll_aborted
        self._poll = responder
        session = self.session
        if session.state is SessionState.CLOSING and not session._has_outbox:
            # What Node answers to the first poll after an orderly close.
            self._answer_poll([NOOP_PACKET, CLOSE_PACKET])
            self._closed = True
            session._transport_closed(CloseReason.FORCED_CLOSE, "the server closed the session")
        elif session._has_outbox or session._upgrade_state is UpgradeState.PROBED:
            self._flush()

    def post(self, responder: Responder) -> None:
        """Take a POST: read its body, deliver its packets, answer "ok"."""
        if self._post is not None or self._held_post is not None:
            self._break_off(ProtocolError("data request overlap from client"), responder)
            return
        if responder.request.headers.get("content-type") == "application/octet-stream":
            # Engine.IO v4 knows no binary payloads: binary packets are base64 in text.
            self._break_off(ProtocolError("invalid content"), responder)
            return
        responder.on_abort = self._post_aborted
        self._post = responder
        limit = self._context.options.max_http_buffer_size
        responder.read_body(limit, self._post_complete, self._post_too_large)

    def _break_off(self, error: ProtocolError, responder: Responder) -> None:
        """The client broke a rule: its session ends, the request is refused."""
        self._closed = True
        self.session._transport_failed(error)
        self._answer_poll([CLOSE_PACKET])
        responder.respond(HttpResponse(error.status))
        self._release_posts()

    def _post_complete(self, body: bytes) -> None:
        responder, self._post = self._post, None
        assert responder is not None, "a body completes once"
        self._deliver_all(responder, decode_payload(body))

    def _deliver_all(self, responder: Responder, payload: Iterator[str | bytes]) -> None:
        """Deliver the packets of a POST and answer it; while reading is paused, all that waits."""
        session = self.session
        try:
            packet = next(payload, None)
            while packet is not None:
                self._deliver(packet)
                if session.state is SessionState.CLOSED:
                    break
                packet = next(payload, None)
                if self._is_reading_paused and session.state is SessionState.OPEN:
                    self._hold(responder, None if packet is None else chain((packet,), payload))
                    return
        except ProtocolError as error:
            # Node answers "ok" here; the protocol's suite wants 400.
            self._break_off(error, responder)
            return
        self._respond(responder, b"ok", TEXT_HTML)

    def _hold(self, responder: Responder, rest: Iterator[str | bytes] | None) -> None:
        self._held_post = responder
        self._undelivered = rest
        responder.on_abort = self._held_post_aborted if rest is None else self._post_aborted

    def _deliver(self, packet: str | bytes) -> None:
        try:
            if isinstance(packet, bytes):
                self.session._receive_binary(packet)
            elif packet.startswith(packets.CLOSE):
                poll, self._poll = self._poll, None
                self.session._receive_text(packet.encode())
                if poll is not None:
                    # Engine.IO v4: the pending GET is released with a noop, not with a close.
                    self._respond(poll, NOOP_PACKET.payload, TEXT_PLAIN)
            else:
                self.session._receive_text(packet.encode())
        except ProtocolError:
            raise
        except (Exception, CancelledError):
            logger.exception("a callback of session %s failed", self.session.sid[:6])

    def _post_too_large(self) -> None:
        responder, self._post = self._post, None
        assert responder is not None, "a body is found too large once"
        # The session stays open, as with Node; the official client closes it by itself.
        responder.respond(HttpResponse(413))

    def _poll_aborted(self) -> None:
        self._poll = None
        self._lost("poll connection closed prematurely")

    def _post_aborted(self) -> None:
        self._post = self._held_post = self._undelivered = None
        self._lost("data request connection closed prematurely")

    def _held_post_aborted(self) -> None:
        self._held_post = None

    def _lost(self, description: str) -> None:
        if not self._closed:
            self.session._transport_closed(CloseReason.TRANSPORT_ERROR, description)
            self.discard()

    # -- Transport

    def send(self, packet: EncodedPacket) -> None:
        """Never called: `writable` is False."""
        raise AssertionError("a packet for a poll waits in the outbox")

    def send_bare(self, packet: bytes) -> None:
        """Never called, either."""
        raise AssertionError("a packet for a poll waits in the outbox")

    def wake(self) -> None:
        """Answer the pending GET, if there is one, after what is under way now."""
        if self._poll is not None and not self._wake_planned:
            self._wake_planned = True
            self._context.clock.call_soon(self._flush_planned)

    def _flush_planned(self) -> None:
        self._wake_planned = False
        if self._poll is not None and not self._closed:
            self._flush()

    def _flush(self) -> None:
        session = self.session
        taken = session._take_outbox(self._context.options.max_http_buffer_size)
        if not taken:
            if session._upgrade_state is not UpgradeState.PROBED:
                return
            taken = [NOOP_PACKET]
        self._answer_poll(taken)
        if not session._has_outbox:
            session._outbox_emptied()

    def is_idle(self) -> bool:
        """Whether a GET is pending and nothing waits to be put in its answer."""
        return self._poll is not None and not self._wake_planned

    def buffered_amount(self) -> int:
        """Nothing: what waits is in the outbox."""
        return 0

    def close(self) -> bool:
        """Send a close packet: now if a GET is pending, else when the next comes."""
        self._release_posts()
        if self._poll is None:
            return False
        self._closed = True
        self._answer_poll([CLOSE_PACKET])
        return True

    def discard(self) -> None:
        """Let go of the pending requests; what waits is dropped."""
        self._closed = True
        if self.session.transport is self:
            self._answer_poll([CLOSE_PACKET])
            self._release_posts()
        else:  # it was upgraded; an upload that is under way may still end
            self._answer_poll([NOOP_PACKET])
            self.resume_reading()

    def pause_reading(self) -> None:
        """Keep a POST, and its answer: a client sends another one when it has that."""
        self._is_reading_paused = True

    def resume_reading(self) -> None:
        """Go on with the POST that was kept waiting."""
        self._is_reading_paused = False
        held, self._held_post = self._held_post, None
        rest, self._undelivered = self._undelivered, None
        if held is not None:
            self._deliver_all(held, rest or iter(()))

    # -- responses

    def _release_posts(self) -> None:
        """Nobody reads any more: an upload that is under way is cut."""
        self.resume_reading()
        post, self._post = self._post, None
        if post is not None:
            post.destroy()

    def _answer_poll(self, taken: list[EncodedPacket]) -> None:
        poll, self._poll = self._poll, None
        if poll is not None:
            wants_compression = any(packet.compress for packet in taken)
            self._respond(poll, encode_payload(taken), TEXT_PLAIN, wants_compression)

    def _respond(
        self,
        responder: Responder,
        body: bytes,
        content_type: tuple[str, str],
        wants_compression: bool = False,
    ) -> None:
        headers: list[tuple[str, str]] = [content_type, NO_STORE]
        request = responder.request
        rule = self._context.options.http_compression
        if wants_compression and rule is not None and len(body) >= rule.threshold:
            encoding = negotiate_encoding(request.headers.get("accept-encoding", ""))
            if encoding is not None:
                body = compress(body, encoding, rule.level)
                headers.append(("Content-Encoding", encoding))
        calm_old_browsers(request, headers)
        self._decorate(request, headers)
        responder.respond(HttpResponse(200, body, headers))


def calm_old_browsers(request: HttpRequest, headers: list[tuple[str, str]]) -> None:
    """Keep old Internet Explorers from rewriting answers that look like scripts, as Node does."""
    agent = request.headers.get("user-agent", "")
    if ";MSIE" in agent or "Trident/" in agent:
        headers.append(("X-XSS-Protection", "0"))
