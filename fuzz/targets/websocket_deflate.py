"""Messages with permessage-deflate: the transport against zlib by the rules of RFC 7692.

The first byte of an input selects the form: its bits are named below. The rest consists of
messages, which the byte U+001E separates, except in compressed data (RAW), which is one message.
"""

from __future__ import annotations

import zlib

from websockets.extensions.permessage_deflate import PerMessageDeflate

from fuzz.escapes import Escapes
from fuzz.pieces import divide
from fuzz.target import Target
from fuzz.turns import counted_turns
from tests.helpers.websocket_streams import LIMIT, run_transport
from tests.helpers.wire import BINARY, CONT, TEXT, client_frame

#: The input is compressed data, not a text to compress.
RAW = 1
#: Each message has its own window.
NO_TAKEOVER = 2
#: Messages have several fragments.
FRAGMENTED = 4
#: Every second message is not compressed.
MIXED = 8
IS_TEXT = 16
#: RFC 7692, section 7.2.2: the receiver appends the bytes that the sender leaves out.
TAIL = b"\x00\x00\xff\xff"
COMPRESSED = 4  # the bit RSV1
ESCAPES = Escapes("engineio_core")


class FinalBlockError(Exception):
    """A final block in fuzzed data."""


class Inflater:
    """The receiver of RFC 7692, section 7.2.2."""

    def __init__(self, *, keeps_window: bool) -> None:
        self._keeps_window = keeps_window
        self._decoder = zlib.decompressobj(wbits=-15)

    def read(self, fragments: list[bytes]) -> bytes | None:
        """Return the message, None if it is too large. Raises zlib.error or FinalBlockError.

        A compressed fragment may not be larger than the rest of the limit, in which websockets
        differs from the package ws of Node: ws compares the size of all compressed fragments.
        """
        if not self._keeps_window:
            self._decoder = zlib.decompressobj(wbits=-15)
        message = b""
        for number, fragment in enumerate(fragments, 1):
            if len(fragment) > LIMIT - len(message):
                return None
            tail = TAIL if number == len(fragments) else b""
            message += self._decoder.decompress(fragment + tail, LIMIT + 1 - len(message))
            if self._decoder.eof:
                raise FinalBlockError  # tests of the slow path cover them
            if len(message) > LIMIT:
                return None
        return message


def run(data: bytes) -> None:
    """Compare the messages of the transport with those of zlib, in one piece and divided."""
    form = data[0] if data else 0
    payloads = [data[1:]] * 2 if form & RAW else data[1:].split(b"\x1e")
    if not form & RAW:
        payloads = compress(payloads, form)
    try:
        expected, is_valid = inflate(payloads, form)
    except FinalBlockError:
        return
    wire = b"".join(encode(payload, number, form) for number, payload in enumerate(payloads))
    with ESCAPES, counted_turns():
        for pieces in ([wire], divide(wire)):
            found = run_transport(pieces, [PerMessageDeflate(
                form & NO_TAKEOVER != 0, form & NO_TAKEOVER != 0, 15, 15
            )])  # fmt: skip
            assert found.messages == expected
            assert (found.close_code is None) == is_valid


def is_plain(number: int, form: int) -> bool:
    """Return whether a message is sent without compression."""
    return form & MIXED != 0 and number % 2 == 1


def compress(messages: list[bytes], form: int) -> list[bytes]:
    """Return the payloads of messages as a client sends them."""
    payloads = []
    encoder = zlib.compressobj(wbits=-15)
    for number, message in enumerate(messages):
        if is_plain(number, form):
            payloads.append(message)
            continue
        if form & NO_TAKEOVER:
            encoder = zlib.compressobj(wbits=-15)
        data = encoder.compress(message) + encoder.flush(zlib.Z_SYNC_FLUSH)
        payloads.append(data.removesuffix(TAIL))
    return payloads


def inflate(payloads: list[bytes], form: int) -> tuple[list[str | bytes], bool]:
    """Return the messages before the first error, and True if there is no error."""
    inflater = Inflater(keeps_window=not form & NO_TAKEOVER)
    messages: list[str | bytes] = []
    for number, payload in enumerate(payloads):
        try:
            plain = is_plain(number, form)
            message = payload if plain else inflater.read(divide_message(payload, form))
            if message is None or len(message) > LIMIT:
                return messages, False
            messages.append(message.decode() if form & IS_TEXT else message)
        except (zlib.error, UnicodeDecodeError):
            return messages, False
    return messages, True


def divide_message(payload: bytes, form: int) -> list[bytes]:
    """Return the fragments of a message: one, or three of which one may be empty."""
    if not form & FRAGMENTED:
        return [payload]
    first, second = len(payload) // 3, len(payload) // 2
    return [payload[:first], payload[first:second], payload[second:]]


def encode(payload: bytes, number: int, form: int) -> bytes:
    """Return the frames of a message."""
    opcode = TEXT if form & IS_TEXT else BINARY
    rsv = 0 if is_plain(number, form) else COMPRESSED
    first, *others = divide_message(payload, form)
    wire = client_frame(opcode, first, fin=not others, rsv=rsv)
    for left, fragment in enumerate(others, 1 - len(others)):
        wire += client_frame(CONT, fragment, fin=left == 0)
    return wire


def seeds() -> list[bytes]:
    """Return messages in all forms."""
    texts = b'2["a"]\x1e42["news","abcabcabcabcabc"]\x1e42["news","abcabcabcabcabc"]'
    raw = [compress([message], 0)[0] for message in (b"", b"hello", b"ab" * 150, b"a" * 3000)]
    plain = zlib.compressobj(0, wbits=-15)
    stored = plain.compress(b"stored") + plain.flush(zlib.Z_SYNC_FLUSH)
    forms = [number << 1 for number in range(16)]
    return [
        *(bytes((form,)) + texts for form in forms),
        *(bytes((form | RAW,)) + data for form in (0, 2, 4, 16) for data in [*raw, stored[:-4]]),
        bytes((FRAGMENTED,)) + b"a" * 299 + b"\x1e" + b"a" * 301,
        bytes((FRAGMENTED,)) + b"a" * 299 + b"\x1e" + b"a" * 296 + b"ored",
    ]


TARGET = Target(
    "WebSocket messages with permessage-deflate: the transport against zlib; divided",
    seeds,
    run,
    (b"\x1e", TAIL, b"\x00", b"\x02\x00", b"\x01", b"\xff", b"a" * 100, b"\xe2\x82"),
    longest=700,
)
