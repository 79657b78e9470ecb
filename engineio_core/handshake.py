"""The Engine.IO handshake: checks of the query, the open packet and the session cookie.

The checks are separate functions, because admission runs them in the order of Node's server. HTTP
and the creation of sessions belong to `admission` and `engine`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

import orjson

from engineio_core.errors import (
    BAD_HANDSHAKE_METHOD,
    BAD_REQUEST,
    UNKNOWN_TRANSPORT,
    UNSUPPORTED_PROTOCOL_VERSION,
    HandshakeRefusedError,
)
from engineio_core.http.message import JSON, HttpResponse

if TYPE_CHECKING:
    from engineio_core.options import Cookie, EngineOptions

PROTOCOL: Final = "4"
# The transports that can replace polling, in the order of Node's server
UPGRADES: Final = ("websocket", "webtransport")


def check_transport(query: dict[str, str], options: EngineOptions) -> str:
    """Return the requested transport. Raises HandshakeRefusedError (code 0).

    Like on Node, a request of HTTP/1.1 must not name WebTransport.
    """
    transport = query.get("transport", "")
    if transport not in options.transports or transport == "webtransport":
        raise HandshakeRefusedError(UNKNOWN_TRANSPORT, {"transport": transport})
    return transport


def check_webtransport(query: dict[str, str], options: EngineOptions) -> str:
    """Return "webtransport", which the query may omit. Raises HandshakeRefusedError (code 0)."""
    transport = query.get("transport", "webtransport")
    if transport != "webtransport" or transport not in options.transports:
        raise HandshakeRefusedError(UNKNOWN_TRANSPORT, {"transport": transport})
    return transport


def check_new_session(method: str, transport: str, is_upgrade: bool) -> None:
    """Check a request for a new session. Raises HandshakeRefusedError (codes 2 and 3)."""
    if method != "GET":
        raise HandshakeRefusedError(BAD_HANDSHAKE_METHOD, {"method": method})
    if (transport == "websocket") != is_upgrade:
        raise HandshakeRefusedError(BAD_REQUEST, {"name": "TRANSPORT_HANDSHAKE_ERROR"})


def is_current(query: dict[str, str]) -> bool:
    """Return whether a client requests revision 4; like Node, take any other value for 3."""
    return query.get("EIO") == PROTOCOL


def check_protocol(query: dict[str, str], options: EngineOptions) -> None:
    """Check the protocol revision. Raises HandshakeRefusedError (code 5)."""
    if query.get("EIO") != PROTOCOL and not options.allow_eio3:
        raise HandshakeRefusedError(UNSUPPORTED_PROTOCOL_VERSION, {"protocol": 3})


def encode_open(sid: str, transport: str, options: EngineOptions) -> bytes:
    """Return the open packet; its durations are in milliseconds (Engine.IO v4, Handshake)."""
    can_upgrade = transport == "polling" and options.allow_upgrades
    handshake: dict[str, Any] = {
        "sid": sid,
        "upgrades": [each for each in UPGRADES if can_upgrade and each in options.transports],
        "pingInterval": round(options.ping_interval * 1000),
        "pingTimeout": round(options.ping_timeout * 1000),
        "maxPayload": options.max_http_buffer_size,
    }
    return b"0" + orjson.dumps(handshake)


_EMPTY_SID: Final = b'0{"sid":""'


@final
class OpenPackets:
    """The open packets of one engine; in those of a transport, only the sid differs."""

    __slots__ = ("_options", "_tails")

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._tails: dict[str, bytes] = {}

    def encode(self, sid: str, transport: str) -> bytes:
        """Return the open packet of a session."""
        tail = self._tails.get(transport)
        if tail is None:
            tail = encode_open("", transport, self._options).removeprefix(_EMPTY_SID)
            self._tails[transport] = tail
        return b'0{"sid":' + orjson.dumps(sid) + tail


def encode_refusal(refused: HandshakeRefusedError) -> HttpResponse:
    """Return the response to a refused request that is not a WebSocket handshake."""
    body = orjson.dumps({"code": refused.refusal.code, "message": str(refused)})
    return HttpResponse(refused.status, body, [JSON])


def encode_cookie(cookie: Cookie, sid: str) -> str:
    """Return the value of a Set-Cookie header, with the attributes in Node's order."""
    parts = [f"{cookie.name}={sid}"]
    if cookie.max_age is not None:
        parts.append(f"Max-Age={cookie.max_age}")
    if cookie.domain is not None:
        parts.append(f"Domain={cookie.domain}")
    if cookie.path is not None:
        parts.append(f"Path={cookie.path}")
    if cookie.http_only:
        parts.append("HttpOnly")
    if cookie.secure:
        parts.append("Secure")
    if cookie.same_site is not None:
        parts.append(f"SameSite={cookie.same_site.capitalize()}")
    return "; ".join(parts)
