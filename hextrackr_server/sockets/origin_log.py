"""Log lines that name the setting which would allow a refused origin."""

from __future__ import annotations

import logging

from engineio_core import ConnectionRefusal, Cors
from engineio_core.http.cors import CorsPolicy
from engineio_core.http.message import HttpRequest
from hextrackr_server.telemetry import log_setup
from socketio_core import SocketServer

logger = logging.getLogger(__name__)

#: Each origin is logged once; a client can send any number of origins.
MAXIMUM_ORIGINS = 100


def register(io: SocketServer, cors: Cors) -> None:
    """Log each refused origin once.

    A WebSocket of a refused origin is refused; the response to its polling request is sent, but
    the browser withholds the response from the page.
    """
    policy = CorsPolicy(cors)
    logged: set[str] = set()

    def log(request: HttpRequest) -> None:
        origin = request.headers.get("origin", "")
        if origin in logged or len(logged) >= MAXIMUM_ORIGINS:
            return
        logged.add(origin)
        logger.warning(
            "origin refused: to allow its pages, add the origin to HEXTRACKR_CORS_ORIGINS",
            extra=log_setup.fields(
                origin=origin, host=request.host, address=request.remote_address
            ),
        )

    def check_polling(request: HttpRequest) -> None:
        if (
            "origin" in request.headers
            and not request.is_upgrade
            and not request.query.get("sid")
            and policy.forbids_websocket(request)
        ):
            log(request)

    def refused(refusal: ConnectionRefusal) -> None:
        if refusal.context.get("name") == "ORIGIN_NOT_ALLOWED":
            log(refusal.request)

    io.engine.use(check_polling)
    io.engine.on("connection_error", refused)
