"""Socket.IO packets as JSON text, with attachments.

The byte U+001E, which no packet contains, separates the messages of one connection in an input; a
message that starts with "b" is an attachment.
"""

from __future__ import annotations

import re

from engineio_core.codec.packet import MESSAGE_PREFIX
from fuzz.packets import check_packet, is_sendable, send_again
from fuzz.seeds import cases, to_bytes
from fuzz.target import JSON_BORDERS, Target
from socketio_core.codec.json_codec import JsonParser
from socketio_core.codec.packet import Packet
from socketio_core.errors import PacketError

PARSER = JsonParser(max_attachments=10, max_attachment_bytes=200)
# An attachment with several placeholders is sent once for each.
SENDER = JsonParser(max_attachments=10)


def run(data: bytes) -> None:
    """Decode the messages of a connection; send each packet, and decode it again."""
    decoder = PARSER.decoder()
    for message in data.split(b"\x1e"):
        try:
            if message[:1] == b"b":
                packet = decoder.receive_binary(message[1:])
            else:
                packet = decoder.receive_text(MESSAGE_PREFIX + message)
        except (PacketError, UnicodeDecodeError):
            decoder.close()
            return
        if packet is not None:
            check_packet(packet)
            if is_sendable(packet):
                try:
                    again = send_again(SENDER, packet)
                except ValueError as error:
                    # Received data may be nested deeper than sent data, and name an attachment
                    # several times.
                    assert re.search("nested deeper|more than 10 attach", str(error)), error  # noqa: PT017
                else:
                    assert again == Packet(*packet)


def seeds() -> list[bytes]:
    """Return the wires of the vectors as inputs."""
    found = []
    for name in ("socketio-packet", "socketio-binary"):
        for case in cases(name):
            parts = [
                b"b" + to_bytes(each) if isinstance(each, dict) else to_bytes(each)
                for each in case["wire"]
            ]
            found.append(b"\x1e".join(parts))
    return found


TARGET = Target(
    "Socket.IO packets, JSON, with attachments",
    seeds,
    run,
    (
        b"\x1e", b"\x1eb", b"51-", b"62-/a,1", b'["x"]', b'{"_placeholder":true,"num":0}',
        b'"_placeholder"', b"/admin,", b"?", b"\\ud800", b"\\u0000", b"1e400", b"-0", b"null",
        b"NaN", b"[[[[", b"18446744073709551616", b"2[\"connect\"]", b"\xd9\xa3", b"2",
    ),
    borders=JSON_BORDERS,
)  # fmt: skip
