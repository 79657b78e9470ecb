"""Routes of the dashboard.

GET /                 the page
GET /assets/{name}    its scripts and styles
GET /api/session      the signed-in user

The page requires no login: it contains no data, and reads all data with the login of its user.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.http.dashboard_files import (
    HOW_TO_BUILD,
    INDEX,
    SECURITY_HEADERS,
    DashboardFiles,
)
from hextrackr_server.security.identity import IdentityService

_NOT_STORED: Final = {"cache-control": "no-store"}


def dashboard_routes(identity: IdentityService, files: DashboardFiles) -> list[BaseRoute]:
    """Return the routes of the page; without a build, the page describes how to build it."""

    async def page(request: Request) -> Response:  # noqa: RUF029 - Starlette runs others in a thread
        if not files:
            headers = {**SECURITY_HEADERS, **_NOT_STORED}
            return PlainTextResponse(HOW_TO_BUILD + "\n", status_code=404, headers=headers)
        return _file(INDEX, request)

    async def asset(request: Request) -> Response:  # noqa: RUF029 - see above
        return _file(request.path_params["name"], request)

    def _file(name: str, request: Request) -> Response:
        answer = files.answer(name, request.headers)
        if answer is None:
            raise ServiceError(ErrorCode.NOT_FOUND, "Not Found")
        return Response(answer.body, status_code=answer.status, headers=answer.headers)

    async def session(request: Request) -> Response:
        principal = await identity.from_request(request.method, request.headers)
        body = {
            "success": True,
            "userId": principal.user_id,
            "username": principal.username,
            "role": principal.role,
            "isAdmin": principal.is_admin,
        }
        return JSONResponse(body, headers=_NOT_STORED)

    return [
        Route("/", page, methods=["GET"]),
        Route("/assets/{name}", asset, methods=["GET"]),
        Route("/api/session", session, methods=["GET"]),
    ]
