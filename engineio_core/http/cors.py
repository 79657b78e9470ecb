"""Who may talk to this server from another origin, and the headers that say so.

Knows: the CORS protocol of the Fetch standard, the origin rule for WebSockets.
Does not know: routing; it is asked before anything else is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from engineio_core.http.grammar import is_field_value
from engineio_core.http.message import HttpRequest, HttpResponse
from engineio_core.options import Cors

if TYPE_CHECKING:
    from collections.abc import Iterable


def has_invalid_origin(request: HttpRequest) -> bool:
    """Whether the Origin header holds characters that no header may hold."""
    return not is_field_value(request.headers.get("origin", ""))


class CorsPolicy:
    """Answers, by the options, for one engine."""

    def __init__(self, cors: Cors) -> None:
        self._cors = cors
        origins = cors.origins
        self._accepts_all = origins == "*"
        self._exact: frozenset[str] = frozenset()
        self._patterns: tuple[re.Pattern[str], ...] = ()
        self._check = None
        if isinstance(origins, str):
            self._exact = frozenset((origins,))
        elif isinstance(origins, re.Pattern):
            self._patterns = (origins,)
        elif callable(origins):
            self._check = origins
        else:
            self._exact = frozenset(each for each in origins if isinstance(each, str))
            self._patterns = tuple(each for each in origins if isinstance(each, re.Pattern))
            self._accepts_all = "*" in self._exact

    def allows(self, origin: str) -> bool:
        """Whether a page of that origin may talk to this server."""
        if self._accepts_all or origin in self._exact:
            return True
        if any(pattern.fullmatch(origin) for pattern in self._patterns):
            return True
        return bool(self._check(origin)) if self._check is not None else False

    def forbids_websocket(self, request: HttpRequest) -> bool:
        """Whether a WebSocket handshake comes from a page that may not talk to this server.

        Browsers do not apply CORS to WebSockets: the server has to. Clients that are no browsers
        send no Origin, and a page may always talk to the host that it came from.
        """
        origin = request.headers.get("origin")
        if origin is None or self.allows(origin):
            return False
        return not is_same_host(origin, request.host)

    def decorate(self, request: HttpRequest) -> None:
        """Add to the request's `response_headers` what the browser wants to see."""
        headers = request.response_headers
        origin = request.headers.get("origin")
        if self._accepts_all:
            headers["Access-Control-Allow-Origin"] = "*"
        else:
            # A cache must not give the answer for one origin to another.
            headers["Vary"] = "Origin"
            if origin is not None and not has_invalid_origin(request) and self.allows(origin):
                headers["Access-Control-Allow-Origin"] = origin
        if self._cors.credentials:
            headers["Access-Control-Allow-Credentials"] = "true"
        if self._cors.exposed_headers:
            headers["Access-Control-Expose-Headers"] = _join(self._cors.exposed_headers)

    def preflight(self, request: HttpRequest) -> HttpResponse:
        """Answer an OPTIONS request; `decorate` has been called."""
        headers = [("Access-Control-Allow-Methods", _join(self._cors.methods))]
        asked = request.headers.get("access-control-request-headers")
        if self._cors.allowed_headers is not None:
            headers.append(("Access-Control-Allow-Headers", _join(self._cors.allowed_headers)))
        elif asked is not None:
            vary = request.response_headers.get("Vary")
            names = "Access-Control-Request-Headers"
            request.response_headers["Vary"] = f"{vary}, {names}" if vary else names
            headers.append(("Access-Control-Allow-Headers", asked))
        if self._cors.max_age is not None:
            headers.append(("Access-Control-Max-Age", str(self._cors.max_age)))
        return HttpResponse(self._cors.options_success_status, b"", headers)


def is_same_host(origin: str, host: str) -> bool:
    """Whether an origin names that host; ports may differ, for proxies often drop them."""
    try:
        origin_host = urlsplit(origin).hostname
        own_host = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return origin_host is not None and origin_host == own_host


def _join(names: Iterable[str]) -> str:
    return ",".join(names)
