"""CORS: the origins that may use this server, and the response headers that permit it.

Source: the CORS protocol of the Fetch standard. `admission` applies the policy before all other
checks.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from typing import Any, final
from urllib.parse import urlsplit

from engineio_core.callbacks import discard_awaitable, is_awaitable
from engineio_core.http.grammar import is_field_value
from engineio_core.http.message import HttpRequest, HttpResponse
from engineio_core.options import Cors

logger = logging.getLogger("engineio_core")


def has_invalid_origin(request: HttpRequest) -> bool:
    """Return whether the Origin header contains characters that are invalid in a header."""
    origin = request.headers.get("origin")
    return origin is not None and not is_field_value(origin)


@final
class CorsPolicy:
    """The CORS decisions and headers of one engine."""

    def __init__(self, cors: Cors) -> None:
        self._cors = cors
        origins = cors.origins
        self._accepts_all = origins == "*"
        self._exact: frozenset[str] = frozenset()
        self._patterns: tuple[re.Pattern[str], ...] = ()
        # Any result: a compiled build would raise TypeError where `_run_check` denies.
        self._check: Callable[[str], Any] | None = None
        self._has_logged = False
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
        """Return whether pages of an origin may use this server."""
        if self._accepts_all or origin in self._exact:
            return True
        if any(pattern.fullmatch(origin) for pattern in self._patterns):
            return True
        return self._check is not None and self._run_check(self._check, origin)

    def _run_check(self, check: Callable[[str], Any], origin: str) -> bool:
        """Return the result of the origin function; deny if it is neither True nor False."""
        result = check(origin)
        if isinstance(result, bool) or result is None:
            return result is True
        if is_awaitable(result):
            discard_awaitable(result)
        if not self._has_logged:
            self._has_logged = True
            logger.error(
                "the origin was denied, because the function of Cors(origins=...) must return "
                "True or False without await, got %.100r", result,
            )  # fmt: skip
        return False

    def forbids_websocket(self, request: HttpRequest) -> bool:
        """Return whether a WebSocket handshake comes from a page of an origin that is not allowed.

        Browsers do not apply CORS to WebSockets, so the server must. Non-browser clients send no
        Origin header; pages of the server's own host are always allowed.
        """
        origin = request.headers.get("origin")
        if origin is None or self.allows(origin):
            return False
        return not is_same_host(origin, request.host)

    def decorate(self, request: HttpRequest) -> None:
        """Add the CORS headers to the request's `response_headers`."""
        headers = request.response_headers
        origin = request.headers.get("origin")
        if self._accepts_all:
            headers["Access-Control-Allow-Origin"] = "*"
        else:
            # A cache must not reuse the response of one origin for another.
            headers["Vary"] = "Origin"
            if origin is not None and not has_invalid_origin(request) and self.allows(origin):
                headers["Access-Control-Allow-Origin"] = origin
        if self._cors.credentials:
            headers["Access-Control-Allow-Credentials"] = "true"
        if self._cors.exposed_headers:
            headers["Access-Control-Expose-Headers"] = _join(self._cors.exposed_headers)

    def preflight(self, request: HttpRequest) -> HttpResponse:
        """Return the response to a preflight request, after `decorate`."""
        headers = [("Access-Control-Allow-Methods", _join(self._cors.methods))]
        requested = request.headers.get("access-control-request-headers")
        if self._cors.allowed_headers is not None:
            headers.append(("Access-Control-Allow-Headers", _join(self._cors.allowed_headers)))
        elif requested is not None:
            vary = request.response_headers.get("Vary")
            names = "Access-Control-Request-Headers"
            request.response_headers["Vary"] = f"{vary}, {names}" if vary else names
            headers.append(("Access-Control-Allow-Headers", requested))
        if self._cors.max_age is not None:
            headers.append(("Access-Control-Max-Age", str(self._cors.max_age)))
        return HttpResponse(self._cors.options_success_status, b"", headers)


def is_same_host(origin: str, host: str) -> bool:
    """Return whether an origin has the host name of `host`.

    Ports are ignored, because many proxies drop them.
    """
    try:
        origin_host = urlsplit(origin).hostname
        own_host = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return origin_host is not None and origin_host == own_host


def _join(names: Iterable[str]) -> str:
    return ",".join(names)
