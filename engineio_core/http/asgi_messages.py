"""The content of the WebSocket messages of a mounted application: checks and conversions.

`asgi_websocket` checks their order.
"""

from __future__ import annotations

from typing import Any, Final

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.http.asgi_scope import Message
from engineio_core.http.message import encode_header
from engineio_core.transports.websocket import NO_STATUS

MESSAGE_COST: Final = 256  # bytes that each queued message counts in addition to its payload
MAX_REASON: Final = 123  # bytes; RFC 6455, section 5.5: a control frame has at most 125

# The handshake and the library own these headers of the response.
_RESERVED: Final = {"connection", "upgrade", "content-length", "transfer-encoding"}

# RFC 6455, section 7.4.1, and the IANA registry "WebSocket Close Code Number"; without 1004, 1005,
# 1006 and 1015, which no close frame contains.
_STANDARD_CODES: Final = frozenset((1000, 1001, 1002, 1003, *range(1007, 1015)))


def check_close(code: int, reason: str) -> None:
    """Check code and reason of a close; code 1005 without a reason is an empty close frame.

    Raises ValueError.
    """
    is_empty = code == NO_STATUS and not reason
    is_valid = type(code) is int and (code in _STANDARD_CODES or 3000 <= code <= 4999)
    if not (is_empty or is_valid):
        raise ValueError(
            "the close code must be defined by RFC 6455 or registered, or lie between 3000 "
            f"and 4999, got {code!r}"
        )
    if len(reason.encode()) > MAX_REASON:
        raise ValueError(f"the reason of a close must have at most {MAX_REASON} bytes")


def count_bytes(message: Message) -> int:
    """Return the number of bytes that a received message counts in the queue."""
    text = message.get("text")
    return MESSAGE_COST + len(message["bytes"] if text is None else text)


def encode_message(message: Message) -> EncodedPacket:
    """Return the packet of a `websocket.send` message. Raises TypeError for other content."""
    data, text = message.get("bytes"), message.get("text")
    if isinstance(text, str) and data is None:
        return EncodedPacket(text.encode())
    if isinstance(data, bytes | bytearray | memoryview) and text is None:
        return EncodedPacket(bytes(data), is_binary=True)
    raise TypeError(
        "a 'websocket.send' message must have either 'text' (a string) or 'bytes', "
        f"got {type(text).__name__} and {type(data).__name__}"
    )


def added_headers(headers: Any) -> list[tuple[str, str]]:
    """Return the headers of an accept message as text. Raises ValueError for an invalid one."""
    lines = [
        (bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in headers
    ]
    for name, value in lines:
        encode_header(name, value)
        if name.lower() in _RESERVED or name.lower().startswith("sec-websocket-"):
            remedy = ": use 'subprotocol'" if name.lower() == "sec-websocket-protocol" else ""
            raise ValueError(f"the server sets the header {name!r} of a handshake{remedy}")
    return lines
