"""Routes of imports.

POST /api/imports                import a file: a form's csvFile or file, or the body itself
POST /api/imports/inspect        store a file likewise, and return how it is read
POST /api/imports/upload         store a file until `start-import` names its uploadId
POST /api/imports/upload/{upload_id}/inspect    return how a stored file is read
POST /api/imports/upload/{upload_id}/discard    delete a stored file
GET  /api/imports/{id}           return the status of an import
POST /api/imports/{id}/cancel    cancel an import
GET  /api/imports/undoable       return the last import of each source; admins only
POST /api/imports/{id}/undo      undo the last import of a source; admins only

{id} is the number of an import or its session ID, for example a UUID.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hextrackr_server.errors import invalid
from hextrackr_server.http.converters import IMPORT_ID
from hextrackr_server.http.frontend_routes import small_body
from hextrackr_server.http.uploads import UploadReceiver, import_options
from hextrackr_server.imports.inspector import ImportInspector
from hextrackr_server.imports.options import MAXIMUM_MAPPING, ImportOptions
from hextrackr_server.imports.service import ImportService
from hextrackr_server.imports.uploads import UploadStore
from hextrackr_server.security.identity import IdentityService
from hextrackr_server.security.principal import Principal

T = TypeVar("T")

# A character of a mapping takes up to six bytes in JSON.
_MAXIMUM_OPTIONS = 6 * MAXIMUM_MAPPING + 4096


class _InspectOptions(msgspec.Struct, rename="camel"):
    """The options of an inspection, as JSON."""

    vendor: str | None = None
    scan_date: str | None = None
    mapping: str | None = None
    allow_partial: bool = False


def import_routes(
    identity: IdentityService,
    imports: ImportService,
    uploads: UploadStore,
    inspector: ImportInspector,
) -> list[Route]:
    """Return the routes over their services."""
    api = _ImportApi(identity, imports, uploads, inspector)
    stored = "/api/imports/upload/{upload_id}"
    one = f"/api/imports/{{import_id:{IMPORT_ID}}}"
    return [
        Route("/api/imports", api.start, methods=["POST"]),
        Route("/api/imports/inspect", api.inspect, methods=["POST"]),
        Route("/api/imports/upload", api.upload, methods=["POST"]),
        Route(f"{stored}/inspect", api.inspect_stored, methods=["POST"]),
        Route(f"{stored}/discard", api.discard, methods=["POST"]),
        Route("/api/imports/undoable", api.undoable, methods=["GET"]),
        Route(one, api.status, methods=["GET"]),
        Route(f"{one}/cancel", api.cancel, methods=["POST"]),
        Route(f"{one}/undo", api.undo, methods=["POST"]),
    ]


class _ImportApi:
    def __init__(
        self,
        identity: IdentityService,
        imports: ImportService,
        uploads: UploadStore,
        inspector: ImportInspector,
    ) -> None:
        self._identity = identity
        self._imports = imports
        self._inspector = inspector
        self._uploads = uploads
        self._receiver = UploadReceiver(uploads)

    async def start(self, request: Request) -> Response:
        principal = await self._principal(request)
        upload, fields = await self._receiver.receive(request, principal)
        answer = await self._imports.submit(upload, principal, import_options(fields, upload))
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

    async def inspect(self, request: Request) -> Response:
        principal = await self._principal(request)
        upload, fields = await self._receiver.receive(request, principal)
        options = import_options(fields, upload)
        self._uploads.keep(upload, replaces=True)
        try:
            answer = await _while_connected(
                request, self._inspector.inspect(upload.upload_id, principal, options)
            )
        except BaseException:
            # The client does not learn the ID of the upload.
            self._uploads.discard(upload.upload_id, principal)
            raise
        return JSONResponse(answer)

    async def inspect_stored(self, request: Request) -> Response:
        principal = await self._principal(request)
        try:
            body = await small_body(request, _MAXIMUM_OPTIONS)
            fields = msgspec.json.decode(body or b"{}", type=_InspectOptions)
        except (msgspec.MsgspecError, RecursionError) as error:
            _, _, path = str(error).partition(" - at `$.")
            raise invalid("Invalid options", [(path.rstrip("`"), str(error))]) from error
        options = ImportOptions(
            vendor=fields.vendor,
            scan_date=fields.scan_date,
            allow_partial=fields.allow_partial,
            mapping=fields.mapping,
        )
        upload_id = request.path_params["upload_id"]
        inspecting = self._inspector.inspect(upload_id, principal, options)
        return JSONResponse(await _while_connected(request, inspecting))

    async def discard(self, request: Request) -> Response:
        principal = await self._principal(request)
        self._uploads.discard(request.path_params["upload_id"], principal)
        return JSONResponse({"success": True})

    async def status(self, request: Request) -> Response:
        principal = await self._principal(request)
        status = await self._imports.status(request.path_params["import_id"], principal)
        return JSONResponse({"success": True, "status": status})

    async def cancel(self, request: Request) -> Response:
        principal = await self._principal(request)
        answer = await self._imports.cancel(request.path_params["import_id"], principal)
        return JSONResponse(answer, status_code=202)

    async def undoable(self, request: Request) -> Response:
        principal = await self._principal(request)
        found = await self._imports.undoable(principal)
        return JSONResponse({"success": True, "imports": found})

    async def undo(self, request: Request) -> Response:
        principal = await self._principal(request)
        answer = await self._imports.undo(request.path_params["import_id"], principal)
        return JSONResponse(answer)

    async def _principal(self, request: Request) -> Principal:
        return await self._identity.from_request(request.method, request.headers)


async def _while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of work; if the client leaves, cancel it and raise ClientDisconnect.

    The body of the request must be read.
    """

    async def left() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working = asyncio.create_task(work, name="inspection")
    leaving = asyncio.create_task(left(), name="client of an inspection")
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)
