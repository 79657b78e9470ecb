"""The opening handshake of a WebSocket, on a request that HTTP has already parsed.

Knows: what `websockets` accepts, the head of a 101.
Does not know: sessions, frames; TCP is written by whoever asks.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from hashlib import sha1
from typing import TYPE_CHECKING, Final, NamedTuple

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request
from websockets.server import ServerProtocol

from engineio_core.http.message import encode_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from websockets.extensions import Extension
    from websockets.typing import Subprotocol

    from engineio_core.http.message import HttpRequest
    from engineio_core.options import PerMessageDeflate


VERSION: Final = "13"


class Accepted(NamedTuple):
    """An accepted handshake: its header lines, and the extensions that were negotiated."""

    headers: list[tuple[str, str]]
    extensions: Sequence[Extension]


class WebSocketHandshakeError(Exception):
    """The handshake breaks RFC 6455; `text` and `headers` say how."""

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
    protocol = ServerProtocol(
        extensions=factories, select_subprotocol=_first_offered, max_size=max_size
    )
    headers = Headers()
    try:
        for name, value in request.headers.items():
            if name in _JUDGED or name.startswith("sec-websocket-"):
                headers[name] = value
    except InvalidHeader as error:
        raise WebSocketHandshakeError(str(error), []) from None
    response = protocol.accept(Request(request.target, headers))
    if response.status_code != 101:
        text = bytes(response.body or b"").decode(errors="replace").strip()
        # 4.4: a server that does not speak the client's version tells which ones it speaks.
        spoken = request.headers.get("sec-websocket-version") == VERSION
        raise WebSocketHandshakeError(text, [] if spoken else [("Sec-WebSocket-Version", VERSION)])
    lines = [(name, value) for name, value in response.headers.raw_items() if name not in _OMITTED]
    return Accepted(lines, protocol.extensions)


def _accept_usual(request: HttpRequest) -> Accepted | None:
    """Accept what nearly all clients send; None for what the library is to judge."""
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
    # 4.2.2: the SHA-1 of the key and this GUID, base64-encoded.
    digest = sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    accept = b2a_base64(digest, newline=False).decode()
    lines = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
    return Accepted(lines, ())


_USUAL_CONNECTIONS: Final = ("upgrade", "keep-alive, upgrade")
_KEY: Final = re.compile(r"[+/0-9A-Za-z]{21}[AQgw]==")  # 16 bytes in base64
_JUDGED = {"connection", "upgrade"}
# What Node's server does not send either.
_OMITTED = {"Date", "Server"}


def _first_offered(
    protocol: ServerProtocol, subprotocols: Sequence[Subprotocol]
) -> Subprotocol | None:
    return subprotocols[0] if subprotocols else None


def encode_switch(accepted: Accepted, extra: Iterable[tuple[str, str]]) -> bytes:
    """Return the head of the 101 response. Raises ValueError for a header that can't be sent."""
    lines = [f"{name}: {value}\r\n" for name, value in accepted.headers]
    lines += [encode_header(name, value) for name, value in extra]
    return ("HTTP/1.1 101 Switching Protocols\r\n" + "".join(lines) + "\r\n").encode("latin-1")
