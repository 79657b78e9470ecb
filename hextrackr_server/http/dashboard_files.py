"""The built files of the dashboard: their bytes, precompressed variants and response headers.

Vite writes `index.html` and hashed files in `assets`, each also compressed with gzip and brotli.
`dashboard_routes` serves them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from engineio_core.http.compression import negotiate_encoding

BUILD: Final = Path(__file__).resolve().parents[1] / "dashboard" / "build"
INDEX: Final = "index.html"


def build_step(folder: Path = BUILD.parent) -> str:
    """Return the remedy for a page that is not built.

    A clone has the sources of the page; a wheel contains at most their build.
    """
    return "run `make dashboard`" if (folder / "package.json").exists() else "install the hub again"


HOW_TO_BUILD: Final = (
    "The dashboard is not built. Install Node 20.19 or newer (https://nodejs.org), "
    f"{build_step()}, and restart the server."
)

#: Types of the files that Vite writes; other files are not served.
TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}

#: Content-Security-Policy Level 3. Scripts and styles come from files of this server only, and
#: Trusted Types keep text from becoming HTML.
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_ASSET_HEADERS: Final[Mapping[str, str]] = {
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
#: Headers of the page. The headers of assets are short: the heads of 12 small files would otherwise
#: take half a second at 20 kB/s.
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    **_ASSET_HEADERS,
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}


class Answer(NamedTuple):
    """Status, headers and body of a response."""

    status: int
    headers: dict[str, str]
    body: bytes


class _File(NamedTuple):
    """A file, and its compressed variants by content encoding."""

    headers: dict[str, str]
    body: bytes
    variants: dict[str, bytes]


class DashboardFiles:
    """All files of a build, in memory: less than one megabyte.

    A later build takes effect after a restart, so that a running server answers with files of one
    build only.
    """

    def __init__(self, build: Path = BUILD) -> None:
        self._files: dict[str, _File] = {}
        if not (build / INDEX).is_file():
            return
        for path in [build / INDEX, *sorted((build / "assets").glob("*"))]:
            if path.suffix in TYPES:
                self._files[path.name] = _read(path)

    def __bool__(self) -> bool:
        return INDEX in self._files

    def answer(self, name: str, headers: Mapping[str, str]) -> Answer | None:
        """Return the response for a file; None if there is no such file."""
        found = self._files.get(name)
        if found is None:
            return None
        # A list of tags (RFC 9110, section 13.1.2); a tag here contains no comma.
        known = headers.get("if-none-match", "").split(",")
        if found.headers["etag"] in {tag.strip() for tag in known}:
            return Answer(304, found.headers, b"")
        encoding = negotiate_encoding(headers.get("accept-encoding", ""), ("br", "gzip"))
        if encoding is None or encoding not in found.variants:
            return Answer(200, found.headers, found.body)
        return Answer(200, found.headers | {"content-encoding": encoding}, found.variants[encoding])


def is_built(build: Path = BUILD) -> bool:
    """Return whether there is a build of the dashboard."""
    return (build / INDEX).is_file()


def _read(path: Path) -> _File:
    """Return a file with its headers; only hashed names may be cached without a check."""
    body = path.read_bytes()
    variants = {}
    for encoding, suffix in (("br", ".br"), ("gzip", ".gz")):
        compressed = path.with_name(path.name + suffix)
        if compressed.is_file():
            variants[encoding] = compressed.read_bytes()
    is_page = path.name == INDEX
    caching = "no-cache" if is_page else "public, max-age=31536000, immutable"
    headers = {
        **(SECURITY_HEADERS if is_page else _ASSET_HEADERS),
        "cache-control": caching,
        "content-type": TYPES[path.suffix],
        # Weak, because the compressed variants share it (RFC 9110, section 8.8.1).
        "etag": f'W/"{hashlib.sha256(body).hexdigest()[:32]}"',
        "vary": "accept-encoding",
    }
    return _File(headers, body, variants)
