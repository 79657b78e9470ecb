"""The parts that the scopes of HTTP requests and WebSockets of a mounted application share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import unquote

from engineio_core.http.exchange import Exchange

Message: TypeAlias = MutableMapping[str, Any]
AsgiApp: TypeAlias = Callable[
    [Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]
]


def make_scope(exchange: Exchange, state: dict[str, Any]) -> dict[str, Any]:
    """Return the entries that do not depend on the type; `state` is that of the lifespan."""
    request = exchange.request
    return {
        "http_version": "1.0" if exchange.is_http10 else "1.1",
        "path": unquote(request.path),
        "raw_path": request.path.encode("latin-1"),
        "query_string": request.query_string.encode("latin-1"),
        "root_path": "",
        "headers": exchange.raw_headers
        or [
            (name.encode("ascii"), value.encode("latin-1"))
            for name, value in request.headers.items()
        ],
        "client": (request.remote_address, request.remote_port),
        "server": None,
        "state": state.copy(),
    }
