"""The ASGI application that serves the playground: one page, its style sheet and its modules.

The page loads the official client from the server (`socketio_core.client_files`) and has no build
step. Its Content-Security-Policy allows neither inline scripts nor other hosts.
"""

from __future__ import annotations

import hashlib
import html
import re
from pathlib import Path
from typing import Any, Final, NamedTuple, final

from engineio_core.http.asgi_scope import AsgiApp

ASSETS: Final = Path(__file__).parent / "assets"
PAGE: Final = "index.html"
_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
NAMES: Final = frozenset(
    {
        PAGE, "client.js", "fields.js", "log.js", "main.js", "packets.js", "playground.css",
        "saved.js",
    }
)  # fmt: skip
# The placeholder in the page for the path of the server.
_SERVER_PATH: Final = "{{server_path}}"
# A segment is never empty: a path with two slashes at its start would name another host.
_PATH: Final = re.compile(r"(?:/[\w.~-]+)+")

HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        b"require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cache-control", b"no-cache"),
)


def playground(
    other_app: AsgiApp | None = None,
    *,
    path: str = "/playground",
    server_path: str = "/socket.io",
) -> AsgiApp:
    """Return an ASGI application with a page to try out a server by hand.

        io.mount(playground())

    The page connects to a namespace, emits events with acknowledgements, and shows all packets. Its
    address is `path`; `other_app` serves all other paths, and without it they get 404.
    `server_path` is the option `path` of the server. The page gives no access that another client
    does not have, but do not serve it in production.

    Raises ValueError for an invalid path, TypeError if `other_app` is not an ASGI application.
    """
    if other_app is not None and not callable(other_app):
        raise TypeError(f"other_app must be an ASGI application, got {other_app!r}")
    texts: tuple[tuple[str, Any], ...] = (("path", path), ("server_path", server_path))
    for name, value in texts:
        if not isinstance(value, str) or not _PATH.fullmatch(value.removesuffix("/")):
            raise ValueError(
                f"{name} must be a path such as '/playground', of letters, digits and -._~, "
                f"got {value!r}"
            )
    return _Playground(other_app, path.removesuffix("/"), server_path.removesuffix("/"))


class _File(NamedTuple):
    body: bytes
    kind: str
    etag: str


@final
class _Playground:
    """The application; it reads each file at its first request."""

    def __init__(self, other_app: AsgiApp | None, path: str, server_path: str) -> None:
        self._other_app = other_app
        self._path = path
        self._server_path = server_path
        self._files: dict[str, _File] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request, refuse a WebSocket, or call the other application."""
        name = self._find_name(scope) if scope["type"] == "http" else None
        if name is None and self._other_app is not None:
            await self._other_app(scope, receive, send)
        elif scope["type"] == "http":
            status, headers, body = self._respond(scope, name)
            headers = [*headers, (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            # The response to HEAD has the length, but not the body.
            body = b"" if scope["method"] == "HEAD" else body
            await send({"type": "http.response.body", "body": body})
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # the host refuses the handshake with 403
        else:
            # ASGI: an application without a lifespan raises, and the server continues.
            raise NotImplementedError(f"the playground does not serve {scope['type']!r}")

    def _find_name(self, scope: Any) -> str | None:
        """Return the requested name below the path of the page; None for another path.

        The path of ASGI contains `root_path`, which a framework sets when it mounts the playground
        and a host when it serves below a prefix.
        """
        path, root = scope["path"], scope.get("root_path", "").rstrip("/")
        if root and path.startswith(root):
            path = path[len(root) :]
            if root.endswith(self._path) and not path.startswith(self._path):
                path = self._path + path
        if path == self._path:
            return ""
        prefix = f"{self._path}/"
        return path[len(prefix) :] or PAGE if path.startswith(prefix) else None

    def _respond(
        self, scope: Any, name: str | None
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Return status, headers and body."""
        plain = [*HEADERS, (b"content-type", b"text/plain; charset=utf-8")]
        if name is None or name not in {"", *NAMES}:
            return 404, plain, f"not found: the playground is at {self._path}/\n".encode()
        if scope["method"] not in {"GET", "HEAD"}:
            return 405, [*plain, (b"allow", b"GET, HEAD")], b"use GET\n"
        if not name:
            # The page's links are relative. So is this one: a proxy may add a prefix.
            location = self._path.rpartition("/")[2].encode() + b"/"
            return 307, [*plain, (b"location", location)], b""
        file = self._load(name)
        headers = [*HEADERS, (b"etag", file.etag.encode())]
        if _header(scope, b"if-none-match").removeprefix("W/") == file.etag:
            return 304, headers, b""
        headers.append((b"content-type", f"{file.kind}; charset=utf-8".encode()))
        return 200, headers, file.body

    def _load(self, name: str) -> _File:
        if name not in self._files:
            body = (ASSETS / name).read_bytes()
            if name == PAGE:
                path = html.escape(self._server_path)
                body = body.replace(_SERVER_PATH.encode(), path.encode())
            etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            self._files[name] = _File(body, _TYPES[Path(name).suffix], etag)
        return self._files[name]


def _header(scope: Any, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
