"""WebSocket frames: the transport with its fast path against the `websockets` library."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.escapes import Escapes
from fuzz.pieces import divide
from fuzz.seeds import wires
from fuzz.target import Target
from fuzz.turns import counted_turns
from tests.helpers.websocket_streams import LIMIT, run_library, run_transport, split_frames
from tests.helpers.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, client_frame

ESCAPES = Escapes("engineio_core")


def run(data: bytes) -> None:
    """Compare messages, pongs and the close code, for frames that have ended."""
    wire = data + bytes(LIMIT + 20)  # ends each frame
    try:
        expected = run_library(refuse_long_controls(split_frames(wire)))
    except LongControlError:
        return
    with ESCAPES, counted_turns():
        assert run_transport([wire]) == expected
        assert run_transport(divide(wire)) == expected


class LongControlError(Exception):
    """A control frame with a length of 16 or 64 bits."""


def refuse_long_controls(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces. Raises LongControlError if one may begin a long control frame.

    RFC 6455, section 5.5, limits control frames to 125 bytes. The library (17.4) applies the limit
    to the value of the length, the transport to its first byte, like the package ws of Node.
    """
    for each in pieces:
        if len(each) == 2 and each[0] & 8 and each[1] & 0x7F > 125:
            raise LongControlError
        yield each


def seeds() -> list[bytes]:
    """Return client frames: those of the vectors, and streams with fragments and mixed frames."""
    frames = [bytes.fromhex(each.decode()) for each in wires("websocket-frame")]
    fragmented = (
        client_frame(TEXT, b"a", fin=False) + client_frame(PING, b"p")
        + client_frame(CONT, b"b", fin=False) + client_frame(CONT, b"c")
    )  # fmt: skip
    return [
        *(frame for frame in frames if len(frame) <= 2 * LIMIT), fragmented,
        client_frame(TEXT, b"4hello") * 3 + client_frame(BINARY, bytes(200)),
        client_frame(PONG, b"x") + client_frame(CLOSE, b"\x03\xe8bye"),
        client_frame(BINARY, bytes(LIMIT)) + client_frame(BINARY, bytes(LIMIT + 1)),
    ]  # fmt: skip


TARGET = Target(
    "WebSocket frames: the transport against `websockets`; divided and in one piece",
    seeds,
    run,
    (
        b"\x81\x80", b"\x82\xfe\x00\x7e", b"\x81\xff" + bytes(8), b"\x01\x81", b"\x00\x80",
        b"\x80\x81", b"\x89\x80", b"\x8a\x80", b"\x88\x80", b"\x88\x82", b"\x00\x00\x00\x00",
        b"\xc1", b"\xff",
    ),
    longest=600,
)  # fmt: skip
