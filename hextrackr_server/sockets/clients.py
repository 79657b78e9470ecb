"""Events of administrators about clients: `list-clients`, `disconnect-client`, `get-metrics`.

The namespace `/admin` admits administrators only. `metrics_routes` serves the same numbers to
operators, who have a token of their own.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from hextrackr_server.errors import ErrorCode, ServiceError, invalid
from hextrackr_server.sockets.answers import principal_of, refusals_as_acks
from hextrackr_server.sockets.authenticator import namespaces
from hextrackr_server.sockets.payloads.lists import (
    ClientList,
    DisconnectedClient,
    MetricsAnswer,
)
from hextrackr_server.telemetry import log_setup
from hextrackr_server.telemetry.metrics import Metrics
from socketio_core import DocumentedAs, Socket, SocketServer

logger = logging.getLogger(__name__)

MAXIMUM_LIMIT = 500
MAXIMUM_USER_AGENT = 256


class ListClients(msgspec.Struct, rename="camel"):
    """The requested page of the connected clients, of one user or of all."""

    user_id: str | None = None
    page: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAXIMUM_LIMIT)] = 100


class DisconnectClient(msgspec.Struct):
    """The client to disconnect, by the ID of its socket."""

    id: str


def register(io: SocketServer, metrics: Metrics) -> None:
    """Handle the events, which only sockets of `/admin` may send."""

    def sockets() -> Iterator[Socket]:
        for namespace in namespaces(io):
            yield from namespace.sockets.values()

    def list_clients(
        _: Socket, payload: Annotated[Any, DocumentedAs(ListClients, optional=True)] = None
    ) -> Annotated[dict[str, Any], DocumentedAs(ClientList)]:
        """Return a page of the connected clients."""
        with refusals_as_acks():
            request = _parse({} if payload is None else payload, ListClients)
            found = [
                each
                for each in sockets()
                if request.user_id is None or principal_of(each).user_id == request.user_id
            ]
            found.sort(key=lambda each: each.handshake.issued, reverse=True)
            first = (request.page - 1) * request.limit
            pagination = {
                "page": request.page,
                "limit": request.limit,
                "total": len(found),
                "pages": math.ceil(len(found) / request.limit),
            }
            data = [_describe(each) for each in found[first : first + request.limit]]
            return {"success": True, "data": data, "pagination": pagination}

    def disconnect_client(
        socket: Socket, payload: Annotated[Any, DocumentedAs(DisconnectClient)] = None
    ) -> Annotated[dict[str, Any], DocumentedAs(DisconnectedClient)]:
        """Disconnect a client with its connection."""
        with refusals_as_acks():
            wanted = _parse(payload, DisconnectClient).id
            found = next((each for each in sockets() if each.id == wanted), None)
            if found is None:
                raise ServiceError(ErrorCode.NOT_FOUND, "There is no such client")
            user = principal_of(found).user_id
            logger.info(
                "client disconnected by an administrator",
                extra=log_setup.fields(
                    socket=found.id,
                    user=user,
                    administrator=principal_of(socket).user_id,
                    address=socket.handshake.address,
                ),
            )
            found.disconnect(close=True)
            return {"success": True, "id": wanted, "userId": user}

    def get_metrics(_: Socket) -> Annotated[dict[str, Any], DocumentedAs(MetricsAnswer)]:
        """Return the numbers of the server."""
        return {"success": True, "data": metrics.snapshot()}

    admin = io.of("/admin")
    admin.on("list-clients", list_clients)
    admin.on("disconnect-client", disconnect_client)
    admin.on("get-metrics", get_metrics)


def _parse(payload: Any, kind: type[Any]) -> Any:
    try:
        return msgspec.convert(payload, kind)
    except msgspec.ValidationError as error:
        _, _, path = str(error).partition(" - at `$.")
        raise invalid("Invalid request", [(path.rstrip("`"), str(error))]) from error


def _describe(socket: Socket) -> dict[str, Any]:
    principal, handshake = principal_of(socket), socket.handshake
    return {
        "id": socket.id,
        "userId": principal.user_id,
        "username": principal.username,
        "role": principal.role,
        "namespace": socket.namespace.name,
        "address": handshake.address,
        "transport": socket.session.transport.name,
        "since": handshake.issued,
        "recovered": socket.recovered,
        "userAgent": handshake.headers.get("user-agent", "")[:MAXIMUM_USER_AGENT],
        "rooms": sorted(socket.rooms - {socket.id}),
    }
