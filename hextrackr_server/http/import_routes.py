"""Routes of imports.

POST /api/imports                import a file: a form's csvFile or file, or the body itself
POST /api/imports/upload         store a file until `start-import` names its uploadId
GET  /api/imports/{id}           return the status of an import
POST /api/imports/{id}/cancel    cancel an import
GET  /api/imports/undoable       return the last import of each source; admins only
POST /api/imports/{id}/undo      undo the last import of a source; admins only

{id} is the number of an import or its session ID, for example a UUID.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hextrackr_server.http.converters import IMPORT_ID
from hextrackr_server.http.uploads import UploadReceiver, import_options
from hextrackr_server.imports.service import ImportService
from hextrackr_server.imports.uploads import UploadStore
from hextrackr_server.security.identity import IdentityService
from hextrackr_server.security.principal import Principal


def import_routes(
    identity: IdentityService, imports: ImportService, uploads: UploadStore
) -> list[Route]:
    """Return the routes over their services."""
    api = _ImportApi(identity, imports, uploads)
    one = f"/api/imports/{{import_id:{IMPORT_ID}}}"
    return [
        Route("/api/imports", api.start, methods=["POST"]),
        Route("/api/imports/upload", api.upload, methods=["POST"]),
        Route("/api/imports/undoable", api.undoable, methods=["GET"]),
        Route(one, api.status, methods=["GET"]),
        Route(f"{one}/cancel", api.cancel, methods=["POST"]),
        Route(f"{one}/undo", api.undo, methods=["POST"]),
    ]


class _ImportApi:
    def __init__(
        self, identity: IdentityService, imports: ImportService, uploads: UploadStore
    ) -> None:
        self._identity = identity
        self._imports = imports
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
