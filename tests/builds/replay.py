"""Runs inputs through the codecs of the imported build and describes results and errors.

As a program, it reads one case per line in JSON and writes one description per line.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable
from typing import Any

from engineio_core import read_turn
from engineio_core.build import build_name
from engineio_core.codec import frame_reader
from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.codec.frame_reader import FrameReader
from engineio_core.codec.payload import decode_payload, encode_payload
from engineio_core.codec.websocket_frame import encode_frame, find_header_error
from engineio_core.errors import ProtocolError
from engineio_core.server import Engine
from socketio_core.codec.json_codec import JsonParser

Case = tuple[str, Any]


class Recorder:
    """Handler of a reader that records the calls, and stops the slow path."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def slow_data_received(self, data: bytes) -> int:
        self.calls.append(["slow", data.hex()])
        return -1

    def close_received(self, code: bytes) -> None:
        self.calls.append(["close", code.hex()])

    def is_turn_over(self) -> bool:
        return False

    def end_turn(self) -> None:
        self.calls.append(["end of the turn"])

    def listener_failed(self, error: BaseException, payload: bytes, is_text: bool) -> None:
        raise error


def read_frames(chunks: list[str]) -> object:
    """Feed chunks to a reader; return the messages and the state after each chunk."""
    handler = Recorder()
    reader = FrameReader(handler, 1000, has_extensions=False)
    reader.receive_text = lambda payload: handler.calls.append(["text", payload.hex()])
    reader.receive_binary = lambda payload: handler.calls.append(["binary", payload.hex()])
    for chunk in chunks:
        reader.feed(bytes.fromhex(chunk))
        handler.calls.append([reader.state.name, reader.partial_amount, reader.has_pending])
    return handler.calls


def read_payload(body: str) -> object:
    """Decode a polling payload, and encode its packets again."""
    packets: list[str | bytes] = []
    error = ""
    try:
        packets.extend(decode_payload(bytes.fromhex(body)))  # keeps the packets before an error
    except ProtocolError as failure:
        error = str(failure)
    encoded = [
        EncodedPacket(each.encode())
        if isinstance(each, str)
        else EncodedPacket(each, is_binary=True)
        for each in packets
    ]
    return [
        error,
        list(map(repr, packets)),
        encode_payload(encoded).hex(),
        [packet.frame.hex() for packet in encoded],
    ]


class Tcp(asyncio.Transport):
    """A TCP connection that keeps the written bytes."""

    def __init__(self) -> None:
        super().__init__(extra={"peername": ("192.0.2.1", 50000)})
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.written += b"(end)"

    def pause_reading(self) -> None:
        self.written += b"(pause)"

    def resume_reading(self) -> None:
        self.written += b"(resume)"

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        raise NotImplementedError("the requests do not upgrade")


def read_requests(chunks: list[str]) -> object:
    """Send chunks on a connection of an engine; return the responses and their state."""
    engine = Engine(clock=Clock(), max_header_size=1000, max_http_buffer_size=1000)
    tcp = Tcp()
    connection = engine._make_connection()
    connection.connection_made(tcp)
    for chunk in filter(None, chunks):
        connection.data_received(bytes.fromhex(chunk))
    written = re.sub(rb"Date: [^\r]+\r\n", b"", tcp.written)
    return [written.decode("latin-1"), connection.state.name, tcp.is_closed]


class Clock:
    """A clock that stands still, and never calls anything."""

    def time(self) -> float:
        return 1000.0

    def call_soon(self, callback: Callable[..., object], *args: Any) -> Any:
        return self

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Any:
        return self

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Any:
        return self

    def cancel(self) -> None:
        """Do nothing: the clock calls nothing."""


def read_packets(messages: list[tuple[bool, str]]) -> object:
    """Decode messages of one connection; encode each packet again."""
    parser = JsonParser()
    decoder = parser.decoder()
    found: list[object] = []
    for is_text, content in messages:
        data = bytes.fromhex(content)
        packet = decoder.receive_text(b"4" + data) if is_text else decoder.receive_binary(data)
        found.append(repr(packet) if packet is None else repr(tuple(packet)))
    return found


def write_event(arguments: tuple[str, list[Any], int | None]) -> object:
    """Encode an event and an ack."""
    namespace, data, ack_id = arguments
    parser = JsonParser()
    event = [packet.payload.hex() for packet in parser.encode_event(namespace, data, ack_id)]
    return [event, repr(parser.encode_ack(namespace, ack_id or 0, data))]


def read_header(arguments: tuple[int, int, str]) -> object:
    """Check the header of a frame, and encode a frame."""
    first, second, payload = arguments
    return [
        find_header_error(first, second),
        encode_frame(first & 15, bytes.fromhex(payload)).hex(),
    ]


RUNS: dict[str, Callable[[Any], object]] = {
    "frames": read_frames,
    "requests": read_requests,
    "payload": read_payload,
    "packets": read_packets,
    "event": write_event,
    "header": read_header,
}


def describe(case: Case) -> str:
    """Return the result of a case, or its exception with type and text."""
    kind, argument = case
    try:
        return json.dumps(RUNS[kind](argument))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    # The clock of read turns stands still, so that a busy machine does not divide a chunk.
    read_turn.perf_counter = frame_reader.perf_counter = lambda: 0.0
    print(build_name(), flush=True)
    for line in sys.stdin:
        kind, argument = json.loads(line)
        print(json.dumps(describe((kind, argument))), flush=True)
