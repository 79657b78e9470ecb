"""The opening handshake of a WebSocket (RFC 6455, section 4) on a parsed HTTP request.

Usual requests are answered here; `websockets` checks all others and negotiates extensions. The
caller writes the response.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Sequence
from hashlib import sha1
from typing import Final, final

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from engineio_core.http.message import HttpRequest, encode_added_headers
from engineio_core.options import PerMessageDeflate

VERSION: Final = "13"


@final
class Accepted:
    """An accepted handshake: its response headers and the negotiated extensions.

    `lines` are the encoded headers, if they are known.
    """

    __slots__ = ("extensions", "headers", "lines")

    def __init__(
        self,
        headers: list[tuple[str, str]],
        extensions: Sequence[Extension],
        lines: bytes = b"",
    ) -> None:
        self.headers = headers
        self.extensions = extensions
        self.lines = lines


class WebSocketHandshakeError(Exception):
    """A handshake that violates RFC 6455; `text` and `headers` belong to the response."""

    def __init__(self, text: str, headers: list[tuple[str, str]]) -> None:
        super().__init__(text)
        self.text = text
        self.headers = headers


def accept_handshake(
    request: HttpRequest, deflate: PerMessageDeflate | None, max_size: int
) -> Accepted:
    """Accept the handshake of `request`. Raises WebSocketHandshakeError."""
    if deflate is None and (accepted := _accept_usual(request)) is not None:
        return accepted
    factories = []
    if deflate is not None:
        factories.append(
            ServerPerMessageDeflateFactory(
                server_no_context_takeover=deflate.server_no_context_takeover,
                client_no_context_takeover=deflate.client_no_context_takeover,
            )
        )

    # A nested function: the library binds it, which a compiled function of a module cannot be.
    def first_offered(
        protocol: ServerProtocol, subprotocols: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        return subprotocols[0] if subprotocols else None

    protocol = ServerProtocol(
        extensions=factories, select_subprotocol=first_offered, max_size=max_size
    )
    headers = Headers()
    try:
        for name, value in request.headers.items():
            if name in _CHECKED or name.startswith("sec-websocket-"):
                headers[name] = value
    except InvalidHeader as error:
        raise WebSocketHandshakeError(str(error), []) from None
    response = protocol.accept(Request(request.target, headers))
    if response.status_code != 101:
        text = bytes(response.body or b"").decode(errors="replace").strip()
        # RFC 6455, section 4.4: a server that does not support the client's version sends the
        # supported versions.
        is_supported = request.headers.get("sec-websocket-version") == VERSION
        raise WebSocketHandshakeError(
            text, [] if is_supported else [("Sec-WebSocket-Version", VERSION)]
        )
    lines = [(name, value) for name, value in response.headers.raw_items() if name not in _OMITTED]
    return Accepted(lines, protocol.extensions)


def _accept_usual(request: HttpRequest) -> Accepted | None:
    """Accept a handshake with usual headers; return None if the library must check the request."""
    headers = request.headers
    key = headers.get("sec-websocket-key", "")
    if not (
        headers.get("upgrade", "").lower() == "websocket"
        and headers.get("connection", "").lower() in _USUAL_CONNECTIONS
        and headers.get("sec-websocket-version") == VERSION
        and "sec-websocket-protocol" not in headers
        and _KEY.fullmatch(key)
    ):
        return None
    # RFC 6455, section 4.2.2: the SHA-1 of the key and this GUID, base64-encoded.
    digest = sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    accept = b2a_base64(digest, newline=False)
    return Accepted(
        [*_USUAL_HEADERS, ("Sec-WebSocket-Accept", accept.decode())],
        (),
        _USUAL_LINES + accept + b"\r\n",
    )


_USUAL_CONNECTIONS: Final = ("upgrade", "keep-alive, upgrade")
_USUAL_HEADERS: Final = (("Upgrade", "websocket"), ("Connection", "Upgrade"))
_USUAL_LINES: Final = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
_KEY: Final = re.compile(r"[+/0-9A-Za-z]{21}[AQgw]==")  # 16 bytes in base64
_CHECKED = {"connection", "upgrade"}
# Headers that Node's server does not send.
_OMITTED = {"Date", "Server"}


def encode_switch(accepted: Accepted, extra: Sequence[tuple[str, str]]) -> bytes:
    """Return the head of the 101 response; `extra` are headers of hooks and middlewares."""
    lines = accepted.lines
    if not lines:
        lines = "".join([f"{name}: {value}\r\n" for name, value in accepted.headers]).encode(
            "latin-1"
        )
    if extra:
        lines += "".join(encode_added_headers(extra)).encode("latin-1")
    return b"HTTP/1.1 101 Switching Protocols\r\n" + lines + b"\r\n"
