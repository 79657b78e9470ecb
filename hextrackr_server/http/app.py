"""Creation of the ASGI application that serves all paths except those of the sockets.

The features contribute the routes; this module adds `GET /health`, CORS and error responses.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from hextrackr_server import __version__
from hextrackr_server.errors import HTTP_STATUS, ErrorCode, ServiceError

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
        routes=[Route("/health", _health, methods=["GET"]), *routes],
        middleware=middleware,
        exception_handlers={
            ServiceError: _service_error,
            HTTPException: _http_exception,
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


def _internal_error(request: Request, error: Exception) -> Response:
    """Log an unexpected error; the response does not contain its text."""
    logger.error("request failed: %s %s", request.method, request.url.path, exc_info=error)
    body = ServiceError(ErrorCode.HANDLER_ERROR, "The request failed on the server").body()
    return JSONResponse(body, status_code=500)
