"""Routes that HexTrackr's front end uses around an import.

POST /api/vulnerabilities/import-staging    a form: csvFile, vendor, scanDate, sessionId
POST /api/vulnerabilities/import-cancel     {sessionId}
GET  /api/import/progress/{sessionId}       for clients without a working socket
"""

from __future__ import annotations

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hextrackr_server.errors import ErrorCode, ServiceError, invalid
from hextrackr_server.http.uploads import UploadReceiver, import_options
from hextrackr_server.imports.service import ImportService
from hextrackr_server.imports.uploads import UploadStore
from hextrackr_server.security.identity import IdentityService
from hextrackr_server.security.principal import Principal

MAXIMUM_BODY = 16 * 1024


class _Cancel(msgspec.Struct, rename="camel"):
    session_id: str


def front_end_routes(
    identity: IdentityService, imports: ImportService, uploads: UploadStore
) -> list[Route]:
    """Return the routes over their services."""
    api = _FrontEnd(identity, imports, uploads)
    return [
        Route("/api/vulnerabilities/import-staging", api.import_staging, methods=["POST"]),
        Route("/api/vulnerabilities/import-cancel", api.import_cancel, methods=["POST"]),
        Route("/api/import/progress/{session_id}", api.progress, methods=["GET"]),
    ]


class _FrontEnd:
    def __init__(
        self, identity: IdentityService, imports: ImportService, uploads: UploadStore
    ) -> None:
        self._identity = identity
        self._imports = imports
        self._receiver = UploadReceiver(uploads)

    async def import_staging(self, request: Request) -> Response:
        principal = await self._principal(request)
        upload, fields = await self._receiver.receive(request, principal)
        answer = await self._imports.submit(upload, principal, import_options(fields, upload))
        session = await self._imports.view.session(answer["sessionId"], principal)
        metadata = session["metadata"]
        return JSONResponse(
            {
                "success": True,
                "sessionId": answer["sessionId"],
                "importId": answer["importId"],
                "message": "CSV import started",
                "filename": metadata["filename"],
                "vendor": metadata["vendor"],
                "scanDate": metadata["scanDate"],
            }
        )

    async def import_cancel(self, request: Request) -> Response:
        principal = await self._principal(request)
        try:
            cancel = msgspec.json.decode(await small_body(request), type=_Cancel)
        except (msgspec.MsgspecError, RecursionError) as error:
            problem = ("sessionId", "must be the session ID of an import")
            raise invalid("Invalid cancel request", [problem]) from error
        number = await self._imports.view.number_of_session(cancel.session_id, principal)
        return JSONResponse(await self._imports.cancel(number, principal))

    async def progress(self, request: Request) -> Response:
        principal = await self._principal(request)
        try:
            session = await self._imports.view.session(request.path_params["session_id"], principal)
        except ServiceError as refusal:
            if refusal.code is not ErrorCode.NOT_FOUND:
                raise
            raise ServiceError(ErrorCode.NOT_FOUND, "Session not found") from refusal
        return JSONResponse({"success": True, **session})

    async def _principal(self, request: Request) -> Principal:
        return await self._identity.from_request(request.method, request.headers)


async def small_body(request: Request, maximum: int = MAXIMUM_BODY) -> bytes:
    """Return a small request body; ServiceError TOO_LARGE or VALIDATION_ERROR."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > maximum:
                raise ServiceError(
                    ErrorCode.TOO_LARGE, f"The body must have at most {maximum} bytes"
                )
    except ClientDisconnect as error:
        raise invalid("The body is incomplete") from error
    return bytes(body)
