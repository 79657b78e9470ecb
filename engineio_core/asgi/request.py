"""Requests of an ASGI host: the scope as an `HttpRequest`, and the response as ASGI messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engineio_core.http.grammar import is_field_value, is_token
from engineio_core.http.message import HttpRequest, HttpResponse, join_headers, plain_address


def create_request(scope: dict[str, Any], path: str) -> HttpRequest:
    """Return the request of an `http` or `websocket` scope, whose path below the mount is `path`.

    The host has applied trusted proxies. Hosts report the port as an integer, or not at all
    (granian: as text in some versions). A client on a Unix socket has no address, or an empty one
    (granian).
    """
    query = (scope.get("query_string") or b"").decode("latin-1")
    target = path + (f"?{query}" if query else "")
    client = scope.get("client") or ("unix", 0)
    request = HttpRequest(
        scope.get("method", "GET"),
        target,
        join_headers(scope["headers"]),
        remote_address=plain_address(str(client[0] or "unix")),
        remote_port=int(client[1] or 0) if str(client[1] or 0).isdecimal() else 0,
        secure=scope.get("scheme") in {"https", "wss"},
    )
    request.is_upgrade = scope["type"] == "websocket"
    return request


def path_below_mount(scope: dict[str, Any]) -> str:
    """Return the path of a request relative to the place where the application is mounted.

    Starlette before 0.33, and other routers, remove the mount from `path`; newer versions keep it
    and set `root_path` (ASGI specification, HTTP connection scope). Behind a proxy that removes
    the `root_path` of the outermost application, `path` contains the mount only; Starlette reports
    the removed part as `app_root_path`. Litestar 2 appends a slash to the path of a mount, which
    `raw_path` does not have.
    """
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root:
        mount = root.removeprefix(scope.get("app_root_path", ""))
        for prefix in (root.rstrip("/"), mount.rstrip("/")):
            if prefix and path.startswith(prefix) and path[len(prefix) :][:1] in {"", "/"}:
                path = path[len(prefix) :]
                break
    if path.endswith("/") and not (scope.get("raw_path") or b"/").partition(b"?")[0].endswith(b"/"):
        path = path[:-1]
    return path or "/"


def encode_head(request: HttpRequest, response: HttpResponse) -> list[tuple[bytes, bytes]]:
    """Return the header lines of a response. Raises ValueError for an invalid header."""
    lines = [*_lines(response.headers), *_lines(request.response_headers.items())]
    if response.status not in {204, 304}:
        lines.append((b"content-length", str(len(response.body)).encode()))
    return lines


def _lines(headers: Iterable[tuple[str, Any]]) -> list[tuple[bytes, bytes]]:
    found = []
    for name, value in headers:
        for each in value if isinstance(value, list | tuple) else (value,):
            text = str(each)
            if not is_token(name) or not is_field_value(text):
                raise ValueError(f"invalid header {name!r}: {text!r:.100}")
            found.append((name.lower().encode("ascii"), text.encode("latin-1")))
    return found
