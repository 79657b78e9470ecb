"""One Engine.IO packet: its type and, for a message, its data.

Knows: the type digits and what may stand behind them.  Does not know: payloads, frames, sessions.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from typing import Final

from engineio_core.errors import CloseReason, ProtocolError

OPEN: Final = "0"
CLOSE: Final = "1"
PING: Final = "2"
PONG: Final = "3"
MESSAGE: Final = "4"
UPGRADE: Final = "5"
NOOP: Final = "6"

TYPES: Final = frozenset("0123456")

MESSAGE_PREFIX: Final = MESSAGE.encode()
"""The type digit in front of every text message; Socket.IO's codecs write it as well."""


def malformed(description: str) -> ProtocolError:
    """Return the error of a packet that can't be decoded."""
    return ProtocolError(description, reason=CloseReason.PARSE_ERROR)


def decode_binary_record(record: str) -> bytes:
    """Decode the data behind the "b" of a binary packet in a polling payload.

    As lenient as Node's: padding may be missing, the URL-safe alphabet is taken.
    """
    text = record.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return b64decode(text + "=" * (-len(text) % 4))
    except (Base64Error, ValueError) as error:
        raise malformed(f"a binary packet is not base64: {error}") from None
