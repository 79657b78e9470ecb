"""Routes of the ingest API, `/ingest/v1/*`, with the scope that each requires.

POST   emit                            an event, as Express would emit it      (by event)
POST   progress/{sessionId}            progress of a session                   progress
POST   imports                         start of an import                      progress
PATCH  imports/{id}                    progress of an import                   progress
POST   imports/{id}/complete, fail, cancel   end of an import                  progress
POST   notifications                   notification to all users               broadcast
POST   users/{userId}/notifications    notification to one user                notify
POST   announcements, maintenance      events of administrators                admin
POST   sessions/revoke                 end of a session or of a user's logins  admin
POST   vulnerabilities/changes         changes of vulnerabilities              broadcast
POST   kev/sync                        progress of a KEV synchronization       broadcast
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from json.scanner import py_make_scanner  # type: ignore[attr-defined]
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hextrackr_server.errors import ErrorCode, ServiceError, invalid
from hextrackr_server.http.frontend_routes import small_body
from hextrackr_server.http.ingest.service import Report
from hextrackr_server.security.idempotency import IdempotencyKeys
from hextrackr_server.security.producer_tokens import IngestAuthority, require
from hextrackr_server.telemetry import log_setup

logger = logging.getLogger(__name__)

PREFIX = "/ingest/v1/"
MAXIMUM_BYTES = 1_000_000
#: Maximum size of a report that may end a session: a summary of 250,000 CVEs. HexTrackr's own
#: server has no limit, and a lost completion leaves its page at 95 %.
MAXIMUM_FINAL_BYTES = 32_000_000
#: Maximum number of signed bodies that are read at the same time, before authentication, and of
#: those above MAXIMUM_BYTES.
MAXIMUM_UNPROVEN, MAXIMUM_LARGE_UNPROVEN = 32, 2
#: A larger body is parsed in a thread; 16 KiB of nested lists take 14 ms.
MAXIMUM_BYTES_ON_LOOP = 16 * 1024
MAXIMUM_DEPTH = 64


class Path(NamedTuple):
    """A path with its method, its report, and its scope (None: the report checks it).

    `may_end`: a report can end a session, so its body may have MAXIMUM_FINAL_BYTES.
    """

    method: str
    path: str
    scope: str | None
    report: Report
    may_end: bool = False


def ingest_routes(
    authority: IngestAuthority, keys: IdempotencyKeys, paths: list[Path]
) -> list[Route]:
    """Return the routes, which answer 401 if no producer is configured."""
    unproven = asyncio.Semaphore(MAXIMUM_UNPROVEN)
    large_unproven = asyncio.Semaphore(MAXIMUM_LARGE_UNPROVEN)

    async def read(request: Request, path: Path) -> bytes:
        most = MAXIMUM_FINAL_BYTES if path.may_end else MAXIMUM_BYTES
        if authority.from_head(request.headers) is not None:
            return await small_body(request, most)
        length = request.headers.get("content-length", "")
        is_small = length.isdigit() and int(length) <= MAXIMUM_BYTES
        semaphore = unproven if is_small else large_unproven
        if semaphore.locked():
            raise ServiceError(ErrorCode.RATE_LIMITED, "Too many signed reports at once")
        async with semaphore:
            return await small_body(request, MAXIMUM_BYTES if is_small else most)

    return [
        Route(PREFIX + each.path, _endpoint(authority, keys, each, read), methods=[each.method])
        for each in paths
    ]


def _endpoint(
    authority: IngestAuthority,
    keys: IdempotencyKeys,
    path: Path,
    read: Callable[[Request, Path], Awaitable[bytes]],
) -> Any:
    async def answer(request: Request) -> Response:
        content = await read(request, path)
        producer = authority.verify(request.headers, content)
        if path.scope is not None:
            require(producer, path.scope)
        if len(content) > MAXIMUM_BYTES_ON_LOOP:
            body = await asyncio.to_thread(_parse, content, _InterruptibleDecoder)
        else:
            body = _parse(content)
        params: Mapping[str, Any] = request.path_params

        def do() -> dict[str, Any]:
            return {"success": True} | path.report(producer, params, body)

        key = request.headers.get("idempotency-key")
        digest_input = f"{path.method} {request.url.path}\n".encode() + content
        result = keys.once(producer.name, key, digest_input, do)
        logger.debug("ingest", extra=log_setup.fields(producer=producer.name, path=path.path))
        return JSONResponse(result, status_code=202)

    return answer


class _InterruptibleDecoder(json.JSONDecoder):
    """A decoder in Python, during which other threads run.

    The decoder in C holds the interpreter for the whole body, which takes 0.3 s for 32 MB.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.scan_once = py_make_scanner(self)


def _parse(content: bytes, decoder: type[json.JSONDecoder] = json.JSONDecoder) -> dict[str, Any]:
    """Parse a body as a JSON object that can be sent to clients later."""
    try:
        body = json.loads(
            content,
            cls=decoder,
            parse_int=_parse_int,
            parse_float=_parse_float,
            parse_constant=_parse_float,
        )
    except (ValueError, RecursionError) as error:
        problem = ("", "must be a JSON object with finite numbers of at most 64 bits")
        raise invalid("The body is not valid JSON", [problem]) from error
    if not isinstance(body, dict):
        raise invalid("The body is not a JSON object", [("", "must be a JSON object")])
    if not _is_shallow(body, MAXIMUM_DEPTH):
        raise invalid(
            "The body is nested too deeply", [("", f"must have at most {MAXIMUM_DEPTH} levels")]
        )
    return body


def _parse_int(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise ValueError("too large")
    return number


def _parse_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _is_shallow(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return True
    return levels > 0 and all(_is_shallow(each, levels - 1) for each in value)
