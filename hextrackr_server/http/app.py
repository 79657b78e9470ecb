"""Creation of the ASGI application that serves all paths except those of the sockets.

The features contribute the routes; this module adds `GET /health`, the OpenAPI document, CORS and
error responses.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from engineio_core.http.asgi_host import ClientLeftError
from hextrackr_server import __version__
from hextrackr_server.errors import HTTP_STATUS, STORAGE_FULL, ErrorCode, ServiceError, invalid
from hextrackr_server.http import openapi
from hextrackr_server.telemetry.failures import is_disk_full, log_failure

logger = logging.getLogger(__name__)

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def create_http_app(
    routes: Sequence[BaseRoute],
    *,
    cors_origins: tuple[str, ...] = (),
    cors_origin_pattern: str | None = None,
    lifespan: Lifespan | None = None,
) -> Starlette:
    """Return the ASGI application for the given routes."""
    middleware = []
    if cors_origins or cors_origin_pattern:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(cors_origins),
                allow_origin_regex=cors_origin_pattern,
                allow_methods=["GET", "POST"],
                allow_headers=["authorization", "content-type"],
                allow_credentials=True,
            )
        )
    return Starlette(
        routes=[Route("/health", _health, methods=["GET"]), openapi.ROUTE, *routes],
        middleware=middleware,
        exception_handlers={
            ServiceError: _service_error,
            HTTPException: _http_exception,
            ClientDisconnect: _client_left,
            OSError: _storage_error,
            DBAPIError: _storage_error,
            Exception: _internal_error,
        },
        lifespan=lifespan,
    )


async def _health(_: Request) -> Response:  # noqa: RUF029 - Starlette runs others in a thread
    """Report that the process is running; the route requires no token."""
    return JSONResponse({"status": "ok", "version": __version__})


def _service_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    headers = {"www-authenticate": "Bearer"} if error.code is ErrorCode.UNAUTHORIZED else None
    return JSONResponse(error.body(), status_code=HTTP_STATUS[error.code], headers=headers)


def _http_exception(_: Request, error: Exception) -> Response:
    """Return Starlette's own errors in the format of ServiceError."""
    assert isinstance(error, HTTPException)
    codes = {404: ErrorCode.NOT_FOUND, 405: ErrorCode.METHOD_NOT_ALLOWED}
    code = codes.get(error.status_code, ErrorCode.VALIDATION_ERROR)
    body: dict[str, Any] = ServiceError(code, error.detail).body()
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


def _client_left(request: Request, _: Exception) -> Response:
    """Log a client that left before its request was complete; no client receives the response."""
    logger.info("the client left during %s %s", request.method, request.url.path)
    return JSONResponse(invalid("The request is incomplete").body(), status_code=400)


def _storage_error(request: Request, error: Exception) -> Response:
    """Report a full disk as 503; other errors of files and databases are internal errors."""
    if not is_disk_full(error):
        return _internal_error(request, error)
    log_failure(logger, f"request failed: {request.method} {request.url.path}", error)
    body = ServiceError(ErrorCode.UNAVAILABLE, STORAGE_FULL).body()
    return JSONResponse(body, status_code=503)


def _internal_error(request: Request, error: Exception) -> Response:
    """Log an unexpected error; the response does not contain its text."""
    # Starlette replaces an error that ends a response after its start.
    if isinstance(error.__cause__ or error, ClientDisconnect | ClientLeftError):
        return _client_left(request, error)
    logger.error("request failed: %s %s", request.method, request.url.path, exc_info=error)
    body = ServiceError(ErrorCode.HANDLER_ERROR, "The request failed on the server").body()
    return JSONResponse(body, status_code=500)
