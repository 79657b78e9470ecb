"""The frames that the fast lane does not take: judged by `websockets`, joined to messages.

Knows: fragments, control frames, the close handshake, permessage-deflate, and which of the
library's answers mean what.  Does not know: TCP, sessions, what a message says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, cast, final

from websockets.frames import Opcode
from websockets.protocol import Protocol, Side, State

from engineio_core.codec.encoded_packet import EncodedPacket
from engineio_core.errors import ProtocolError

if TYPE_CHECKING:
    from websockets.extensions import Extension
    from websockets.frames import Frame

# RFC 6455 sets no limit; ws has the same one since CVE-2026-48779.
MAX_FRAGMENTS: Final = 131_072


class Message(NamedTuple):
    """A whole message, as it was sent; text is not decoded yet."""

    is_text: bool
    payload: bytes


@final
class SlowPath:
    """One connection as the library sees it: bytes in, messages and bytes out."""

    __slots__ = ("_fragment_count", "_fragments", "_is_text", "_protocol")

    def __init__(self, max_size: int, extensions: Sequence[Extension] = ()) -> None:
        self._protocol = Protocol(Side.SERVER, state=State.OPEN, max_size=max_size)
        self._protocol.extensions = list(extensions)
        self._fragments: bytearray | None = None
        self._fragment_count = 0
        self._is_text = False

    @property
    def is_open(self) -> bool:
        """Whether neither side has begun to close, nor broken a rule."""
        return self._protocol.state is State.OPEN

    @property
    def error(self) -> str | None:
        """What was wrong with what came in; the close frame that says so is in the output."""
        error = self._protocol.parser_exc
        return None if error is None else str(error)

    @property
    def held(self) -> int:
        """The size of the incomplete fragmented message in bytes, -1 if there is none."""
        return -1 if self._fragments is None else len(self._fragments)

    def feed(self, data: bytes) -> Iterator[Message | None]:
        """Take bytes; yield the messages that they complete, and None for a close frame.

        Raises ProtocolError for too many fragments; for anything else see `error`.
        """
        protocol = self._protocol
        if protocol.state is State.CLOSED or protocol.parser_exc is not None:
            return
        protocol.receive_data(data)
        for event in protocol.events_received():
            # The server's side of the library yields nothing but frames once it is open.
            frame = cast("Frame", event)
            if frame.opcode == Opcode.CLOSE:
                yield None
            elif frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
                message = self._join(frame)
                if message is not None:
                    yield message

    def _join(self, frame: Frame) -> Message | None:
        if frame.opcode != Opcode.CONT:
            self._is_text = frame.opcode == Opcode.TEXT
            if frame.fin:
                return Message(self._is_text, bytes(frame.data))
            self._fragments, self._fragment_count = bytearray(), 0
        fragments = self._fragments
        assert fragments is not None, "the library refuses a continuation of nothing"
        fragments += frame.data
        self._fragment_count += 1
        if frame.fin:
            self._fragments = None
            return Message(self._is_text, bytes(fragments))
        if self._fragment_count > MAX_FRAGMENTS:
            raise ProtocolError("too many fragments", websocket_code=1008)
        return None

    def output(self) -> list[bytes]:
        """Return what is to be written; an empty piece is the end of TCP."""
        return self._protocol.data_to_send()

    def deflate(self, packet: EncodedPacket) -> None:
        """Put a packet in the output, through the extension."""
        if packet.is_binary:
            self._protocol.send_binary(packet.payload)
        else:
            self._protocol.send_text(packet.payload)

    def close(self, code: int | None, description: str) -> None:
        """Put a close frame in the output: empty, or one that tells the client its fault."""
        if code is not None:
            # 5.5: a control frame has 125 bytes at the most, the code takes two.
            reason = description.encode()[:123].decode(errors="ignore")
            self._protocol.fail(code, reason)
        elif self.is_open:
            self._protocol.send_close()
