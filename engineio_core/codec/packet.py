"""The packet types of Engine.IO and the decoding of binary packets in a polling payload."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from types import FunctionType
from typing import Final

from engineio_core.errors import CloseReason, ProtocolError

OPEN: Final = "0"
CLOSE: Final = "1"
PING: Final = "2"
PONG: Final = "3"
MESSAGE: Final = "4"
UPGRADE: Final = "5"
NOOP: Final = "6"
BINARY: Final = "b"
"""The letter in front of a base64-encoded binary message, in a payload or in a text frame."""

TYPES: Final = frozenset("0123456")

MESSAGE_PREFIX: Final = MESSAGE.encode()
"""The type digit in front of every text message; Socket.IO's codecs write it as well."""


def malformed(description: str) -> ProtocolError:
    """Return the error for a packet that cannot be decoded."""
    return ProtocolError(description, reason=CloseReason.PARSE_ERROR)


IS_COMPILED: Final = type(malformed) is not FunctionType
"""Whether this module, and with it all others of modules.txt, is compiled."""


def decode_binary_record(record: str) -> bytes:
    """Decode the base64 data of a binary packet in a polling payload, without its letter "b".

    Like Node, accept missing padding and the URL-safe alphabet. Node skips all other characters,
    so that the data changes; they are an error here. Raises ProtocolError.
    """
    text = record.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (Base64Error, ValueError) as error:
        raise malformed(f"binary packet is not valid base64: {error}") from None
