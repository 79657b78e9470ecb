"""Routes of the known exploited vulnerabilities (KEV).

POST /api/kev/sync      for admins: from the source, or a catalog in the body; ?force=true
GET  /api/kev/status    number of entries, last and next synchronization
GET  /api/kev/stats     the four numbers of dashboards
GET  /api/kev/{cve}     one entry of the catalog
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.http.frontend_routes import small_body
from hextrackr_server.kev.fetcher import MAXIMUM_BYTES
from hextrackr_server.kev.service import KevService
from hextrackr_server.security.identity import IdentityService
from hextrackr_server.security.principal import Principal


def kev_routes(identity: IdentityService, kev: KevService) -> list[Route]:
    """Return the routes over their services."""

    async def principal_of(request: Request) -> Principal:
        return await identity.from_request(request.method, request.headers)

    async def sync(request: Request) -> Response:
        if not (await principal_of(request)).is_admin:
            raise ServiceError(ErrorCode.FORBIDDEN, "Only administrators may synchronize")
        body = await small_body(request, MAXIMUM_BYTES)
        force = request.query_params.get("force", "").lower() in {"1", "true", "yes"}
        return JSONResponse(await kev.sync(force=force, body=body or None))

    async def status(request: Request) -> Response:
        await principal_of(request)
        return JSONResponse({"success": True, **await kev.status()})

    async def stats(request: Request) -> Response:
        await principal_of(request)
        return JSONResponse({"success": True, **await kev.statistics()})

    async def entry(request: Request) -> Response:
        await principal_of(request)
        found = await kev.entry(request.path_params["cve"])
        return JSONResponse({"success": True, "data": found})

    return [
        Route("/api/kev/sync", sync, methods=["POST"]),
        Route("/api/kev/status", status, methods=["GET"]),
        Route("/api/kev/stats", stats, methods=["GET"]),
        Route("/api/kev/{cve}", entry, methods=["GET"]),
    ]
