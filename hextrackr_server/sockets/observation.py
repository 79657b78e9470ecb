"""Observation of connections and errors, for the log and for the metrics."""

from __future__ import annotations

import logging
from typing import Any

from engineio_core import ConnectionRefusal
from hextrackr_server.sockets.answers import principal_of
from hextrackr_server.sockets.authenticator import namespaces
from hextrackr_server.telemetry import log_setup
from hextrackr_server.telemetry.event_log import EventLog
from hextrackr_server.telemetry.metrics import Metrics
from socketio_core import Socket, SocketServer

logger = logging.getLogger(__name__)

MAXIMUM_USER_AGENT = 256
#: Reasons of an intentional disconnect, after which no reconnection is expected.
_INTENTIONAL = frozenset({"client namespace disconnect", "server namespace disconnect"})
_BROKEN = frozenset({"parse error", "forced close", "forced server close"})


def register(io: SocketServer, metrics: Metrics, event_log: EventLog | None = None) -> None:
    """Log and count the connections and events of all namespaces."""

    def connected(socket: Socket) -> None:
        user, handshake = principal_of(socket).user_id, socket.handshake
        metrics.connected(user, handshake.address, recovered=socket.recovered)
        agent = handshake.headers.get("user-agent", "")[:MAXIMUM_USER_AGENT]
        logger.info(
            "connected",
            extra=log_setup.fields(
                socket=socket.id,
                namespace=socket.namespace.name,
                user=user,
                address=handshake.address,
                userAgent=agent,
                recovered=socket.recovered,
            ),
        )
        if event_log is not None:
            event_log.note_connection(socket.id, user, handshake.address, agent)
            watch_outgoing(socket, event_log)

    def disconnected(socket: Socket, reason: str) -> None:
        user = principal_of(socket).user_id
        if reason not in _INTENTIONAL:
            metrics.lost(user, socket.handshake.address)
        if reason in _BROKEN:
            metrics.error("packet")
        logger.info(
            "disconnected", extra=log_setup.fields(socket=socket.id, user=user, reason=str(reason))
        )

    def refused(refusal: ConnectionRefusal) -> None:
        metrics.error("handshake")
        logger.info(
            "request refused",
            extra=log_setup.fields(
                address=refusal.request.remote_address, code=refusal.code, reason=refusal.message
            ),
        )

    def note_event(socket: Socket, event: list[Any]) -> None:
        assert event_log is not None
        event_log.note("in", event[0], socket.id, principal_of(socket).user_id)

    io.engine.on("connection_error", refused)
    for namespace in namespaces(io):
        namespace.on("connection", connected)
        namespace.on("disconnect", disconnected)
        if event_log is not None:
            namespace.use_event(note_event)
    metrics.gauge(
        "active_connections",
        lambda: sum(len(each.sockets) for each in namespaces(io)),
        "Connected sockets",
    )
    metrics.gauge("sessions", lambda: len(io.engine.sessions), "Open sessions")
    metrics.gauge("draining", lambda: io.is_draining, "1 while the server drains, else 0")


def watch_outgoing(socket: Socket, event_log: EventLog) -> None:
    """Log outgoing events of a socket as well."""
    user = principal_of(socket).user_id

    def note(event: Any) -> None:
        event_log.note("out", event, socket.id, user)

    socket.on_any_outgoing(note)
