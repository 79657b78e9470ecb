"""The bundles of the official client, served below the path of the server.

Archives of this project contain the bundles; an npm package in the folder of the application, or
the folder in SOCKETIO_CLIENT_DIST, replaces them. The responses support ETag and compression.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from engineio_core.http.compression import (
    Encoding,
    compress,
    file_encodings,
    negotiate_encoding,
)
from engineio_core.http.cors import CorsPolicy
from engineio_core.http.message import HttpResponse

if TYPE_CHECKING:
    from engineio_core.http.exchange import Exchange
    from engineio_core.options import Cors

logger = logging.getLogger("socketio_core")

NAMES: Final = frozenset(
    f"socket.io{kind}.js{ending}"
    for kind in ("", ".min", ".msgpack.min", ".esm.min")
    for ending in ("", ".map")
)
ENVIRONMENT: Final = "SOCKETIO_CLIENT_DIST"
#: The bundles that scripts/client_bundles.py copies before an archive is built
PACKAGED: Final = Path(__file__).parent / "client_dist"
MISSING: Final = (
    b"The bundle of the client is not installed: run npm install socket.io-client in the folder of "
    b"the server, or set SOCKETIO_CLIENT_DIST to its folder dist.\n"
)


class _File(NamedTuple):
    bodies: dict[str | None, bytes]
    """By encoding; created at the first request."""
    etag: str

    def encoded(self, encoding: Encoding | None) -> bytes:
        """Return the file in an encoding."""
        if encoding is not None and encoding not in self.bodies:
            self.bodies[encoding] = compress(self.bodies[None], encoding, 6)
        return self.bodies[encoding]


def find_bundles() -> Path | None:
    """Return the folder of the bundles, or None.

    It is the folder in SOCKETIO_CLIENT_DIST, that of an npm package in `node_modules` of this or a
    parent folder, or the one in this package.
    """
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named)
    for folder in (Path.cwd(), *Path.cwd().parents):
        for package in ("socket.io-client/dist", "socket.io/client-dist"):
            candidate = folder / "node_modules" / package
            if (candidate / "socket.io.js").is_file():
                return candidate
    return PACKAGED if PACKAGED.is_dir() else None


class ClientFiles:
    """Serves the bundles; each is read at its first request."""

    def __init__(self, path: str, cors: Cors | None) -> None:
        self._prefix = path.rstrip("/") + "/"
        self._cors = CorsPolicy(cors) if cors is not None else None
        self._folder: Path | None = None
        self._was_sought = False
        self._files: dict[str, _File] = {}

    def serve(self, exchange: Exchange) -> bool:
        """Answer a request for a bundle; return False for another request."""
        request = exchange.request
        name = request.path[len(self._prefix) :] if request.path.startswith(self._prefix) else ""
        if name not in NAMES or request.method not in {"GET", "HEAD"}:
            return False
        file = self._find(name)
        if file is None:
            exchange.respond(HttpResponse(404, MISSING, [("Content-Type", "text/plain")]))
            return True
        if self._cors is not None:
            self._cors.decorate(request)
        kind = "application/json" if name.endswith(".map") else "application/javascript"
        headers = [
            ("Cache-Control", "public, max-age=0"),
            ("ETag", file.etag),
            ("Vary", "Accept-Encoding"),
        ]
        if request.headers.get("if-none-match", "").removeprefix("W/") == file.etag:
            exchange.respond(HttpResponse(304, b"", headers))
            return True
        headers.append(("Content-Type", f"{kind}; charset=utf-8"))
        accepted = request.headers.get("accept-encoding", "")
        encoding = negotiate_encoding(accepted, file_encodings())
        if encoding is not None:
            headers.append(("Content-Encoding", encoding))
        exchange.respond(HttpResponse(200, file.encoded(encoding), headers))
        return True

    def _find(self, name: str) -> _File | None:
        if name in self._files:
            return self._files[name]
        if not self._was_sought:
            self._was_sought = True
            self._folder = find_bundles()
            if self._folder is None:
                logger.info(
                    "the bundles of the client are not installed: run npm install socket.io-client"
                )
        if self._folder is None or not (self._folder / name).is_file():
            return None
        file = _File({None: (self._folder / name).read_bytes()}, f'"{_version_of(self._folder)}"')
        self._files[name] = file
        return file


def _version_of(folder: Path) -> str:
    """Return the version of the npm package that the folder belongs to."""
    for place in (folder, folder.parent):
        try:
            return str(json.loads((place / "package.json").read_text())["version"])
        except (OSError, ValueError, KeyError):
            continue
    return "unknown"
