"""Frames between gateways and the application, and between workers."""

from __future__ import annotations

from engineio_core.relay.frames import (
    AMOUNT,
    Closed,
    FrameSplitter,
    Hello,
    Kind,
    Leaving,
    LinkError,
    Opened,
    Refused,
    RelayedRequest,
    Verdict,
    decode,
    encode,
    encode_frame,
)
from fuzz.escapes import Escapes
from fuzz.pieces import divide
from fuzz.target import Target
from socketio_core.workers.frames import FrameLink
from tests.helpers.fake_clock import FakeClock
from tests.helpers.fake_tcp import FakeTcp

BODIES = (RelayedRequest, Opened, Refused, Verdict, Hello, Closed, Leaving)
ESCAPES = Escapes("socketio_core")


def read(pieces: list[bytes]) -> tuple[list[tuple[int, bytes]], bool]:
    """Return the frames of a link, and whether all are valid."""
    frames: list[tuple[int, bytes]] = []
    splitter = FrameSplitter(lambda kind, body: frames.append((kind, body)))
    for piece in pieces:
        try:
            splitter.feed(piece)
        except LinkError:
            return frames, False
    return frames, True


def read_messages(pieces: list[bytes]) -> list[bytes]:
    """Return the messages between workers."""
    messages: list[bytes] = []
    link = FrameLink(messages.append, lambda: None)
    tcp = FakeTcp(FakeClock())
    tcp.set_protocol(link)
    link.connection_made(tcp)
    for piece in pieces:
        tcp.feed(piece)
    return messages


def run(data: bytes) -> None:
    """Compare one piece with many, and decode each body as each kind."""
    found = read([data])
    assert read(divide(data)) == found
    for _, body in found[0][:3]:
        for kind in BODIES:
            try:
                value = decode(kind, body)
            except LinkError:
                continue
            assert decode(kind, encode(value)) == value
    with ESCAPES:
        assert read_messages(divide(data)) == read_messages([data])


REQUEST = RelayedRequest("GET", "/?EIO=4", {"host": "a"}, "192.0.2.1", 5, True, "a")
TARGET = Target(
    "frames of gateways and workers; divided and in one piece",
    lambda: (
        encode_frame(Kind.HELLO, encode(Hello(2, b"nonce", b"proof"))) + encode_frame(Kind.ALIVE),
        encode_frame(Kind.OPEN, encode(Opened("sid", "polling", 1, REQUEST))),
        encode_frame(Kind.REFUSED, encode(Refused(1, "no", REQUEST))),
        encode_frame(Kind.ADMITTED, encode(Verdict((200, b"x", [("a", "b")]), False, []))),
        encode_frame(Kind.CLOSED, encode(Closed("a", "b"))),
        encode_frame(Kind.LEAVING, encode(Leaving(None))),
        encode_frame(Kind.TAKEN, AMOUNT.pack(1, 2)) * 3,
        b"\x00\x00\x00\x00", b"\xff\xff\xff\xff",
    ),
    run,
    (b"\x00\x00\x00\x01", b"\x00\x00\x00\x05\x07", b"\x90", b"\x93", b"\x97", b"\xc0", b"\xa1a"),
)  # fmt: skip
