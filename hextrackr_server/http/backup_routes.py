"""Routes of backups.

POST /api/backup/restore    for admins: replace the data by the backup in the body; ?replace=true
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hextrackr_server.backup.service import RestoreService
from hextrackr_server.security.identity import IdentityService


def backup_routes(identity: IdentityService, restores: RestoreService) -> list[Route]:
    """Return the routes over their services."""

    async def restore(request: Request) -> Response:
        principal = await identity.from_request(request.method, request.headers)
        replace = request.query_params.get("replace", "").lower() in {"1", "true", "yes"}
        work = restores.restore(request.stream(), principal, replace=replace)
        # A client that leaves does not interrupt a restore that has the complete backup.
        return JSONResponse(await asyncio.shield(asyncio.ensure_future(work)))

    return [Route("/api/backup/restore", restore, methods=["POST"])]
