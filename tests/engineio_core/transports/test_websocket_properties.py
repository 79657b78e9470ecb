"""Random frame streams in random segments: the transport must match the `websockets` library.

The library receives the stream byte by byte, so that it rejects a frame before it receives the
following bytes.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest
from websockets.frames import Opcode
from websockets.protocol import Protocol, Side, State

from engineio_core import CloseReason, EngineOptions, ProtocolError
from engineio_core.clock import Iteration
from engineio_core.counts import EngineCounts
from engineio_core.heartbeat import Heartbeat
from engineio_core.session import SessionContext
from engineio_core.timers import TimerQueue
from engineio_core.transports.websocket import WebSocketTransport
from tests.helpers.fake_clock import FakeClock
from tests.helpers.fake_tcp import FakeTcp
from tests.helpers.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, client_frame, parse_frames

STREAMS = 4000
BATCHES = 20
LIMIT = 300
LENGTHS = (0, 0, 1, 2, 3, 20, 124, 125, 126, 127, 200, LIMIT, LIMIT + 1)


class Outcome(NamedTuple):
    messages: list[str | bytes]
    pongs: list[bytes]
    close_code: int | None


class Recorder:
    """Transport listener that records messages and ends."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.ends = 0

    def _receive_text(self, packet: bytes) -> None:
        self.messages.append(packet.decode())

    def _receive_binary(self, data: bytes) -> None:
        self.messages.append(data)

    def _transport_writable(self) -> None:
        pass

    def _transport_closed(self, reason: CloseReason, description: str) -> None:
        self.ends += 1

    def _transport_failed(self, error: ProtocolError) -> None:
        self.ends += 1


def read_outcome(messages: list[str | bytes], written: bytes) -> Outcome:
    frames, rest = parse_frames(written)
    assert rest == b""
    pongs = [frame.payload for frame in frames if frame.opcode == PONG]
    closes = [frame.payload for frame in frames if frame.opcode == CLOSE]
    assert len(closes) <= 1
    code = int.from_bytes(closes[0][:2], "big") if closes else None
    return Outcome(messages, pongs, code)


def run_transport(pieces: list[bytes]) -> Outcome:
    clock = FakeClock()
    context = SessionContext(
        EngineOptions(max_http_buffer_size=LIMIT),
        clock,
        TimerQueue(clock),
        Heartbeat(clock, 25, 20),
        lambda *_: None,
        lambda: None,
        set(),
        Iteration(clock),
        EngineCounts(),
    )
    tcp = FakeTcp(clock)
    transport = WebSocketTransport(tcp, context)
    recorder = Recorder()
    transport.listener = recorder
    tcp.set_protocol(transport)
    for piece in pieces:
        tcp.feed(piece)
    outcome = read_outcome(recorder.messages, bytes(tcp.written))
    assert recorder.ends == (outcome.close_code is not None)
    return outcome


def run_library(wire: bytes) -> Outcome:
    library = Protocol(Side.SERVER, state=State.OPEN, max_size=LIMIT)
    messages: list[str | bytes] = []
    written = b""
    parts: list[bytes] = []
    is_text = False
    for position in range(len(wire)):
        library.receive_data(wire[position : position + 1])
        for frame in library.events_received():
            if frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
                if frame.opcode != Opcode.CONT:
                    parts, is_text = [], frame.opcode == Opcode.TEXT
                parts.append(bytes(frame.data))
                if frame.fin and not take_message(messages, b"".join(parts), is_text):
                    library.fail(1007, "not UTF-8")
        written += b"".join(library.data_to_send())
        if library.state is not State.OPEN:
            break
    return read_outcome(messages, written)


def take_message(messages: list[str | bytes], data: bytes, is_text: bool) -> bool:
    try:
        messages.append(data.decode() if is_text else data)
    except UnicodeDecodeError:
        return False
    return True


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
        expected = run_library(wire)
        pieces = split(chance, wire)
        assert run_transport(pieces) == expected, f"stream {number}: {wire.hex()}"


def test_random_streams_cover_all_outcomes() -> None:
    outcomes = [run_library(make_stream(random.Random(number))) for number in range(300)]
    assert {outcome.close_code for outcome in outcomes} >= {None, 1000, 1002, 1007, 1009}
    assert sum(len(outcome.messages) for outcome in outcomes) > 200
    assert sum(len(outcome.pongs) for outcome in outcomes) > 50
