"""WebSocket client that can send invalid frames and queues all received messages.

The connection may end at any time.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, NamedTuple

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from .patterns import Captures, Message, Pong, expand

OPCODES = {"continuation": 0, "text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}
# Code of an end without a close frame (RFC 6455, section 7.1.5). An empty close frame is 1005.
ABNORMAL = 1006


class Closed(NamedTuple):
    """The end of a connection."""

    code: int
    reason: str


class WebSocketConnection:
    """Connection with a queue of received messages; one TCP segment may add several messages."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rest: bytes
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = Protocol(Side.CLIENT, state=State.OPEN, max_size=None)
        self._fragments: list[bytes] = []
        self._is_text = False
        self._received: asyncio.Queue[Message | Closed] = asyncio.Queue()
        self._task = asyncio.create_task(self._read(rest))

    # -- outgoing

    def send(self, data: bytes) -> None:
        """Write the bytes of valid or invalid frames."""
        self._writer.write(data)

    def close(self, code: int | None) -> None:
        """Send a close frame, which starts the close handshake."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code)
            self._flush()

    def drop(self) -> None:
        """Abort the TCP connection at once."""
        self._task.cancel()
        self._writer.transport.abort()

    # -- incoming

    async def receive(self) -> Message | Closed:
        """Return the next message, or the end of the connection."""
        return await self._received.get()

    def take_unread(self) -> list[Message]:
        """Remove and return the messages that no step has received."""
        unread: list[Message] = []
        while not self._received.empty():
            message = self._received.get_nowait()
            if not isinstance(message, Closed):
                unread.append(message)
        return unread

    async def _read(self, rest: bytes) -> None:
        data = rest
        try:
            while True:
                if data:
                    self._process(data)
                data = await self._reader.read(65536)
                if not data:
                    break
        except OSError:
            pass
        self._protocol.receive_eof()
        self._writer.close()
        self._received.put_nowait(self._make_closed())

    def _process(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._process_frame(event)
        if self._protocol.parser_exc is not None:
            self._received.put_nowait(self._make_closed())
        self._flush()

    def _process_frame(self, frame: Frame) -> None:
        data = bytes(frame.data)
        if frame.opcode is Opcode.PONG:
            self._received.put_nowait(Pong(data))
        elif frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
            if frame.opcode is not Opcode.CONT:
                self._is_text = frame.opcode is Opcode.TEXT
            self._fragments.append(data)
            if frame.fin:
                message = b"".join(self._fragments)
                self._fragments = []
                self._received.put_nowait(_text(message) if self._is_text else message)
        elif frame.opcode is Opcode.CLOSE:
            self._received.put_nowait(self._make_closed())

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._writer.write(data)
            elif not self._writer.is_closing() and self._writer.can_write_eof():
                self._writer.write_eof()

    def _make_closed(self) -> Closed:
        if self._protocol.parser_exc is not None:
            return Closed(ABNORMAL, f"the server violated RFC 6455: {self._protocol.parser_exc}")
        received = self._protocol.close_rcvd
        if received is None:
            return Closed(ABNORMAL, "the TCP connection ended without a close frame")
        return Closed(received.code, received.reason)


def encode_outgoing(message: Any, captures: Captures) -> bytes:
    """Return the bytes of an outgoing message of a dialogue."""
    if isinstance(message, dict) and "hex" in message:
        return bytes.fromhex(message["hex"])
    if isinstance(message, dict) and "frame" in message:
        data = expand(message.get("data", ""), captures)
        return encode_frame(
            OPCODES[message["frame"]],
            data.encode() if isinstance(data, str) else data,
            fin=message.get("fin", True),
            rsv=message.get("rsv", 0),
            masked=message.get("masked", True),
        )
    data = expand(message, captures)
    if isinstance(data, str):
        return encode_frame(OPCODES["text"], data.encode())
    return encode_frame(OPCODES["binary"], data)


def encode_frame(
    opcode: int, payload: bytes, *, fin: bool = True, rsv: int = 0, masked: bool = True
) -> bytes:
    """Return one frame, masked and final by default."""
    length, bit = len(payload), 0x80 if masked else 0
    head = bytes(((0x80 if fin else 0) | rsv << 4 | opcode,))
    if length < 126:
        head += bytes((bit | length,))
    elif length < 65536:
        head += bytes((bit | 126,)) + length.to_bytes(2, "big")
    else:
        head += bytes((bit | 127,)) + length.to_bytes(8, "big")
    if not masked:
        return head + payload
    mask = os.urandom(4)
    repeated = (mask * (length // 4 + 1))[:length]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return head + mask + number.to_bytes(length, "big")


def _text(message: bytes) -> str | Closed:
    try:
        return message.decode()
    except UnicodeDecodeError:
        return Closed(ABNORMAL, "the server violated RFC 6455: a text message is not UTF-8")
