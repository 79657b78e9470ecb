"""What the server answers over HTTP, beside the sockets.

Knows: Starlette, the paths, how a file arrives in a request, the JSON of a refusal.
Does not know: how an import is done.

    POST /api/imports           a file: multipart field csvFile or file, or the body itself; starts
    POST /api/imports/upload    the same, stored until `start-import` names its uploadId
    GET  /api/imports/{id}      where an import is
    GET  /health                whether the server lives; the one path without a token
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from hextrackr_server import __version__
from hextrackr_server.errors import HTTP_STATUS, ErrorCode, ServiceError, invalid
from hextrackr_server.identity_service import IdentityService
from hextrackr_server.import_service import ImportOptions, ImportService
from hextrackr_server.principal import Principal
from hextrackr_server.upload_store import Upload, UploadStore, too_large

logger = logging.getLogger(__name__)

FILE_FIELDS = ("csvFile", "file")
_ENVELOPE_BYTES = 64 * 1024
_PART_BYTES = 4096
_READ_BYTES = 256 * 1024

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
            Route("/api/imports/{import_id:int}", api.import_status, methods=["GET"]),
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

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "version": __version__})

    async def start_import(self, request: Request) -> Response:
        principal = await self._principal(request)
        upload, fields = await self._receive(request, principal)
        answer = await self._imports.submit(upload, principal, _options(fields))
        location = f"/api/imports/{answer['importId']}"
        return JSONResponse(answer, status_code=202, headers={"location": location})

    async def upload(self, request: Request) -> Response:
        principal = await self._principal(request)
        upload, _ = await self._receive(request, principal)
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

    async def _principal(self, request: Request) -> Principal:
        return await self._identity.from_request(request.method, request.headers)

    async def _receive(
        self, request: Request, principal: Principal
    ) -> tuple[Upload, Mapping[str, str]]:
        """Store the file of a request; with it the fields that came beside it."""
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > self._uploads.maximum + _ENVELOPE_BYTES:
            raise too_large(self._uploads.maximum)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            return await self._receive_form(request, principal)
        filename = request.query_params.get("filename", "upload.csv")
        try:
            upload = await self._uploads.receive(request.stream(), filename, principal)
        except ClientDisconnect as error:
            raise invalid("The upload ended before its end") from error
        return upload, request.query_params

    async def _receive_form(
        self, request: Request, principal: Principal
    ) -> tuple[Upload, Mapping[str, str]]:
        parser = _FormParser(request, self._uploads.maximum + _ENVELOPE_BYTES)
        try:
            form = await parser.parse()
        except _TooLarge as error:
            raise too_large(self._uploads.maximum) from error
        except MultiPartException as error:
            raise invalid(f"The form cannot be read: {error.message}") from error
        try:
            file = next((form[name] for name in FILE_FIELDS if name in form), None)
            if not isinstance(file, UploadFile):
                message = "must be a file; its field is called " + " or ".join(FILE_FIELDS)
                raise invalid("There is no file in the form", [(FILE_FIELDS[0], message)])
            upload = await self._uploads.receive(_read(file), file.filename or "", principal)
        finally:
            await form.close()
        return upload, {name: value for name, value in form.items() if isinstance(value, str)}


class _TooLarge(MultiPartException):
    """Raised through the form's parser, which closes its files for this class only."""


class _FormParser(MultiPartParser):
    """Starlette's parser, for one file, with a cap, that notices a form without an end."""

    def __init__(self, request: Request, maximum: int) -> None:
        super().__init__(
            request.headers,
            self._capped(request, maximum),
            max_files=1,
            max_fields=10,
            max_part_size=_PART_BYTES,
        )
        self._ended = False

    def on_end(self) -> None:
        self._ended = True

    async def _capped(self, request: Request, maximum: int) -> AsyncGenerator[bytes, None]:
        size = 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                if size > maximum:
                    raise _TooLarge("too large")
                yield chunk
        except ClientDisconnect as error:
            raise MultiPartException("it ended before its end") from error
        if not self._ended:
            raise MultiPartException("it has no end")


async def _read(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(_READ_BYTES):
        yield chunk


def _options(fields: Mapping[str, str]) -> ImportOptions:
    return ImportOptions(
        vendor=fields.get("vendor") or None,
        scan_date=fields.get("scanDate") or None,
        session_id=fields.get("sessionId") or None,
    )


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
