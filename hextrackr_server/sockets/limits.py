"""Rate limits of handshakes, connections and events, and the answers of refused clients.

`security.rate_limiter` counts them, and `engineio_core.accounts` what a user occupies; this module
connects both to the engine and the namespaces.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from typing import Any

from engineio_core.accounts import SESSIONS, Ledger
from engineio_core.http.message import JSON, HttpRequest, HttpResponse
from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.security.rate_limiter import RateLimiter, SocketLimits
from hextrackr_server.sockets.answers import principal_of
from hextrackr_server.sockets.authenticator import Authenticator, namespaces
from hextrackr_server.telemetry import log_setup
from socketio_core import AckError, Socket, SocketServer

logger = logging.getLogger(__name__)

TOO_MANY = "Rate limit exceeded"


def register(
    io: SocketServer, limiter: RateLimiter, users: Ledger, authenticator: Authenticator
) -> None:
    """Limit handshakes, connections and events; call it after `Authenticator.register`.

    `users` gets an account for each connected user.
    """

    def limit_handshakes(request: HttpRequest) -> HttpResponse | None:
        if request.query.get("sid"):
            return None
        wait = limiter.handshake(request.remote_address)
        if not wait:
            return None
        body = ServiceError(ErrorCode.RATE_LIMITED, TOO_MANY).body() | {"retryAfterMs": _ms(wait)}
        headers = [JSON, ("Retry-After", str(math.ceil(wait)))]
        return HttpResponse(429, json.dumps(body).encode(), headers)

    def enter(socket: Socket) -> None:
        # The last middleware, and a synchronous one: no other socket connects between `has_room`
        # and `opened`.
        user, address = principal_of(socket).user_id, socket.handshake.address
        if not limiter.has_room(user, address):
            full = users if limiter.is_user_full(user) else io.engine._addresses
            full.limited[SESSIONS] += 1
            refusal = ServiceError(ErrorCode.RATE_LIMITED, "Too many connections")
            raise authenticator.refused(refusal, socket)
        if "limits" not in socket.data:
            socket.data["limits"] = limiter.enter(user, address)

    def opened(socket: Socket) -> None:
        user = principal_of(socket).user_id
        limiter.opened(user, socket.handshake.address)
        # A recovered socket has its former limits.
        socket.data["limits"].is_ended = False
        socket._charge_to(users.get(user))

    def closed(socket: Socket) -> None:
        limiter.closed(principal_of(socket).user_id, socket.handshake.address)

    def limit_events(socket: Socket, event: list[Any]) -> None:
        # hot path
        limits = socket.data["limits"]
        wait = limiter.check(limits, event[0])
        if wait:
            _refuse(socket, limiter, limits, wait)

    io.engine.use(limit_handshakes)
    for namespace in namespaces(io):
        namespace.use(enter)
        namespace.on("connection", opened)
        namespace.on("disconnect", closed)
        namespace.use_event(limit_events)


def add_known_events(io: SocketServer, limiter: RateLimiter) -> None:
    """Give each registered event a limit of its own; call it after all handlers are registered."""
    for namespace in namespaces(io):
        limiter.add_known(namespace.event_names())


def _refuse(socket: Socket, limiter: RateLimiter, limits: SocketLimits, wait: float) -> None:
    if not limits.is_ended and limiter.is_abusive(limits):
        limits.is_ended = True  # the client may have sent many more events
        logger.warning(
            "disconnecting a client that exceeds its rate limit continuously",
            extra=log_setup.fields(
                socket=socket.id,
                user=principal_of(socket).user_id,
                address=socket.handshake.address,
            ),
        )
        # Disconnect in the next loop iteration: the error answer is sent first.
        asyncio.get_running_loop().call_soon(socket.disconnect, True)
    raise AckError(str(ErrorCode.RATE_LIMITED), TOO_MANY, data={"retryAfterMs": _ms(wait)})


def _ms(seconds: float) -> int:
    return math.ceil(seconds * 1000)
