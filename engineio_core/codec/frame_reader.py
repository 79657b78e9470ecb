"""Splits the byte stream of one WebSocket connection into messages, without I/O.

The reader unmasks whole text and binary frames itself (the fast path). It passes all other frames
to its handler, which reads them with the `websockets` library (the slow path): fragments, control
frames, reserved bits, invalid headers, and all frames of a connection with an extension.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, Final, Protocol, final

from engineio_core.budgets import LARGE_MESSAGE
from engineio_core.codec.websocket_frame import apply_mask, find_header_error
from engineio_core.errors import ProtocolError
from engineio_core.noop import noop
from engineio_core.read_turn import TIME_BYTES, TURN_BYTES, TURN_SECONDS
from engineio_core.state_table import TableKey

FIN_TEXT: Final = 0x81
FIN_BINARY: Final = 0x82
FIN_CLOSE: Final = 0x88
#: Bytes of compressed data between two checks of the turn: they may contain a message per 10 bytes.
SLICE: Final = 256
#: Seconds that the handlers of a few usual messages do not reach.
QUICK_SECONDS: Final = 0.0002
_unmask: Final = apply_mask  # a compiled module reads other global names from a dictionary
# Close frames without a payload or with a code only: 2 bytes of header, 4 of mask, 0 or 2 of code.
_SHORT_CLOSE_LENGTHS: Final = (6, 8)
_USUAL_CODES: Final = (b"", b"\x03\xe8", b"\x03\xe9")  # no code, 1000 normal, 1001 going away


class ReaderState(TableKey):
    """The path of the next bytes."""

    FAST = "fast"  # between messages; whole frames take the fast path
    FRAGMENTED = "fragmented"  # inside a fragmented message; its frames take the slow path
    SLOW = "slow"  # an extension was negotiated; all bytes take the slow path
    PAUSED = "paused"  # bytes are kept until the reader resumes
    CLOSED = "closed"  # no message is delivered; bytes complete the close handshake


class ReaderEvent(TableKey):
    """The events that change the state of a reader."""

    FRAGMENT_BEGUN = "first fragment"
    MESSAGE_COMPLETED = "last fragment"
    PAUSED = "paused"
    RESUMED = "resumed"
    RESUMED_FRAGMENTED = "resumed inside a message"
    RESUMED_SLOW = "resumed with an extension"
    CLOSED = "closed"


# An event that a state's row does not contain changes nothing in that state.
READER_TRANSITIONS: Final = {
    ReaderState.FAST: {
        ReaderEvent.FRAGMENT_BEGUN: ReaderState.FRAGMENTED,
        ReaderEvent.PAUSED: ReaderState.PAUSED,
        ReaderEvent.CLOSED: ReaderState.CLOSED,
    },
    ReaderState.FRAGMENTED: {
        ReaderEvent.MESSAGE_COMPLETED: ReaderState.FAST,
        ReaderEvent.PAUSED: ReaderState.PAUSED,
        ReaderEvent.CLOSED: ReaderState.CLOSED,
    },
    ReaderState.SLOW: {
        ReaderEvent.PAUSED: ReaderState.PAUSED,
        ReaderEvent.CLOSED: ReaderState.CLOSED,
    },
    ReaderState.PAUSED: {
        ReaderEvent.RESUMED: ReaderState.FAST,
        ReaderEvent.RESUMED_FRAGMENTED: ReaderState.FRAGMENTED,
        ReaderEvent.RESUMED_SLOW: ReaderState.SLOW,
        ReaderEvent.CLOSED: ReaderState.CLOSED,
    },
    ReaderState.CLOSED: {},
}

FAST: Final = ReaderState.FAST
FRAGMENTED: Final = ReaderState.FRAGMENTED
_CLOSED: Final = ReaderState.CLOSED
_CLOSE: Final = ReaderEvent.CLOSED


class FrameHandler(Protocol):
    """The receiver of everything that a reader does not deliver as a message."""

    def slow_data_received(self, data: bytes) -> int:
        """Read bytes on the slow path and deliver the messages that they complete.

        Returns the size of an incomplete fragmented message in bytes, -1 if there is none.
        """

    def close_received(self, code: bytes) -> None:
        """Answer a close frame; `code` is empty or the two bytes of the close code."""

    def hold(self, size: int) -> None:
        """Reserve memory for an incomplete frame of `size` bytes, or raise ProtocolError."""

    def release(self) -> None:
        """Release the memory: the frame is complete."""

    def is_turn_over(self) -> bool:
        """Return whether the rest of a chunk must wait; the handler then feeds no bytes later."""

    def end_turn(self) -> None:
        """Let the rest of a chunk wait: its messages have taken the time of a turn."""

    def listener_failed(self, error: BaseException, payload: bytes, is_text: bool) -> None:
        """Handle an exception of a message callback: raise, or return to read the next frame."""


class NullHandler:
    """Handler that drops everything: the handler of a stopped reader."""

    def slow_data_received(self, data: bytes) -> int:
        """Drop the bytes of the slow path."""
        return -1

    def close_received(self, code: bytes) -> None:
        """Ignore the close frame."""

    def hold(self, size: int) -> None:
        """Reserve no memory: a stopped reader keeps no bytes."""

    def release(self) -> None:
        """Release nothing: a stopped reader has reserved nothing."""

    def is_turn_over(self) -> bool:
        """Drop the whole chunk in one turn."""
        return False

    def end_turn(self) -> None:
        """Do nothing: a stopped reader delivers no messages."""

    def listener_failed(self, error: BaseException, payload: bytes, is_text: bool) -> None:
        """Raise the error unchanged, from within `feed`."""
        raise error


_NULL_HANDLER: Final = NullHandler()


@final
class FrameReader:
    """Reader of one connection: bytes in through `feed`, messages out through two callbacks.

    The owner sets `receive_text(payload)`, which gets undecoded UTF-8, and
    `receive_binary(payload)`. A callback may pause or close the reader; the reader then delivers
    no further message of the same chunk. `max_size` limits one message, in bytes.
    """

    __slots__ = (
        "_between_messages", "_handler", "_held", "_is_holding", "_limit", "_max_size", "_needed",
        "_pending",
        "_slow_bytes", "partial_amount", "receive_binary", "receive_text", "state",
    )  # fmt: skip

    def __init__(self, handler: FrameHandler, max_size: int, *, has_extensions: bool) -> None:
        self._handler: FrameHandler = handler
        self._max_size = max_size
        self._limit = max_size  # of the fast path; -1 inside a fragmented message
        self._between_messages = ReaderState.SLOW if has_extensions else FAST
        self.state = self._between_messages
        self.receive_text: Callable[[bytes], Any] = noop
        self.receive_binary: Callable[[bytes], Any] = noop
        self._pending: bytearray | None = None
        self._needed = 0  # the size of `_pending` in bytes that the next step needs
        self._is_holding = False
        self._slow_bytes = 0  # the missing bytes of a frame that began on the slow path
        self._held = -1  # the size of the incomplete fragmented message in bytes, or -1
        self.partial_amount = 0  # bytes of incomplete frames and fragmented messages, in total

    @property
    def has_pending(self) -> bool:
        """Whether the reader keeps bytes: of an incomplete frame, or because it is paused."""
        return self._pending is not None

    def feed(self, data: bytes) -> None:  # noqa: PLR0912, PLR0915 - a call per frame is slower
        """Read a chunk and deliver the messages that it completes.

        Raises ProtocolError for an invalid frame header, and what `listener_failed` raises.
        """
        # hot path: benchmarks/hop_budget.py
        is_counted = False
        if self._pending is not None:
            is_counted = True
            self._pending += data
            self.partial_amount += len(data)
            if len(self._pending) < self._needed:
                return  # one copy per long message, however small its chunks are
            data = bytes(self._pending)
            self._pending = None
            if self._is_holding:
                self._is_holding = False
                self._handler.release()
            if self._needed > TURN_BYTES:
                self._handler.is_turn_over()  # the turn begins before a long message
        position, end = 0, len(data)
        if self._slow_bytes and self.state in {FAST, FRAGMENTED}:
            position = self._feed_frame(data, 0, self._slow_bytes)
        # The positions of the next check of the time, first behind the first message, and of the
        # turn. A chunk of a few short messages has no check.
        check = end if end <= TIME_BYTES else 1
        turn = TURN_BYTES
        until = last = 0.0
        while position < end and (self.state is FAST or self.state is FRAGMENTED):
            if position >= check:
                now = perf_counter()
                if not until:
                    until = now + TURN_SECONDS
                elif now >= until:
                    self._handler.end_turn()
                    self._needed = 0
                    break
                if position >= turn:
                    if self._handler.is_turn_over():
                        self._needed = 0
                        break
                    turn = position + TURN_BYTES
                # After a slow message, each one is checked.
                check = position + (TIME_BYTES if now - last < QUICK_SECONDS else 1)
                last = now
            if end - position < 2:
                self._needed = 2
                break
            first, length = data[position], data[position + 1] - 0x80  # negative: not masked
            start = position + 6
            if length > 125:
                start += 2 if length == 126 else 8
                length = int.from_bytes(data[position + 2 : start - 4], "big")
            if (first == FIN_TEXT or first == FIN_BINARY) and 0 <= length <= self._limit:
                stop = start + length
                if stop > end:
                    self._needed = (start if start > end else stop) - position
                    break
                payload = _unmask(data[start:stop], data[start - 4 : start])
                position = stop
                try:
                    if first == FIN_TEXT:
                        # A local name first: an attribute and a call are faster here than a
                        # method call on an instance attribute (benchmarks/tricks.py).
                        receive_text = self.receive_text
                        receive_text(payload)
                    else:
                        self.receive_binary(payload)
                except BaseException as error:
                    self._handler.listener_failed(error, payload, first == FIN_TEXT)
                continue
            following = self._read_other_frame(data, position, start, length)
            if following == position:
                break
            # Other frames take longer: check the turn after each.
            position = check = turn = following
        if position < end:
            self._keep(data, position, is_counted=is_counted)
        if is_counted and end > TURN_BYTES and self._needed:
            # One long message after the other: the event loop would go on reading.
            self._handler.is_turn_over()

    def pause(self) -> None:
        """Deliver no further message until `resume`; the reader keeps the bytes that it gets."""
        self._advance(ReaderEvent.PAUSED)

    def resume(self) -> None:
        """End a pause; the next `feed`, with any number of bytes, reads the kept bytes first."""
        if self._between_messages is ReaderState.SLOW:
            event = ReaderEvent.RESUMED_SLOW
        elif self._held >= 0:
            event = ReaderEvent.RESUMED_FRAGMENTED
        else:
            event = ReaderEvent.RESUMED
        if self._advance(event):
            self._needed = 0

    def close(self) -> None:
        """Deliver no further message; pass all bytes to the handler, for the close handshake."""
        self._advance(ReaderEvent.CLOSED)
        self._needed = 0

    def stop(self) -> None:
        """Close, drop all bytes, and release the handler."""
        if self.state is not _CLOSED:
            self._advance(_CLOSE)
        self._pending = None
        self._handler = _NULL_HANDLER

    def _advance(self, event: ReaderEvent) -> bool:
        follower = READER_TRANSITIONS[self.state].get(event)
        if follower is None:
            return False
        self.state = follower
        return True

    def _read_other_frame(self, data: bytes, position: int, start: int, length: int) -> int:
        """Read a frame that the fast path does not take; return the position after it.

        `start` is the position of the payload. Returns `position` if the header is incomplete.
        """
        if start - 4 > len(data):
            self._needed = start - 4 - position
            return position
        first, second = data[position], data[position + 1]
        is_masked_close = first == FIN_CLOSE and length >= 0
        if is_masked_close and self._read_usual_close(data[position : start + length]):
            return len(data)  # RFC 6455, section 5.5.1: no data follows a close frame
        # The library reports a message that is too long; its check precedes ours.
        if length <= self._max_size - max(self._held, 0) and (
            description := find_header_error(first, second)
        ):
            raise ProtocolError(description, websocket_code=1002)
        return self._feed_frame(data, position, start - position + length)

    def _read_usual_close(self, frame: bytes) -> bool:
        """Report a close frame as nearly all clients send it; return False for any other.

        `frame` may be incomplete.
        """
        if (
            self.state is not FAST
            or len(frame) not in _SHORT_CLOSE_LENGTHS
            or frame[1] != 0x80 | len(frame) - 6
        ):
            return False
        code = apply_mask(frame[6:], frame[2:6])
        if code not in _USUAL_CODES:
            return False
        handler = self._handler
        self.stop()
        handler.close_received(code)
        return True

    def _feed_frame(self, data: bytes, position: int, length: int) -> int:
        """Pass the available bytes of one frame to the slow path; return their end in `data`."""
        stop = min(position + length, len(data))
        self._slow_bytes = length - (stop - position)
        self.partial_amount += stop - position
        self._held = self._handler.slow_data_received(data[position:stop])
        self._limit = self._max_size if self._held < 0 else -1
        self._advance(
            ReaderEvent.MESSAGE_COMPLETED if self._held < 0 else ReaderEvent.FRAGMENT_BEGUN
        )
        return stop

    def _keep(self, data: bytes, position: int, *, is_counted: bool) -> None:
        """Keep the rest of a chunk for the next `feed`, unless it belongs to the slow path.

        `is_counted` means that `partial_amount` contains the bytes already.
        """
        if not is_counted:
            self.partial_amount += len(data) - position
        if self.state is ReaderState.SLOW or self.state is ReaderState.CLOSED:
            position = self._feed_slices(data, position)
        if position < len(data):
            if self._needed > LARGE_MESSAGE:
                self._handler.hold(self._needed)
                self._is_holding = True
            self._pending = bytearray(data[position:])

    def _feed_slices(self, data: bytes, position: int) -> int:
        """Pass bytes to the slow path until the reader is paused; return the first kept position.

        The library inflates all messages of a slice before it returns the first one, and one byte
        may inflate to a thousand; small slices bound that memory. The turn begins before the first
        slice, whose messages may take longer than a turn.
        """
        self._needed = 0
        while position < len(data) and self.state is not ReaderState.PAUSED:
            if self._handler.is_turn_over():
                break
            piece = data[position : position + SLICE]
            position += len(piece)
            self._handler.slow_data_received(piece)
        return position
