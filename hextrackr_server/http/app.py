"""What the server answers over HTTP, beside the sockets.

Knows: Starlette, the paths, the JSON of a refusal.
Does not know: how an import is done.

    POST /api/imports                a file: a form's csvFile or file, or the body itself; starts
    POST /api/imports/upload         the same, stored until `start-import` names its uploadId
    GET  /api/imports/{id}           where an import is
    POST /api/imports/{id}/cancel    end it early
    GET  /health                     whether the server lives, without a token
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
from hextrackr_server.http.converters import NUMBER
from hextrackr_server.http.uploads import UploadReceiver, import_options
from hextrackr_server.imports.service import ImportService
from hextrackr_server.imports.uploads import UploadStore
from hextrackr_server.security.identity import IdentityService
from hextrackr_server.security.principal import Principal

logger = logging.getLogger(__name__)

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def create_http_app(
    identity: IdentityService,
    imports: ImportService,
    uploads: UploadStore,
    *,
    cors_origins: tuple[str, ...] = (),
    cors_origin_pattern: str | None = None,
    more_routes: Sequence[BaseRoute] = (),
    lifespan: Lifespan | None = None,
) -> Starlette:
    """The ASGI app of every path that is not the sockets'."""
    api = _HttpApi(identity, imports, uploads)
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
        routes=[
            Route("/health", api.health, methods=["GET"]),
            Route("/api/imports", api.start_import, methods=["POST"]),
            Route("/api/imports/upload", api.upload, methods=["POST"]),
            Route(f"/api/imports/{{import_id:{NUMBER}}}", api.import_status, methods=["GET"]),
            Route(
                f"/api/imports/{{import_id:{NUMBER}}}/cancel", api.cancel_import, methods=["POST"]
            ),
            *more_routes,
        ],
        middleware=middleware,
        exception_handlers={
            ServiceError: _service_error,
            HTTPException: _http_exception,
            Exception: _broken,
        },
        lifespan=lifespan,
    )


class _HttpApi:
    """The endpoints over their services."""

    def __init__(
        self, identity: IdentityService, imports: ImportService, uploads: UploadStore
    ) -> None:
        self._identity = identity
        self._imports = imports
        self._uploads = uploads
        self._receiver = UploadReceiver(uploads)

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "version": __version__})

    async def start_import(self, request: Request) -> Response:
        principal = await self._principal(request)
        upload, fields = await self._receiver.receive(request, principal)
        answer = await self._imports.submit(upload, principal, import_options(fields))
        location = f"/api/imports/{answer['importId']}"
        return JSONResponse(answer, status_code=202, headers={"location": location})

    async def upload(self, request: Request) -> Response:
        principal = await self._principal(request)
        upload, _ = await self._receiver.receive(request, principal)
        self._uploads.keep(upload)
        answer = {
            "success": True,
            "uploadId": upload.upload_id,
            "filename": upload.filename,
            "size": upload.size,
            "sha256": upload.sha256,
        }
        return JSONResponse(answer, status_code=201)

    async def import_status(self, request: Request) -> Response:
        principal = await self._principal(request)
        status = await self._imports.status(request.path_params["import_id"], principal)
        return JSONResponse({"success": True, "status": status})

    async def cancel_import(self, request: Request) -> Response:
        principal = await self._principal(request)
        answer = await self._imports.cancel(request.path_params["import_id"], principal)
        return JSONResponse(answer, status_code=202)

    async def _principal(self, request: Request) -> Principal:
        return await self._identity.from_request(request.method, request.headers)


def _service_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    headers = {"www-authenticate": "Bearer"} if error.code is ErrorCode.UNAUTHORIZED else None
    return JSONResponse(error.body(), status_code=HTTP_STATUS[error.code], headers=headers)


def _http_exception(_: Request, error: Exception) -> Response:
    """Starlette's own refusals, in the words of ours."""
    assert isinstance(error, HTTPException)
    codes = {404: ErrorCode.NOT_FOUND, 405: ErrorCode.METHOD_NOT_ALLOWED}
    code = codes.get(error.status_code, ErrorCode.VALIDATION_ERROR)
    body: dict[str, Any] = ServiceError(code, error.detail).body()
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


def _broken(request: Request, error: Exception) -> Response:
    """An error of ours: the log has it, the client learns that it happened."""
    logger.error("request broke: %s %s", request.method, request.url.path, exc_info=error)
    body = ServiceError(ErrorCode.HANDLER_ERROR, "The server could not answer").body()
    return JSONResponse(body, status_code=500)
