"""The AsyncAPI document of the events, served at `GET /api/asyncapi.json`."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hextrackr_server import __version__
from socketio_core import SocketServer


def create_document(io: SocketServer) -> dict[str, Any]:
    """Return the document of the registered and declared events."""
    return io.asyncapi(
        "HexTrackr hub",
        __version__,
        description="Events over Socket.IO. Clients authenticate with a token or a session cookie.",
    )


def asyncapi_route(io: SocketServer) -> Route:
    """Return the route, which describes the events that are registered at its first request."""
    bodies: list[bytes] = []

    def answer(_: Request) -> Response:
        if not bodies:
            bodies.append(bytes(JSONResponse(create_document(io)).body))
        return Response(bodies[0], media_type="application/json")

    return Route("/api/asyncapi.json", answer, methods=["GET"])
