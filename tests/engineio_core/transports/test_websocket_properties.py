"""Random frame streams in random segments: the transport must match the `websockets` library.

The library receives the stream byte by byte, so that it rejects a frame before it receives the
following bytes.
"""

from __future__ import annotations

import random

import pytest

from tests.helpers.websocket_streams import LIMIT, run_library, run_transport, split_bytes
from tests.helpers.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, client_frame

STREAMS = 4000
BATCHES = 20
LENGTHS = (0, 0, 1, 2, 3, 20, 124, 125, 126, 127, 200, LIMIT, LIMIT + 1)


def make_stream(chance: random.Random) -> bytes:
    """Return random client frames, most of them valid."""
    wire = b""
    in_message = False
    for _ in range(chance.randint(1, 9)):
        kind = chance.choices((TEXT, BINARY, PING, PONG, CLOSE), (50, 20, 12, 5, 2))[0]
        length = chance.choice(LENGTHS)
        if kind == CLOSE:
            payload = chance.choice(
                (b"", b"\x03\xe8", b"\x03\xe8bye", b"\x03", b"\x03\xed", b"\xff\xff")
            )
            wire += client_frame(CLOSE, payload)
        elif kind in {PING, PONG}:
            wire += client_frame(kind, chance.randbytes(min(length, 125)))
        else:
            fin = chance.random() < (0.4 if in_message else 0.8)
            text = chance.choice(("a", "\u20ac", "\U0001f980")) * length
            payload = text.encode()[:length] if kind == TEXT else chance.randbytes(length)
            opcode = CONT if in_message and chance.random() < 0.95 else kind
            rsv = chance.choice((1, 2, 4)) if chance.random() < 0.01 else 0
            wire += client_frame(opcode, payload, fin=fin, rsv=rsv, masked=chance.random() > 0.01)
            in_message = not fin
    return wire


def corrupt(chance: random.Random, wire: bytes) -> bytes:
    """Flip, delete or insert bytes; append bytes that complete any frame."""
    corrupted = bytearray(wire)
    for _ in range(chance.randint(1, 4)):
        position = chance.randrange(len(corrupted))
        match chance.randrange(6):
            case 0:
                del corrupted[position]
            case 1:
                corrupted.insert(position, chance.randrange(256))
            case _:
                corrupted[position] ^= 1 << chance.randrange(8)
        if not corrupted:
            break
    return bytes(corrupted) + bytes(LIMIT + 20)


def split(chance: random.Random, wire: bytes) -> list[bytes]:
    longest = chance.choice((1, 3, 20, 200, 10_000))
    pieces = []
    while wire:
        size = chance.randint(1, longest)
        pieces.append(wire[:size])
        wire = wire[size:]
    return pieces


@pytest.mark.parametrize("batch", range(BATCHES))
def test_transport_delivers_the_same_messages_and_close_code_as_the_library(batch: int) -> None:
    for number in range(batch, STREAMS, BATCHES):
        chance = random.Random(number)
        wire = make_stream(chance)
        if chance.random() < 0.5:
            wire = corrupt(chance, wire)
        expected = run_library(split_bytes(wire))
        pieces = split(chance, wire)
        assert run_transport(pieces) == expected, f"stream {number}: {wire.hex()}"


def test_random_streams_cover_all_outcomes() -> None:
    outcomes = [
        run_library(split_bytes(make_stream(random.Random(number)))) for number in range(300)
    ]
    assert {outcome.close_code for outcome in outcomes} >= {None, 1000, 1002, 1007, 1009}
    assert sum(len(outcome.messages) for outcome in outcomes) > 200
    assert sum(len(outcome.pongs) for outcome in outcomes) > 50
