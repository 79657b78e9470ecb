"""Long-polling: one pending GET that carries packets out, one POST at a time that brings some in.

Knows: the two kinds of request, payloads, what a client may not do at once.
Does not know: how a request is parsed or who carries it; packets wait in the session's outbox.

Packets that are sent in one go leave in one response: `wake` answers the pending GET only when
what is under way now has finished.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from . import packet as packets
from .compression import compress, negotiate_encoding
from .encoded_packet import EncodedPacket
from .errors import CloseReason, ProtocolError
from .http_message import JSON, NO_STORE, TEXT_HTML, TEXT_PLAIN, HttpResponse, Responder
from .payload import decode_payload, encode_payload
from .session_state import SessionState, UpgradeState

if TYPE_CHECKING:
    from collections.abc import Callable

    from .http_message import HttpRequest
    from .session import Session, SessionContext


logger = logging.getLogger("engineio_core")


class PollingTransport:
    """The polling side of one session. `session` is set right after construction."""

    __slots__ = ("_closed", "_context", "_decorate", "_poll", "_post", "_wake_planned", "session")

    name = "polling"
    writable = False  # every packet takes the way over the outbox, so that polls carry many

    session: Session

    def __init__(
        self,
        context: SessionContext,
        decorate: Callable[[HttpRequest, list[tuple[str, str]]], None],
    ) -> None:
        self._context = context
        self._decorate = decorate
        self._poll: Responder | None = None
        self._post: Responder | None = None
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
        if session.state is SessionState.CLOSING and not session.has_outbox:
            self._close_pending(b"6\x1e1")
        elif session.has_outbox or session.upgrade_state is UpgradeState.PROBED:
            self._flush()

    def post(self, responder: Responder) -> None:
        """Take a POST: read its body, deliver its packets, answer "ok"."""
        if self._post is not None:
            former, self._post = self._post, None
            former.on_abort = _nobody
            self._break_off(ProtocolError("data request overlap from client"), responder)
            former.destroy()
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
        self._answer_poll([packets.CLOSE_PACKET])
        self._closed = True
        self.session.fail(error)
        responder.respond(HttpResponse(error.status))

    def _post_complete(self, body: bytes) -> None:
        responder, self._post = self._post, None
        assert responder is not None, "a body completes once"
        session = self.session
        status = 200
        try:
            for packet in decode_payload(body):
                self._deliver(packet)
        except ProtocolError as error:
            # Node answers "ok" here; the protocol's suite wants 400.
            self._answer_poll([packets.CLOSE_PACKET])
            session.fail(error)
            status = error.status
        if status == 200:
            self._respond(responder, b"ok", TEXT_HTML)
        else:
            responder.respond(HttpResponse(status))

    def _deliver(self, packet: str | bytes) -> None:
        try:
            if isinstance(packet, bytes):
                self.session.receive_binary(packet)
                return
            if packet.startswith(packets.CLOSE):
                # Engine.IO v4: the pending GET is released with a noop, not with a close.
                self._answer_poll([packets.NOOP_PACKET])
            self.session.receive_text(packet)
        except ProtocolError:
            raise
        except Exception:
            logger.exception("a listener of session %s failed", self.session.sid[:6])

    def _post_too_large(self) -> None:
        responder, self._post = self._post, None
        assert responder is not None, "a body is found too large once"
        # The session stays open, as with Node; the official client closes it by itself.
        responder.respond(HttpResponse(413, b'{"message":"Payload too large"}', [JSON]))

    def _poll_aborted(self) -> None:
        self._poll = None
        self._lost("poll connection closed prematurely")

    def _post_aborted(self) -> None:
        self._post = None
        self._lost("data request connection closed prematurely")

    def _lost(self, description: str) -> None:
        if not self._closed:
            self.session.transport_closed(CloseReason.TRANSPORT_ERROR, description)
            self.discard()

    # -- Transport

    def send(self, packet: EncodedPacket) -> None:
        """Never called: `writable` is False."""
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
        taken = session.take_outbox(self._context.options.max_http_buffer_size)
        if not taken:
            if session.upgrade_state is not UpgradeState.PROBED:
                return
            taken = [packets.NOOP_PACKET]
        self._answer_poll(taken)
        if not session.has_outbox:
            session.outbox_emptied()

    def is_idle(self) -> bool:
        """Whether a GET is pending and nothing waits to be put in its answer."""
        return self._poll is not None and not self._wake_planned

    def buffered_amount(self) -> int:
        """Nothing: what waits is in the outbox."""
        return 0

    def close(self, code: int | None = None, reason: str = "") -> None:
        """Send a close packet: now if a GET is pending, else when the next comes."""
        self._destroy_post()
        if self._poll is not None:
            self._close_pending(b"1")

    def _close_pending(self, body: bytes) -> None:
        poll, self._poll = self._poll, None
        self._closed = True
        assert poll is not None, "somebody waits for this answer"
        self._respond(poll, body, TEXT_PLAIN)
        self.session.transport_closed(CloseReason.FORCED_CLOSE, "the server closed the session")

    def discard(self) -> None:
        """Let go of the pending requests; what waits is dropped."""
        is_upgraded = self.session.transport is not self
        self._answer_poll([packets.NOOP_PACKET if is_upgraded else packets.CLOSE_PACKET])
        self._closed = True
        if not is_upgraded:
            self._destroy_post()

    def pause_reading(self) -> None:
        """Do nothing: a client sends its next POST when the last one was answered."""

    def resume_reading(self) -> None:
        """Do nothing."""

    # -- responses

    def _destroy_post(self) -> None:
        post, self._post = self._post, None
        if post is not None:
            post.on_abort = _nobody
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
        agent = request.headers.get("user-agent", "")
        if ";MSIE" in agent or "Trident/" in agent:
            # As Node does: old Internet Explorers rewrite answers that look like scripts.
            headers.append(("X-XSS-Protection", "0"))
        self._decorate(request, headers)
        responder.respond(HttpResponse(200, body, headers))


def _nobody(*_: Any) -> None:
    """Stand in for a listener that is not wanted any more."""
