"""Routes for operators: readiness and metrics.

GET /ready             200 if the database works and the server accepts clients, else 503
GET /socket-metrics    the metrics as JSON
GET /metrics           the metrics for Prometheus: text format 0.0.4 or OpenMetrics
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hextrackr_server.config.parsers import is_loopback
from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.telemetry.exposition import Exposition
from hextrackr_server.telemetry.failures import log_failure
from hextrackr_server.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

READY_SECONDS = 5.0
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


def metrics_routes(
    metrics: Metrics,
    exposition: Exposition,
    check: Callable[[], None],
    token: bytes,
    *,
    is_draining: Callable[[], bool],
    dev: bool = False,
) -> list[Route]:
    """Return the routes; `check` runs in a thread and raises if the server cannot work.

    A server that drains is not ready, regardless of its database. With `dev`, requests of this
    machine need no token.
    """

    async def ready(_: Request) -> Response:
        if is_draining():
            return JSONResponse({"status": "draining"}, status_code=503)
        try:
            async with asyncio.timeout(READY_SECONDS):
                await asyncio.to_thread(check)
        except Exception as error:
            reason = log_failure(logger, "the database check of /ready failed", error)
            body = {"status": "unavailable", "database": reason or "failed"}
            return JSONResponse(body, status_code=503)
        return JSONResponse({"status": "ready", "database": "ok"})

    async def as_json(request: Request) -> Response:  # noqa: RUF029 - Starlette runs others in a thread
        _require_access(request, token, dev=dev)
        return JSONResponse(metrics.snapshot())

    async def as_text(request: Request) -> Response:  # noqa: RUF029 - see above
        _require_access(request, token, dev=dev)
        body, content_type = exposition.encode(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": content_type, "Vary": "Accept"})

    return [
        Route("/ready", ready, methods=["GET"]),
        Route("/socket-metrics", as_json, methods=["GET"]),
        Route("/metrics", as_text, methods=["GET"]),
    ]


def _require_access(request: Request, token: bytes, *, dev: bool) -> None:
    """Accept the token; in development, also a direct request of this machine.

    A reverse proxy on the same host that adds no header looks like a direct request.
    """
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    if token and scheme.lower() == "bearer" and hmac.compare_digest(sent.encode(), token):
        return
    address = request.client.host if request.client else ""
    passed_on = any(name in request.headers for name in _FORWARDED)
    if dev and is_loopback(address) and not passed_on:
        return
    remedy = "" if token else ": set HEXTRACKR_METRICS_TOKEN"
    raise ServiceError(ErrorCode.UNAUTHORIZED, f"The metrics token is required{remedy}")
