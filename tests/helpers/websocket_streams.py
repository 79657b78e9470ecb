"""Runs of one stream of client frames: by the transport, and by the `websockets` library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from websockets.extensions import Extension
from websockets.frames import Opcode
from websockets.protocol import Protocol, Side, State

from engineio_core import CloseReason, EngineOptions, ProtocolError
from engineio_core.counts import EngineCounts
from engineio_core.heartbeat import Heartbeat
from engineio_core.http.compression import CompressionQueue
from engineio_core.iteration import Iteration
from engineio_core.session import SessionContext
from engineio_core.timers import TimerQueue
from engineio_core.transports.websocket import WebSocketTransport
from tests.helpers.fake_clock import FakeClock
from tests.helpers.fake_tcp import FakeTcp
from tests.helpers.wire import CLOSE, PONG, parse_frames

LIMIT = 300
"""The size of the largest message in bytes."""
OPTIONS = EngineOptions(max_http_buffer_size=LIMIT)


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


def run_transport(pieces: list[bytes], extensions: Sequence[Extension] = ()) -> Outcome:
    clock = FakeClock()
    context = SessionContext(
        OPTIONS,
        clock,
        TimerQueue(clock),
        Heartbeat(clock, 25, 20),
        lambda *_: None,
        lambda: None,
        set(),
        Iteration(clock),
        EngineCounts(),
        CompressionQueue(clock),
    )
    tcp = FakeTcp(clock)
    transport = WebSocketTransport(tcp, context, extensions)
    recorder = Recorder()
    transport.listener = recorder
    tcp.set_protocol(transport)
    for piece in pieces:
        tcp.feed(piece)
        clock.run()
    outcome = read_outcome(recorder.messages, bytes(tcp.written))
    assert recorder.ends == (outcome.close_code is not None)
    return outcome


def split_bytes(wire: bytes) -> Iterator[bytes]:
    """Yield a stream byte by byte."""
    return (wire[position : position + 1] for position in range(len(wire)))


def split_frames(wire: bytes) -> Iterator[bytes]:
    """Yield each frame in three pieces, so that the library rejects it at the first invalid one.

    The pieces are the first two bytes, the length, and the rest.
    """
    position = 0
    while position < len(wire):
        head = wire[position : position + 2]
        yield head
        position += 2
        short = head[-1] & 0x7F
        size = {126: 2, 127: 8}.get(short, 0)
        length = wire[position : position + size]
        position += size
        if length:
            yield length
        rest = 4 + (int.from_bytes(length, "big") if size else short)
        if piece := wire[position : position + rest]:
            yield piece
        position += rest


def run_library(pieces: Iterable[bytes]) -> Outcome:
    library = Protocol(Side.SERVER, state=State.OPEN, max_size=LIMIT)
    messages: list[str | bytes] = []
    written = b""
    parts: list[bytes] = []
    is_text = False
    for piece in pieces:
        library.receive_data(piece)
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
