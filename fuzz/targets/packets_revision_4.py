"""Packets of socket.io-client 1 and 2, with both codecs.

The first byte of an input selects the codec: "b" a MessagePack message, "m" a text message of the
MessagePack parser, all others a text of the JSON parser.
"""

from __future__ import annotations

from engineio_core.codec.packet import MESSAGE_PREFIX
from fuzz.packets import check_packet
from fuzz.seeds import cases, to_bytes
from fuzz.target import Target
from fuzz.targets.packets_json import seeds as json_seeds
from socketio_core.codec.json_codec import JsonParser
from socketio_core.codec.msgpack_codec import MsgpackParser
from socketio_core.codec.revision_4 import old_decoder
from socketio_core.errors import PacketError

JSON = JsonParser()
MSGPACK = MsgpackParser()


def run(data: bytes) -> None:
    """Decode a message with the selected codec."""
    kind = data[:1]
    try:
        if kind == b"b":
            packet = old_decoder(MSGPACK).receive_binary(data[1:])
        elif kind == b"m":
            packet = old_decoder(MSGPACK).receive_text(MESSAGE_PREFIX + data[1:])
        else:
            packet = old_decoder(JSON).receive_text(MESSAGE_PREFIX + data)
    except (PacketError, UnicodeDecodeError):
        return
    if packet is not None:
        check_packet(packet)


TARGET = Target(
    "Socket.IO packets of revision 4, JSON and MessagePack",
    lambda: [
        *(each.partition(b"\x1e")[0] for each in json_seeds()),
        *(b"b" + to_bytes(case["wire"][0]) for case in cases("socketio-msgpack")),
        b"0/chat?token=a%20b&x=1,", b"2/chat?x,1[\"a\"]", b"0/a#b,", b"51-/a?b,[\"x\"]",
        b'm{"type":0,"nsp":"/a?b=c"}', b'm{"type":1,"nsp":"/"}',
        b'm{"type":5,"nsp":"/","data":["x"]}',
    ],
    run,
    (b"?", b"#", b"&", b"=", b"%2C", b"%", b"/a?b=c,", b"b", b"m{", b'"nsp":"/"', b'"type":0'),
)  # fmt: skip
