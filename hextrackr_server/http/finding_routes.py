"""Routes of findings.

GET /api/findings/export    all open findings as CSV; ?format=json, ?state=resolved or all, and the
                            filters of get-vulnerability-stats
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from hextrackr_server.findings.export import ExportRequest, FindingExporter
from hextrackr_server.security.identity import IdentityService

_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


def finding_routes(identity: IdentityService, exporter: FindingExporter) -> list[Route]:
    """Return the routes over their services."""

    async def export(request: Request) -> Response:
        principal = await identity.from_request(request.method, request.headers)
        wanted = ExportRequest(request.query_params)
        chunks = exporter.export(wanted, principal.user_id)
        # The first page is read before the response begins, so that its errors are answered.
        first = await anext(chunks)
        return StreamingResponse(
            _chain(first, chunks),
            media_type=_TYPES[wanted.format],
            headers={"content-disposition": f'attachment; filename="findings.{wanted.format}"'},
        )

    async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        yield first
        async for chunk in rest:
            yield chunk

    return [Route("/api/findings/export", export, methods=["GET"])]
