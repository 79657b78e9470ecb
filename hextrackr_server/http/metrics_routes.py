"""What operators ask over HTTP: numbers, and whether the server is ready.

Knows: Starlette, who may ask.  Does not know: what is counted.

    GET /ready             whether it can work: 200, or 503 with what is amiss
    GET /socket-metrics    the numbers as JSON
    GET /metrics           the numbers as Prometheus wants them
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from hextrackr_server.config.parsers import is_loopback
from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

READY_SECONDS = 5.0
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


def metrics_routes(metrics: Metrics, check: Callable[[], None], token: bytes) -> list[Route]:
    """The routes; `check` runs in a thread and raises where the server cannot work."""

    async def ready(_: Request) -> Response:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await asyncio.to_thread(check)
        except Exception:
            logger.exception("not ready")
            return JSONResponse({"status": "unavailable", "database": "failed"}, status_code=503)
        return JSONResponse({"status": "ready", "database": "ok"})

    async def as_json(request: Request) -> Response:  # noqa: RUF029 - else it has a thread
        _let_in(request, token)
        return JSONResponse(metrics.snapshot())

    async def as_text(request: Request) -> Response:  # noqa: RUF029 - as above
        _let_in(request, token)
        return PlainTextResponse(metrics.prometheus(), media_type="text/plain; version=0.0.4")

    return [
        Route("/ready", ready, methods=["GET"]),
        Route("/socket-metrics", as_json, methods=["GET"]),
        Route("/metrics", as_text, methods=["GET"]),
    ]


def _let_in(request: Request, token: bytes) -> None:
    """This machine, or whoever has the token; what a proxy passes on is not of this machine."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if token and scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), token):
        return
    address = request.client.host if request.client else ""
    passed_on = any(name in request.headers for name in _FORWARDED)
    if not is_loopback(address) or passed_on:
        raise ServiceError(ErrorCode.UNAUTHORIZED, "A token for metrics is needed")
