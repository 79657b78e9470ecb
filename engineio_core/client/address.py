"""The address of a server: parses its URL, and builds the targets of requests."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

_SECURE: Final = {"http": False, "ws": False, "https": True, "wss": True}


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a URL that a client needs."""

    host: str
    port: int
    is_secure: bool
    path: str
    """The path of the URL, without the trailing slash."""

    query: tuple[tuple[str, str], ...]
    authorization: str | None
    """The value of the Authorization header for user and password in the URL."""

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.is_secure else 80
        return host if self.port == default else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """The URL without path and query."""
        return f"{'https' if self.is_secure else 'http'}://{self.authority}"


def parse_url(url: str) -> Address:
    """Return the address of a URL with the scheme http, https, ws or wss. Raises ValueError."""
    rule = 'the URL must be like "http://127.0.0.1:3000"'
    if not isinstance(url, str):
        raise TypeError(f"{rule}, got {url!r}")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode() if parts.hostname else ""
    except ValueError as error:
        raise ValueError(f"{rule}, got {url!r}: {error}") from None
    is_secure = _SECURE.get(parts.scheme)
    if is_secure is None or not host:
        raise ValueError(f"{rule}, got {url!r}")
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    return Address(
        host=host,
        port=port if port is not None else 443 if is_secure else 80,
        is_secure=is_secure,
        path=parts.path.rstrip("/"),
        query=tuple(parse_qsl(parts.query, keep_blank_values=True)),
        authorization=authorization,
    )


def make_target(path: str, query: Mapping[str, str]) -> str:
    """Return the target of a request."""
    return f"{path}?{urlencode(query)}"
