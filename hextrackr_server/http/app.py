"""Creation of the ASGI application that serves all paths except those of the sockets.

The features contribute the routes; this module adds `GET /health`, the OpenAPI document, CORS and
error responses.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from engineio_core.http.asgi_response import ClientLeftError
from hextrackr_server import __version__
from hextrackr_server.errors import (
    HTTP_STATUS,
    DatabaseFileLostError,
    ErrorCode,
    ServiceError,
    invalid,
)
from hextrackr_server.http import openapi
from hextrackr_server.telemetry.failures import answer_of, condition_of, log_failure

logger = logging.getLogger(__name__)

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


class _HttpApp(Starlette):
    """Application that logs each error once.

    Starlette raises an error again after `_internal_error` has logged and answered it.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except Exception:
            if scope["type"] != "http":
                raise


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
    return _HttpApp(
        routes=[Route("/health", _health, methods=["GET"]), openapi.ROUTE, *routes],
        middleware=middleware,
        exception_handlers={
            ServiceError: _service_error,
            HTTPException: _http_exception,
            ClientDisconnect: _client_left,
            DatabaseFileLostError: _storage_error,
            OSError: _storage_error,
            SQLAlchemyError: _storage_error,
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
    """Report a database, or files, that do not work as 503."""
    answer = answer_of(error)
    if answer is None:
        return _internal_error(request, error)
    _log(request, error)
    return JSONResponse(ServiceError(ErrorCode.UNAVAILABLE, answer).body(), status_code=503)


def _internal_error(request: Request, error: Exception) -> Response:
    """Log an unexpected error; the response does not contain its text."""
    # Starlette replaces an error that ends a response after its start.
    cause = error.__cause__
    if isinstance(cause or error, ClientDisconnect | ClientLeftError):
        return _client_left(request, error)
    _log(request, cause if isinstance(cause, Exception) and condition_of(cause) else error)
    body = ServiceError(ErrorCode.HANDLER_ERROR, "The request failed on the server").body()
    return JSONResponse(body, status_code=500)


def _log(request: Request, error: Exception) -> None:
    log_failure(logger, f"request failed: {request.method} {request.url.path}", error)
