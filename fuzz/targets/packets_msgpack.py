"""Socket.IO packets as MessagePack."""

from __future__ import annotations

from fuzz.packets import check_packet, is_sendable, send_again
from fuzz.seeds import cases, to_bytes
from fuzz.target import Target
from socketio_core.codec.msgpack_codec import MsgpackParser
from socketio_core.errors import PacketError

PARSER = MsgpackParser()


def run(data: bytes) -> None:
    """Decode a message; send the packet twice: both receivers get the same."""
    try:
        packet = PARSER.decoder().receive_binary(data)
    except PacketError:
        return
    if packet is None or not is_sendable(packet):
        return
    check_packet(packet)
    try:
        first = send_again(PARSER, packet)
    except (ValueError, TypeError):
        return  # keys that are not strings, and deep nesting, cannot be sent
    # The first round may change values without a form in JavaScript: nanoseconds, NaN, keys.
    assert send_again(PARSER, first) == first


TARGET = Target(
    "Socket.IO packets, MessagePack",
    lambda: [to_bytes(case["wire"][0]) for case in cases("socketio-msgpack")],
    run,
    (
        b"\xa4type\x02", b"\xa4data\x91\xa1x", b"\xa3nsp\xa1/", b"\xa2id\x01", b"\xd4\x00\x00",
        b"\xd7\x00" + bytes(8), b"\xc7\x01\x00\x01", b"\xc7\x08\x00" + bytes(8),
        b"\xd6\xff" + bytes(4),
        b"\xc7\x0c\xff" + bytes(12), b"\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x91" * 20,
        b"\xcb\x7f\xf8" + bytes(6), b"\xdf\x00\x00\x00\x01", b"\xdd\xff\xff\xff\xff", b"\x80",
    ),
)  # fmt: skip
