"""The slow path of a WebSocket connection: reads and writes frames with the `websockets` library.

It covers what `FrameReader` does not split itself: fragments, control frames, the close handshake,
permessage-deflate and the errors of invalid frames. It has no I/O; the transport writes its output.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, cast, final

from websockets.exceptions import PayloadTooBig
from websockets.frames import Opcode
from websockets.protocol import Protocol, Side, State

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.errors import ProtocolError
from engineio_core.websocket_deflate import beyond_final_blocks

if TYPE_CHECKING:
    from websockets.extensions import Extension
    from websockets.frames import Frame

# RFC 6455 sets no limit; the Node package ws has the same limit since CVE-2026-48779.
MAX_FRAGMENTS: Final = 131_072
SMALL_FRAGMENT: Final = 256  # bytes


class Message(NamedTuple):
    """A complete message; text is not decoded yet."""

    is_text: bool
    payload: bytes


@final
class SlowPath:
    """Slow path of one connection: bytes in, messages and bytes out."""

    __slots__ = (
        "_fragment_count", "_fragments", "_is_text", "_protocol", "pongs", "small_frames",
    )  # fmt: skip

    def __init__(self, max_size: int, extensions: Sequence[Extension] = ()) -> None:
        self._protocol = _Protocol(Side.SERVER, state=State.OPEN, max_size=max_size)
        self._protocol.extensions = beyond_final_blocks(extensions)
        self._fragments: bytearray | None = None
        self._fragment_count = 0
        self._is_text = False
        self.pongs = 0
        """The number of received pongs."""
        self.small_frames = 0
        """The number of control frames and small fragments; the transport resets it."""

    @property
    def is_open(self) -> bool:
        """Whether neither side has begun to close and no error has occurred."""
        return self._protocol.state is State.OPEN

    @property
    def error(self) -> str | None:
        """The error of the received data, if any; the output then contains the close frame."""
        error = self._protocol.parser_exc
        return None if error is None else str(error)

    @property
    def is_too_large(self) -> bool:
        """Whether the error is a message above `max_size`."""
        return isinstance(self._protocol.parser_exc, PayloadTooBig)

    @property
    def sent_code(self) -> int | None:
        """The code of the close frame that the library has sent, if any; 1005 without a code."""
        sent = self._protocol.close_sent
        return None if sent is None else int(sent.code)

    @property
    def received_close(self) -> tuple[int, str] | None:
        """Code and reason of the client's close frame, if any; 1005 without a code."""
        received = self._protocol.close_rcvd
        return None if received is None else (int(received.code), received.reason)

    @property
    def held(self) -> int:
        """The size of the incomplete fragmented message in bytes, -1 if there is none."""
        return -1 if self._fragments is None else len(self._fragments)

    def feed(self, data: bytes) -> Iterator[Message | None]:
        """Read bytes; yield the messages that they complete, and None for a close frame.

        Raises ProtocolError for too many fragments; `error` reports all other errors.
        """
        protocol = self._protocol
        if protocol.state is State.CLOSED or protocol.parser_exc is not None:
            return
        protocol.receive_data(data)
        for event in protocol.events_received():
            # An open protocol of the library yields frames only.
            frame = cast("Frame", event)
            if frame.opcode == Opcode.CLOSE:
                yield None
            elif frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
                message = self._join(frame)
                if message is not None:
                    yield message
            else:
                self.small_frames += 1
                self.pongs += frame.opcode == Opcode.PONG

    def _join(self, frame: Frame) -> Message | None:
        if frame.opcode != Opcode.CONT:
            self._is_text = frame.opcode == Opcode.TEXT
            if frame.fin:
                return Message(self._is_text, bytes(frame.data))
            self._fragments, self._fragment_count = bytearray(), 0
        fragments = self._fragments
        assert fragments is not None, "the library rejects a continuation without a first frame"
        fragments += frame.data
        self._fragment_count += 1
        self.small_frames += len(frame.data) < SMALL_FRAGMENT
        if frame.fin:
            self._fragments = None
            return Message(self._is_text, bytes(fragments))
        if self._fragment_count > MAX_FRAGMENTS:
            raise ProtocolError("too many fragments", websocket_code=1008)
        return None

    def output(self) -> list[bytes]:
        """Return the bytes to write; an empty item means the end of TCP."""
        return self._protocol.data_to_send()

    def deflate(self, packet: EncodedPacket) -> None:
        """Compress a packet and append its frame to the output."""
        if packet.is_binary:
            self._protocol.send_binary(packet.payload)
        else:
            self._protocol.send_text(packet.payload)

    def ping(self) -> None:
        """Append an empty ping to the output."""
        if self.is_open:
            self._protocol.send_ping(b"")

    def begin_close(self, code: int | None, reason: str) -> None:
        """Append a close frame to the output and read on, up to the close frame of the client.

        Raises ProtocolError of the library for an invalid code or reason.
        """
        if self.is_open:
            self._protocol.send_close(code, reason)

    def close(self, code: int | None) -> None:
        """Append a close frame to the output: empty, or with a code."""
        if code is not None:
            self._protocol.fail(code)
        elif self.is_open:
            self._protocol.send_close()


class _Protocol(Protocol):
    """Protocol of the library whose close frames have no reason text, as in Node."""

    def fail(self, code: int, reason: str = "") -> None:
        """Close after an error; the text is in `parser_exc`."""
        super().fail(code)
