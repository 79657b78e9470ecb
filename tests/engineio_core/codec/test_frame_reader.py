"""FrameReader, tested with bytes only: a fake owner replaces the slow path."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engineio_core.codec import frame_reader
from engineio_core.codec.frame_reader import (
    READER_TRANSITIONS,
    SLICE,
    FrameReader,
    ReaderState,
)
from engineio_core.errors import ProtocolError
from engineio_core.read_turn import TIME_BYTES, TURN_BYTES, TURN_SECONDS
from tests.helpers.wire import (
    BINARY,
    CLOSE,
    CONT,
    DELIVERIES,
    PING,
    TEXT,
    Delivery,
    client_frame,
    text_frame,
)

LIMIT = 70_000
LENGTHS = (0, 1, 5, 124, 125, 126, 127, 65_535, 65_536)


class Owner:
    """Owner of a reader: records its calls; parses first fragments and final fragments."""

    def __init__(self, *, has_extensions: bool = False) -> None:
        self.reader = FrameReader(self, LIMIT, has_extensions=has_extensions)
        self.reader.receive_text = lambda payload: self.record("text", payload)
        self.reader.receive_binary = lambda payload: self.record("binary", payload)
        self.calls: list[tuple[str, bytes]] = []
        self.slow = b""
        self.slow_sizes: list[int] = []
        self.held = -1
        self.failures: list[BaseException] = []
        self.is_over = False
        self.holds: list[int] = []
        self.checks = 0
        self.ended_turns = 0
        self.on_record: Callable[[], None] = lambda: None

    def record(self, kind: str, payload: bytes) -> None:
        self.calls.append((kind, payload))
        self.on_record()

    def slow_data_received(self, data: bytes) -> int:
        self.slow += data
        self.slow_sizes.append(len(data))
        return self.held

    def close_received(self, code: bytes) -> None:
        self.calls.append(("close", code))

    def hold(self, size: int) -> None:
        self.holds.append(size)

    def release(self) -> None:
        self.holds.append(0)

    def is_turn_over(self) -> bool:
        self.checks += 1
        return self.is_over

    def end_turn(self) -> None:
        self.ended_turns += 1

    def listener_failed(self, error: BaseException, payload: bytes, is_text: bool) -> None:
        if isinstance(error, ProtocolError):
            raise error
        self.failures.append(error)


def text(payload: bytes) -> tuple[str, bytes]:
    return "text", payload


# -- the table


def test_every_state_has_a_row() -> None:
    assert set(READER_TRANSITIONS) == set(ReaderState)


def test_closed_is_the_only_final_state() -> None:
    assert [state for state, row in READER_TRANSITIONS.items() if not row] == [ReaderState.CLOSED]


# -- the fast path


@pytest.mark.parametrize("deliver", DELIVERIES)
@pytest.mark.parametrize("length", LENGTHS)
def test_message_is_delivered_once_in_any_segmentation(length: int, deliver: Delivery) -> None:
    owner = Owner()
    payload = bytes(index % 251 for index in range(length))
    deliver(owner.reader.feed, client_frame(TEXT, payload) + client_frame(BINARY, payload))
    assert owner.calls == [("text", payload), ("binary", payload)]
    assert owner.slow == b""
    assert not owner.reader.has_pending
    assert owner.reader.state is ReaderState.FAST


@pytest.mark.parametrize("length", [0, 3, 125, 126, 200])
def test_message_split_at_every_boundary_is_delivered_once(length: int) -> None:
    payload = b"x" * length
    frame = client_frame(TEXT, payload)
    for boundary in range(1, len(frame)):
        owner = Owner()
        owner.reader.feed(frame[:boundary])
        assert owner.calls == []
        assert owner.reader.has_pending
        owner.reader.feed(frame[boundary:])
        assert owner.calls == [text(payload)]
        assert not owner.reader.has_pending


@pytest.mark.parametrize("length", [0, 3, 126])
def test_message_followed_by_a_part_of_the_next_is_delivered_immediately(length: int) -> None:
    first, second = client_frame(TEXT, b"first"), client_frame(BINARY, b"y" * length)
    for boundary in range(len(second)):
        owner = Owner()
        owner.reader.feed(first + second[:boundary])
        assert owner.calls == [text(b"first")]
        assert owner.reader.has_pending is bool(boundary)
        owner.reader.feed(second[boundary:])
        assert owner.calls == [text(b"first"), ("binary", b"y" * length)]


def test_message_takes_the_fast_path_up_to_the_maximum_size() -> None:
    owner = Owner()
    owner.reader.feed(client_frame(BINARY, bytes(LIMIT)))
    assert owner.calls == [("binary", bytes(LIMIT))]
    longer = client_frame(BINARY, bytes(LIMIT + 1))
    owner.reader.feed(longer[:14])
    assert owner.slow == longer[:14], "the library receives the header before the payload arrives"


# -- the slow path


@pytest.mark.parametrize("deliver", DELIVERIES)
@pytest.mark.parametrize(
    "frame",
    [
        client_frame(PING, b"there?"),
        client_frame(CLOSE, b"\x0f\xa0"),  # uncommon code 4000
        client_frame(CLOSE, b"\x03\xe8with a reason"),
        client_frame(PING),
    ],
    ids=["ping", "close 4000", "close with a reason", "empty ping"],
)
def test_control_frame_takes_the_slow_path_between_messages(
    frame: bytes, deliver: Delivery
) -> None:
    owner = Owner()
    deliver(owner.reader.feed, client_frame(TEXT, b"a") + frame + client_frame(TEXT, b"b"))
    assert owner.slow == frame
    assert owner.calls == [text(b"a"), text(b"b")]


@pytest.mark.parametrize("deliver", DELIVERIES)
def test_frames_take_the_slow_path_inside_a_fragmented_message(deliver: Delivery) -> None:
    owner = Owner()
    inside = client_frame(TEXT, b"Hel", fin=False) + client_frame(PING)
    last = client_frame(CONT, b"lo")
    owner.held = 3
    deliver(owner.reader.feed, inside)
    assert owner.reader.state is ReaderState.FRAGMENTED
    whole_frame = client_frame(TEXT, b"not between")
    deliver(owner.reader.feed, whole_frame)
    owner.held = -1
    deliver(owner.reader.feed, last)
    assert owner.slow == inside + whole_frame + last
    assert owner.reader.state is ReaderState.FAST
    deliver(owner.reader.feed, client_frame(TEXT, b"after"))
    assert owner.calls == [text(b"after")]


def test_fragments_longer_than_the_limit_together_skip_the_header_check() -> None:
    owner = Owner()
    owner.held = LIMIT - 10
    owner.reader.feed(client_frame(TEXT, bytes(LIMIT - 10), fin=False))
    too_long = client_frame(3, bytes(11))  # invalid opcode; the length limit takes precedence
    owner.reader.feed(too_long)
    assert owner.slow.endswith(too_long)
    with pytest.raises(ProtocolError, match="invalid opcode"):
        owner.reader.feed(client_frame(3, bytes(10)))


@pytest.mark.parametrize(
    ("frame", "description"),
    [
        (client_frame(TEXT, b"x", masked=False), "must be masked"),
        (client_frame(TEXT, b"x", rsv=4), "reserved bits"),
        (client_frame(3, b"x"), "invalid opcode"),
        (client_frame(PING, b"x", fin=False), "control frame"),
    ],
)
def test_invalid_header_raises_before_its_payload_arrives(frame: bytes, description: str) -> None:
    owner = Owner()
    with pytest.raises(ProtocolError, match=description) as caught:
        owner.reader.feed(client_frame(TEXT, b"fine") + frame[:2])
    assert caught.value.websocket_code == 1002
    assert owner.calls == [text(b"fine")]
    assert owner.slow == b""


def test_all_bytes_take_the_slow_path_in_slices_when_an_extension_is_negotiated() -> None:
    owner = Owner(has_extensions=True)
    frame = client_frame(TEXT, bytes(2 * SLICE))
    owner.reader.feed(frame)
    assert owner.slow == frame
    assert max(owner.slow_sizes) == SLICE
    assert owner.calls == []
    assert owner.reader.state is ReaderState.SLOW


# -- closing


@pytest.mark.parametrize("code", [b"", b"\x03\xe8", b"\x03\xe9"], ids=["none", "1000", "1001"])
def test_common_close_frame_is_reported_and_ends_the_stream(code: bytes) -> None:
    owner = Owner()
    owner.reader.feed(
        client_frame(TEXT, b"a") + client_frame(CLOSE, code) + client_frame(TEXT, b"late")
    )
    owner.reader.feed(client_frame(TEXT, b"later"))
    assert owner.calls == [text(b"a"), ("close", code)]
    assert owner.slow == b""
    assert not owner.reader.has_pending
    assert owner.reader.state is ReaderState.CLOSED


def test_close_frame_takes_the_slow_path_when_it_arrives_in_pieces() -> None:
    frame = client_frame(CLOSE, b"\x03\xe8")
    for boundary in range(2, len(frame)):
        owner = Owner()
        owner.reader.feed(frame[:boundary])
        owner.reader.feed(frame[boundary:])
        assert owner.slow == frame
        assert owner.calls == []


def test_close_frame_inside_a_fragmented_message_takes_the_slow_path() -> None:
    owner = Owner()
    owner.held = 1
    owner.reader.feed(client_frame(TEXT, b"x", fin=False))
    close = client_frame(CLOSE)
    owner.reader.feed(close)
    assert owner.slow.endswith(close)
    assert owner.calls == []


def test_closed_reader_passes_the_rest_of_the_chunk_to_the_slow_path() -> None:
    owner = Owner()
    owner.on_record = owner.reader.close
    rest = client_frame(TEXT, b"ignored") + client_frame(CLOSE)
    owner.reader.feed(client_frame(TEXT, b"last") + rest)
    assert owner.calls == [text(b"last")]
    assert owner.slow == rest
    owner.reader.feed(b"\x81")
    assert owner.slow == rest + b"\x81", "no byte is kept: the library joins them"
    assert not owner.reader.has_pending


def test_stopped_reader_drops_all_bytes() -> None:
    owner = Owner()
    owner.reader.feed(client_frame(TEXT, b"half")[:4])
    owner.reader.stop()
    assert not owner.reader.has_pending
    owner.reader.feed(client_frame(TEXT, b"late") + client_frame(CLOSE))
    assert owner.calls == []
    assert owner.slow == b""
    assert owner.reader.state is ReaderState.CLOSED


def test_closed_reader_cannot_be_paused_or_resumed() -> None:
    owner = Owner()
    owner.reader.close()
    owner.reader.pause()
    assert owner.reader.state is ReaderState.CLOSED
    owner.reader.resume()
    assert owner.reader.state is ReaderState.CLOSED


# -- pausing


def test_paused_reader_keeps_the_rest_of_the_chunk_until_it_resumes() -> None:
    owner = Owner()
    owner.on_record = owner.reader.pause
    owner.reader.feed(b"".join(client_frame(TEXT, b"%d" % number) for number in range(3)))
    assert owner.calls == [text(b"0")]
    owner.reader.feed(client_frame(TEXT, b"3")[:5])
    assert owner.calls == [text(b"0")]
    for delivered in range(2, 4):
        owner.reader.resume()
        owner.reader.feed(b"")
        assert len(owner.calls) == delivered
        assert owner.reader.state is ReaderState.PAUSED
    owner.on_record = lambda: None
    owner.reader.resume()
    owner.reader.feed(client_frame(TEXT, b"4")[:0])
    assert owner.reader.state is ReaderState.FAST
    assert owner.reader.has_pending, "the beginning of an incomplete frame"


def test_pause_keeps_an_incomplete_frame() -> None:
    frame = client_frame(TEXT, b"x" * 200)
    owner = Owner()
    owner.reader.feed(frame[:20])
    owner.reader.pause()
    owner.reader.feed(frame[20:])
    assert owner.calls == []
    owner.reader.resume()
    owner.reader.feed(b"")
    assert owner.calls == [text(b"x" * 200)]


def test_pause_inside_a_fragmented_message_resumes_there() -> None:
    owner = Owner()
    owner.held = 1
    owner.reader.feed(client_frame(TEXT, b"x", fin=False))
    owner.reader.pause()
    last = client_frame(CONT, b"y")
    owner.reader.feed(last)
    assert not owner.slow.endswith(last)
    owner.reader.resume()
    assert owner.reader.state is ReaderState.FRAGMENTED
    owner.held = -1
    owner.reader.feed(b"")
    assert owner.slow.endswith(last)
    assert owner.reader.state is ReaderState.FAST


def test_pause_inside_a_frame_of_the_slow_path_delivers_nothing_until_it_resumes() -> None:
    owner = Owner()
    ping = client_frame(PING, b"there?")
    owner.reader.feed(ping[:8])
    owner.reader.pause()
    owner.reader.feed(ping[8:] + client_frame(TEXT, b"a"))
    assert owner.slow == ping[:8]
    owner.reader.resume()
    owner.reader.feed(b"")
    assert owner.slow == ping
    assert owner.calls == [text(b"a")]


def test_pause_with_an_extension_keeps_the_slices_that_were_not_read() -> None:
    owner = Owner(has_extensions=True)
    data = bytes(3 * SLICE)
    passed = owner.slow_data_received

    def pause_then_pass(piece: bytes) -> int:
        owner.reader.pause()
        return passed(piece)

    owner.slow_data_received = pause_then_pass
    owner.reader.feed(data)
    assert owner.slow_sizes == [SLICE]
    assert owner.reader.has_pending
    owner.slow_data_received = passed
    owner.reader.resume()
    assert owner.reader.state is ReaderState.SLOW
    owner.reader.feed(b"")
    assert owner.slow == data
    assert not owner.reader.has_pending


def test_close_ends_a_pause() -> None:
    owner = Owner()
    owner.reader.pause()
    frame = client_frame(CLOSE)
    owner.reader.feed(frame[:3])
    owner.reader.close()
    owner.reader.feed(frame[3:])
    assert owner.slow == frame


# -- callbacks that raise


def test_failed_callback_does_not_stop_the_next_message() -> None:
    owner = Owner()
    error = ValueError("broken")

    def fail(payload: bytes) -> None:
        raise error

    owner.reader.receive_text = fail
    owner.reader.feed(client_frame(TEXT, b"a") + client_frame(BINARY, b"b"))
    assert owner.failures == [error]
    assert owner.calls == [("binary", b"b")]


def test_error_that_the_handler_raises_ends_the_chunk() -> None:
    owner = Owner()

    def fail(payload: bytes) -> None:
        raise ProtocolError("not allowed")

    owner.reader.receive_text = fail
    with pytest.raises(ProtocolError, match="not allowed"):
        owner.reader.feed(client_frame(TEXT, b"a") + client_frame(BINARY, b"b"))
    assert owner.calls == []
    assert not owner.reader.has_pending


def test_error_of_a_callback_that_stops_the_reader_leaves_feed() -> None:
    owner = Owner()
    error = ValueError("after the end")

    def stop_and_fail(payload: bytes) -> None:
        owner.reader.stop()
        raise error

    owner.reader.receive_text = stop_and_fail
    with pytest.raises(ValueError, match="after the end"):
        owner.reader.feed(client_frame(TEXT, b"a") + client_frame(BINARY, b"b"))
    assert owner.calls == []
    assert owner.failures == [], "a stopped reader has released its handler"


# -- turns


def test_large_chunk_is_divided_when_the_turn_is_over() -> None:
    owner = Owner()
    owner.is_over = True
    frames = [text_frame(f"{number:06}") for number in range(3000)]
    owner.reader.feed(b"".join(frames))
    first = len(owner.calls)
    assert 0 < first * len(frames[0]) <= TURN_BYTES + len(frames[0])
    assert owner.reader.has_pending
    turns = 1
    while owner.reader.has_pending:
        owner.reader.feed(b"")
        turns += 1
    assert [payload for _, payload in owner.calls] == [b"%06d" % n for n in range(3000)]
    assert turns == owner.checks + 1
    assert owner.reader.partial_amount < sum(map(len, frames)), "each byte counts once"


def test_small_chunk_of_usual_frames_is_read_without_a_check_of_the_turn() -> None:
    owner = Owner()
    owner.reader.feed(text_frame("x") * 1000)
    assert (len(owner.calls), owner.checks) == (1000, 0)


@pytest.fixture
def slow_handlers(monkeypatch: pytest.MonkeyPatch) -> Callable[[Owner, float], None]:
    """Let the handler of each message take a number of seconds."""
    now = 1.0
    monkeypatch.setattr(frame_reader, "perf_counter", lambda: now)

    def slow_down(owner: Owner, seconds: float) -> None:
        def work() -> None:
            nonlocal now
            now += seconds

        owner.on_record = work

    return slow_down


def test_short_chunk_is_divided_when_its_messages_take_the_time_of_a_turn(
    slow_handlers: Callable[[Owner, float], None],
) -> None:
    owner = Owner()
    slow_handlers(owner, TURN_SECONDS / 2)
    owner.reader.feed(text_frame("x") * 100)
    assert (len(owner.calls), owner.ended_turns, owner.checks) == (3, 1, 0)
    assert owner.reader.has_pending
    while owner.reader.has_pending:
        owner.reader.feed(b"")
    # Each turn begins behind its first message; the last 18 messages have no check.
    assert (len(owner.calls), owner.ended_turns) == (100, 28)


def test_first_slow_message_of_a_turn_lets_each_one_be_checked(
    slow_handlers: Callable[[Owner, float], None],
) -> None:
    owner = Owner()
    frame = text_frame("x")
    owner.reader.receive_text = lambda payload: owner.record("text", payload)
    slow_handlers(owner, 0.0)
    owner.reader.feed(frame * 40)
    assert (len(owner.calls), owner.ended_turns) == (40, 0)
    slow_handlers(owner, TURN_SECONDS)
    owner.reader.feed(frame * 40)
    assert (len(owner.calls), owner.ended_turns) == (42, 1)


def test_chunk_of_a_few_short_messages_is_read_in_one_turn(
    slow_handlers: Callable[[Owner, float], None],
) -> None:
    owner = Owner()
    slow_handlers(owner, TURN_SECONDS)
    frames = TIME_BYTES // len(text_frame("x"))
    owner.reader.feed(text_frame("x") * frames)
    assert (len(owner.calls), owner.ended_turns) == (frames, 0)


def test_turn_is_checked_after_each_frame_of_the_slow_path() -> None:
    owner = Owner()
    owner.is_over = True
    ping = client_frame(PING, b"x")
    owner.reader.feed(ping * 3 + text_frame("end"))
    sizes = [len(owner.slow_sizes)]
    for _ in range(3):
        owner.reader.feed(b"")
        sizes.append(len(owner.slow_sizes))
    assert sizes == [1, 2, 3, 3]
    assert owner.calls == [("text", b"end")]
    assert owner.slow == ping * 3


def test_turn_is_checked_before_each_slice_of_compressed_data() -> None:
    owner = Owner(has_extensions=True)
    owner.is_over = True
    data = bytes(SLICE * 3 + 5)
    owner.reader.feed(data)
    assert owner.slow_sizes == []
    passed = owner.slow_data_received

    def end_the_turn(piece: bytes) -> int:
        owner.is_over = True
        return passed(piece)

    owner.slow_data_received = end_the_turn
    owner.is_over = False
    owner.reader.feed(b"")
    assert owner.slow_sizes == [SLICE]
    owner.slow_data_received = passed
    owner.is_over = False
    owner.reader.feed(b"")
    assert owner.slow == data
    assert owner.reader.partial_amount == len(data)


def test_bytes_that_arrive_after_an_interrupted_turn_follow_the_kept_ones() -> None:
    owner = Owner()
    owner.is_over = True
    frame = text_frame("x" * 100)
    owner.reader.feed(frame * 200)
    owner.is_over = False
    owner.reader.feed(text_frame("last"))
    assert len(owner.calls) == 201
    assert owner.calls[-1] == ("text", b"last")
