"""The floor on uvloop answers each frame of a chunk."""

from __future__ import annotations

import pytest

from benchmarks import wire
from benchmarks.servers.bare import REPLIES, compute_reply

ECHO = wire.frame(wire.event("echo", b"{}", 7))
ACK = b"\x81\x0743" + b"7[{}]"


@pytest.mark.parametrize(
    ("chunk", "reply"),
    [
        (ECHO, ACK),
        (ECHO * 2, ACK * 2),
        (wire.frame(wire.event("msg", b"{}")) + ECHO, ACK),
        (wire.PONG, b""),
        (wire.PONG + ECHO, ACK),
        (wire.CONNECT + wire.PONG, REPLIES[wire.CONNECT]),
        (wire.PONG + wire.CLOSE_FRAME, REPLIES[wire.CLOSE_FRAME]),
    ],
    ids=("event", "two events", "without ack", "pong", "pong and event", "connect", "close"),
)
def test_chunk_is_answered_frame_by_frame(chunk: bytes, reply: bytes) -> None:
    assert compute_reply(chunk) == reply
