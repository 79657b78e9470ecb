"""Who may connect, and the rooms that come with it.

Knows: the middleware of a namespace, CONNECT_ERROR, the rooms `user-<id>` and `authenticated`.
Does not know: how a token is verified.
"""

from __future__ import annotations

import logging

from hextrackr_server import log_setup
from hextrackr_server.errors import ServiceError
from hextrackr_server.handlers.answers import principal_of
from hextrackr_server.principal import TokenAuthority
from socketio_core import ConnectRefused, Socket, SocketServer

logger = logging.getLogger(__name__)

#: Everyone who is connected; "all" never means anyone else.
AUTHENTICATED = "authenticated"


def register(io: SocketServer, authority: TokenAuthority) -> None:
    """Refuse every connection that has no valid token."""

    @io.use
    def authenticate(socket: Socket) -> None:
        handshake = socket.handshake
        try:
            principal = authority.from_handshake(handshake.headers, handshake.auth)
        except ServiceError as refusal:
            logger.info(
                "connection refused",
                extra=log_setup.fields(address=handshake.address, reason=refusal.message),
            )
            data = {"code": str(refusal.code), "type": "UnauthorizedError"}
            raise ConnectRefused(refusal.message, data=data) from refusal
        socket.data["principal"] = principal

    async def connected(socket: Socket) -> None:
        principal = principal_of(socket)
        await socket.join([principal.room, AUTHENTICATED])
        logger.info(
            "connected",
            extra=log_setup.fields(
                socket=socket.id, user=principal.user_id, address=socket.handshake.address
            ),
        )

    def disconnected(socket: Socket, reason: str) -> None:
        user = principal_of(socket).user_id
        logger.info(
            "disconnected", extra=log_setup.fields(socket=socket.id, user=user, reason=str(reason))
        )

    io.on("connection", connected)
    io.on("disconnect", disconnected)
