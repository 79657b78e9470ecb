"""The opening of a WebTransport session: the checks of its request, and its first packet.

A first packet `0` opens a new Engine.IO session, `0{"sid":"..."}` upgrades an existing one (source:
`Server.onWebTransportSession` of engine.io 6.6.13). QUIC and HTTP/3 belong to `connection`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol, final

import orjson

from engineio_core import handshake
from engineio_core.admission import (
    Admission,
    ConnectionRefusal,
    describe_refusal,
    refusal_level,
)
from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.counts import MIDDLEWARE, EngineCounts
from engineio_core.errors import CloseReason, HandshakeRefusedError, ProtocolError
from engineio_core.http.message import HttpRequest, HttpResponse
from engineio_core.options import EngineOptions
from engineio_core.session import Session, SessionContext
from engineio_core.transports.interface import NULL_LISTENER
from engineio_core.webtransport.transport import WebTransportTransport

logger = logging.getLogger("engineio_core")

_OPEN = ord("0")


class OpeningEngine(Protocol):
    """The engine, as WebTransport sees it."""

    options: EngineOptions
    _counts: EngineCounts
    _admission: Admission

    def _serves(self, path: str) -> bool:
        """Return whether a path belongs to the engine."""

    def _session_context(self, protocol: int = 4) -> SessionContext:
        """Return the shared objects of sessions."""

    def _register(self, session: Session) -> None:
        """Add a session, and report it."""

    def _refuse_when_full(
        self, request: HttpRequest, transport: str | None = None
    ) -> HttpResponse | None:
        """Return the response to a handshake for which there is no room, or None."""

    def _log_refusal(self, request: HttpRequest, reason: str, level: int = ...) -> None:
        """Log a refused request."""

    def _call_hooks(self, event: str, *args: Any) -> None:
        """Call the hooks of an event."""

    def _decorate(self, request: HttpRequest, headers: list[tuple[str, str]]) -> None:
        """Add the headers that the hooks set."""


async def screen(engine: OpeningEngine, request: HttpRequest) -> HttpResponse:
    """Check the request for a WebTransport session; status 200 accepts it."""
    try:
        refused = await engine._admission.screen_webtransport(request)
    except HandshakeRefusedError as refusal:
        report_refusal(engine, request, refusal)
        return handshake.encode_refusal(refusal)
    except Exception:
        logger.exception("admission of a request to %s failed", request.path)
        return HttpResponse(500)
    if refused is not None:
        engine._log_refusal(request, f"status {refused.status}")
        engine._counts.refused("webtransport", MIDDLEWARE)
        # Status 200 would open the session.
        return refused if refused.status >= 300 else HttpResponse(403, refused.body)
    headers: list[tuple[str, str]] = []
    engine._decorate(request, headers)
    return HttpResponse(200, b"", headers)


def report_refusal(
    engine: OpeningEngine, request: HttpRequest, refusal: HandshakeRefusedError
) -> None:
    """Log a refusal and call the `connection_error` hooks."""
    engine._log_refusal(request, describe_refusal(refusal), refusal_level(refusal))
    engine._counts.refused("webtransport", refusal.refusal.code)
    engine._call_hooks("connection_error", ConnectionRefusal(request, refusal))


@final
class Opening:
    """Listener of a WebTransport stream until its first packet.

    A query that names a session permits only the upgrade of that session. Otherwise the first
    packet decides; a new session must pass `allow_request` first.
    """

    __slots__ = ("_engine", "_request", "_task", "_timer", "_transport")

    def __init__(
        self, engine: OpeningEngine, request: HttpRequest, transport: WebTransportTransport
    ) -> None:
        self._engine = engine
        self._request = request
        self._transport = transport
        self._task: asyncio.Task[None] | None = None
        context = engine._session_context()
        self._timer: Any = context.clock.call_later(
            context.options.upgrade_timeout, self._close, "no packet in time"
        )

    def _receive_text(self, packet: bytes) -> None:
        """Accept an open packet; close the WebTransport session on any other packet."""
        self._timer.cancel()
        if packet[0] != _OPEN:
            self._close("the first packet is not an open packet")
        elif len(packet) > 1:
            self._upgrade(packet[1:])
        elif self._request.query.get("sid"):
            self._close("the first packet does not upgrade the session of the query")
        else:
            # Packets after the first one wait until the session exists.
            self._transport.pause_reading()
            self._task = asyncio.get_running_loop().create_task(
                self._open_session(), name="engineio webtransport"
            )

    def _receive_binary(self, data: bytes) -> None:
        """Close the WebTransport session."""
        self._timer.cancel()
        self._close("the first packet is binary")

    def _transport_writable(self) -> None:
        """Do nothing: there is no outbox."""

    def _transport_closed(self, reason: CloseReason, description: str) -> None:
        """Stop waiting: the client has left."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _transport_failed(self, error: ProtocolError) -> None:
        """Log a first packet that cannot be read."""
        self._engine._log_refusal(self._request, error.description)
        self._transport_closed(error.reason, error.description)

    def _close(self, why: str) -> None:
        self._engine._log_refusal(self._request, f"WebTransport: {why}")
        self._transport.close()

    def _upgrade(self, data: bytes) -> None:
        """Make the stream the candidate of an upgrade."""
        sid = _read_sid(data)
        expected = self._request.query.get("sid") or sid
        if sid is None or sid != expected:
            self._close("the first packet does not contain the sid of the session")
            return
        try:
            session = self._engine._admission.find_upgradable(self._request, sid)
        except HandshakeRefusedError as refusal:
            report_refusal(self._engine, self._request, refusal)
            self._transport.close()
            return
        if not self._engine.options.allow_upgrades:
            self._close("allow_upgrades is False")
            return
        candidate = session._admit_candidate(self._transport)
        if candidate is None:
            self._close("the session cannot be upgraded: it is not polling, or upgrades already")
            return
        self._transport.listener = candidate

    async def _open_session(self) -> None:
        engine, request, transport = self._engine, self._request, self._transport
        try:
            sid = await engine._admission.permit_webtransport(request)
        except HandshakeRefusedError as refusal:
            report_refusal(engine, request, refusal)
            transport.end(refusal.refusal.code, str(refusal))
            return
        except Exception:
            logger.exception("admission of a request to %s failed", request.path)
            transport.close()
            return
        if transport.listener is not self:  # the client has left
            return
        if engine._refuse_when_full(request, "webtransport") is not None:
            transport.close()
            return
        session = Session(sid, request, transport, engine._session_context())
        transport.listener = session
        opened = handshake.encode_open(sid, "webtransport", engine.options)
        session._send_control(EncodedPacket(opened))
        if engine.options.initial_packet is not None:
            session.send(EncodedPacket.message(engine.options.initial_packet))
        engine._register(session)
        if not session._is_reading_paused:
            transport.resume_reading()

    def abandon(self) -> None:
        """Close the stream: the server shuts down."""
        if self._transport.listener is self:
            self._transport_closed(CloseReason.FORCED_CLOSE, "")
            self._transport.listener = NULL_LISTENER
            self._transport.close()


def _read_sid(data: bytes) -> str | None:
    """Return the sid in the data of an open packet, or None."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    sid = value.get("sid") if isinstance(value, dict) else None
    return sid if isinstance(sid, str) and sid else None
