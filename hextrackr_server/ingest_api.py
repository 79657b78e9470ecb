"""Where producers report: `/ingest/v1/*`.

Knows: Starlette, the paths and the scope that each needs.  Does not know: what a report does.

    POST   emit                            an event, as Express would emit it      (by event)
    POST   progress/{sessionId}            how far a session is                    progress
    POST   imports                         an import begins                        progress
    PATCH  imports/{id}                    how far it is                           progress
    POST   imports/{id}/complete, fail, cancel   how it ended                      progress
    POST   notifications                   to everybody                            broadcast
    POST   users/{userId}/notifications    to one user                             notify
    POST   announcements, maintenance      what administrators may announce        admin
    POST   sessions/revoke                 cut what a session or a user has open   admin
    POST   vulnerabilities/changes         what has changed                        broadcast
    POST   kev/sync                        how a synchronisation goes              broadcast
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hextrackr_server import log_setup
from hextrackr_server.errors import invalid
from hextrackr_server.http_front_end import small_body
from hextrackr_server.idempotency import IdempotencyKeys
from hextrackr_server.ingest_auth import IngestAuthority, require
from hextrackr_server.ingest_service import Report

logger = logging.getLogger(__name__)

PREFIX = "/ingest/v1/"
MAXIMUM_BYTES = 1_000_000


class Path(NamedTuple):
    """One path: how it is asked, the scope that it needs (None: the report looks), what it does."""

    method: str
    path: str
    scope: str | None
    report: Report


def ingest_routes(
    authority: IngestAuthority, keys: IdempotencyKeys, paths: list[Path]
) -> list[Route]:
    """The routes; without a producer configured every one of them answers 401."""
    return [
        Route(PREFIX + each.path, _endpoint(authority, keys, each), methods=[each.method])
        for each in paths
    ]


def _endpoint(authority: IngestAuthority, keys: IdempotencyKeys, path: Path) -> Any:
    async def answer(request: Request) -> Response:
        content = await small_body(request, MAXIMUM_BYTES)
        producer = authority.verify(request.headers, content)
        if path.scope is not None:
            require(producer, path.scope)
        body = _parse(content)
        params: Mapping[str, Any] = request.path_params

        def do() -> dict[str, Any]:
            return {"success": True} | path.report(producer, params, body)

        key = request.headers.get("idempotency-key")
        asked = f"{path.method} {request.url.path}\n".encode() + content
        result = keys.once(producer.name, key, asked, do)
        logger.debug("ingest", extra=log_setup.fields(producer=producer.name, path=path.path))
        return JSONResponse(result, status_code=202)

    return answer


def _parse(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise invalid("The body is no JSON", [("", "must be a JSON object")]) from error
    if not isinstance(body, dict):
        raise invalid("The body is no JSON object", [("", "must be a JSON object")])
    return body


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
