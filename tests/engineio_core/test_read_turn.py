"""Turns of connections: one with very much data does not delay another one."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from engineio_core import PerMessageDeflate, read_turn
from engineio_core.codec import frame_reader
from engineio_core.http.connection import MAX_EMPTY_LINES, MAX_PIPELINED
from engineio_core.read_turn import TIME_BYTES, TURN_BYTES, TURN_SECONDS, ReadTurn
from engineio_core.transports.polling import MAX_IGNORED
from engineio_core.transports.websocket import MAX_SMALL_FRAMES, SMALL_FRAMES_SECONDS
from tests.helpers.client import Connection, PollingClient, Server
from tests.helpers.fake_clock import FakeClock, FakeHandle
from tests.helpers.wire import (
    CLOSE,
    CONT,
    PING,
    TEXT,
    WEBSOCKET_HEADERS,
    client_frame,
    http_request,
    text_frame,
)

CHUNK = 200_000
DEFLATE = {
    **WEBSOCKET_HEADERS,
    "Sec-WebSocket-Extensions": "permessage-deflate; client_no_context_takeover",
}


@pytest.fixture
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each check of a turn be late."""
    seconds = count(0.0, 1.0)
    monkeypatch.setattr(read_turn, "perf_counter", lambda: next(seconds))


def test_turn_begins_with_the_first_check_and_ends_after_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(read_turn, "perf_counter", lambda: now)
    clock = FakeClock()
    continued: list[float] = []
    turn = ReadTurn(clock, lambda: continued.append(now))
    assert not turn.is_over()
    now = TURN_SECONDS * 0.9
    assert not turn.is_over()
    now = TURN_SECONDS
    assert turn.is_over()
    now = 0.0
    assert turn.is_over(), "it stays over"
    clock.run()
    assert continued == [0.0]
    assert not turn.is_interrupted


def test_interrupted_turn_leaves_one_iteration_to_other_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = count(0.0, 1.0)
    monkeypatch.setattr(read_turn, "perf_counter", lambda: next(seconds))
    calls: list[Callable[[], object]] = []

    class Iterations(FakeClock):
        def call_soon(self, callback: Callable[..., object], *args: Any, **_: Any) -> FakeHandle:
            calls.append(callback)
            return FakeHandle(0.0, callback, args)

    continued: list[str] = []
    turn = ReadTurn(Iterations(), lambda: continued.append("proceed"))
    assert [turn.is_over(), turn.is_over()] == [False, True]
    calls.pop()()
    assert (continued, turn.is_over()) == ([], True)
    calls.pop()()
    assert continued == ["proceed"]
    assert calls == []
    assert not turn.is_over(), "a new turn begins"


def test_turn_that_is_not_interrupted_calls_nothing() -> None:
    clock = FakeClock()
    turn = ReadTurn(clock, lambda: pytest.fail("called"))
    assert not turn.is_over()
    clock.run()


@pytest.mark.parametrize("is_begun", [False, True], ids=["not begun", "begun"])
def test_turn_that_is_ended_continues_in_the_next_one(*, is_begun: bool) -> None:
    clock = FakeClock()
    continued: list[str] = []
    turn = ReadTurn(clock, lambda: continued.append("proceed"))
    if is_begun:
        assert not turn.is_over()
    turn.end()
    assert turn.is_interrupted
    assert turn.is_over()
    clock.run()
    assert continued == ["proceed"]
    assert not turn.is_interrupted
    assert not turn.is_over(), "a new turn begins"


@pytest.fixture
def slow_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the time of a turn pass with each check of the time."""
    seconds = count(1.0, TURN_SECONDS)
    monkeypatch.setattr(frame_reader, "perf_counter", lambda: next(seconds))


@pytest.mark.usefixtures("slow_handlers")
def test_other_client_is_served_between_messages_with_slow_handlers() -> None:
    server = Server()
    flooding, other = server.open_websocket(), server.open_websocket()
    flooding.tcp.feed(text_frame("4slow") * 20)
    assert flooding.tcp.is_reading_paused
    other.tcp.feed(text_frame("4other"))
    assert server.received == ["slow", "slow", "other"]
    server.clock.run()
    assert server.received.count("slow") == 20
    assert not flooding.tcp.is_reading_paused


@pytest.mark.usefixtures("slow_handlers")
def test_messages_that_wait_for_a_turn_are_delivered_when_the_client_leaves() -> None:
    server = Server()
    client = server.open_websocket()
    client.tcp.feed(text_frame("4slow") * 30)
    assert len(server.received) == 2
    client.tcp.break_off()
    assert len(server.received) == 4, "the rest takes turns"
    assert server.reasons == []
    client.session.send_text("not sent")
    client.session.resume_reading()
    server.clock.run()
    assert len(server.received) == 30
    assert server.reasons == ["transport close"]


@pytest.mark.usefixtures("slow_handlers")
@pytest.mark.parametrize("discard", [False, True], ids=["after the queue", "at once"])
def test_session_that_closes_while_the_messages_of_a_lost_client_wait_receives_no_more(
    *, discard: bool
) -> None:
    server = Server()
    client = server.open_websocket()
    client.tcp.feed(text_frame("4slow") * 30)
    client.tcp.break_off()
    client.session.close(discard=discard)
    received = len(server.received)
    server.clock.run()
    assert len(server.received) == received
    assert server.reasons == ["forced close"]
    server.engine.close()
    assert server.clock.pending == 0


@pytest.mark.usefixtures("slow_machine")
def test_short_post_is_delivered_in_several_turns() -> None:
    server = Server()
    other = server.open_websocket()
    _, connection = send_long_post(server, 30)
    assert 0 < len(server.received) < 5
    other.tcp.feed(text_frame("4other"))
    assert server.received[-1] == "other"
    server.clock.run()
    assert connection.response().text == "ok"
    server.received.remove("other")
    assert server.received == [f"{number:06}" for number in range(30)]


@pytest.mark.usefixtures("slow_machine")
def test_other_client_is_served_between_the_turns_of_a_large_chunk() -> None:
    server = Server()
    flooding, other = server.open_websocket(), server.open_websocket()
    flooding.tcp.feed(text_frame("4flood") * (CHUNK // 12))
    other.tcp.feed(text_frame("4other"))
    before = server.received.index("other")
    assert 0 < before <= 2 * (TURN_BYTES + TIME_BYTES) // 12
    server.clock.run()
    assert server.received.count("flood") == CHUNK // 12
    assert not flooding.tcp.is_reading_paused


@pytest.mark.usefixtures("slow_machine")
def test_pings_are_answered_in_several_turns_while_other_clients_are_served() -> None:
    server = Server()
    flooding, other = server.open_websocket(), server.open_websocket()
    flooding.tcp.feed(client_frame(PING) * 100)
    assert flooding.tcp.is_reading_paused
    other.tcp.feed(text_frame("4other"))
    assert server.received == ["other"]
    assert len(flooding.frames()) == 100
    assert not flooding.tcp.is_reading_paused


@pytest.mark.usefixtures("slow_machine")
def test_reading_pauses_within_a_message_that_inflates_to_a_long_one() -> None:
    server = Server(max_http_buffer_size=10**6, per_message_deflate=PerMessageDeflate())
    client = server.open_websocket(DEFLATE)
    compressor = zlib.compressobj(wbits=-15)
    inflating = compressor.compress(b"4" + b"x" * 990_000) + compressor.flush(zlib.Z_SYNC_FLUSH)
    message = client_frame(TEXT, inflating[:-4], rsv=4)
    received = []
    for _ in range(2):
        client.tcp.feed(message * 2)
        received.append((len(server.received), client.tcp.is_reading_paused))
    assert received == [(0, True), (0, True)]
    server.clock.run()
    assert len(server.received) == 4
    assert not client.tcp.is_reading_paused


@pytest.mark.usefixtures("slow_machine")
def test_reading_pauses_after_each_long_message() -> None:
    server = Server(max_http_buffer_size=10**6)
    client = server.open_websocket()
    message = client_frame(TEXT, b"4" + b"x" * 200_000)
    received = []
    for _ in range(3):
        client.tcp.feed(message[:100_000])
        client.tcp.feed(message[100_000:])
        received.append((len(server.received), client.tcp.is_reading_paused))
    assert received == [(1, True), (1, True), (1, True)]
    server.clock.run()
    assert len(server.received) == 3
    assert not client.tcp.is_reading_paused


@pytest.mark.usefixtures("slow_machine")
def test_client_that_leaves_during_an_interrupted_turn_is_released() -> None:
    server = Server()
    client = server.open_websocket()
    client.tcp.feed(client_frame(PING) * 100)
    client.tcp.lose()
    server.clock.run()
    assert server.reasons == ["transport close"]


@pytest.mark.usefixtures("slow_machine")
def test_reading_that_the_listener_paused_stays_paused_after_the_turn() -> None:
    server = Server()
    client = server.open_websocket()

    def receive(text: str) -> None:
        server.received.append(text)
        server.session.pause_reading()

    server.session.on_text = receive
    client.tcp.feed(client_frame(PING) * 3 + text_frame("4one") + text_frame("4two"))
    server.clock.run()
    assert server.received == ["one"]
    assert client.tcp.is_reading_paused
    server.session.resume_reading()
    server.clock.run()
    assert server.received == ["one", "two"]


@pytest.mark.usefixtures("slow_machine")
def test_close_frame_behind_an_interrupted_turn_completes_the_close_handshake() -> None:
    server = Server()
    client = server.open_websocket()
    client.tcp.feed(client_frame(PING) * 5 + client_frame(8, b"\x03\xe8"))
    server.session.close()
    server.clock.run()
    assert client.tcp.is_over


@pytest.mark.parametrize(
    "frames",
    [
        client_frame(PING) * (MAX_SMALL_FRAMES + 2),
        client_frame(TEXT, b"4", fin=False) + client_frame(CONT, b"", fin=False) * MAX_SMALL_FRAMES,
        client_frame(10) * (MAX_SMALL_FRAMES + 2),
    ],
    ids=["pings", "empty fragments", "pongs"],
)
def test_very_many_small_frames_close_the_connection_with_1008(frames: bytes) -> None:
    server = Server()
    client = server.open_websocket()
    client.feed(frames)
    assert client.close_code == 1008
    assert server.closed == [("transport error", "too many control frames or small fragments")]


def test_small_frames_below_the_rate_are_accepted() -> None:
    server = Server(ping_interval=3600)
    client = server.open_websocket()
    for _ in range(5):
        client.feed(client_frame(PING) * (MAX_SMALL_FRAMES - 1))
        server.clock.advance(SMALL_FRAMES_SECONDS)
    assert server.closed == []


def test_large_fragments_do_not_count_as_small_frames() -> None:
    server = Server(max_http_buffer_size=10**7)
    client = server.open_websocket()
    fragment = client_frame(CONT, bytes(300), fin=False)
    client.feed(client_frame(TEXT, b"4" + bytes(300), fin=False))
    client.feed(fragment * (MAX_SMALL_FRAMES + 5) + client_frame(CONT, b"end"))
    assert len(server.received) == 1


# -- HTTP


@pytest.mark.usefixtures("slow_machine")
def test_other_connection_is_served_between_pipelined_requests() -> None:
    server = Server()
    flooding, other = server.connect(), server.connect()
    flooding.tcp.feed(http_request("GET", "/") * 500)
    other.tcp.feed(http_request("GET", "/"))
    assert other.tcp.written.count(b"HTTP/1.1 404") == 1
    assert 0 < flooding.tcp.written.count(b"HTTP/1.1 404") < 10
    assert len(flooding.responses()) == 500


def send_long_post(server: Server, count: int) -> tuple[PollingClient, Connection]:
    """Send one POST with numbered messages; return the client and the connection of the POST."""
    client = server.open_polling()
    connection = server.connect()
    body = b"\x1e".join(b"4%06d" % number for number in range(count))
    target = server.target(transport="polling", sid=client.sid)
    connection.tcp.feed(http_request("POST", target, {}, body))
    return client, connection


@pytest.mark.usefixtures("slow_machine")
def test_packets_of_a_long_post_are_delivered_in_several_turns() -> None:
    server = Server()
    other = server.open_websocket()
    _, connection = send_long_post(server, 5000)
    assert 0 < len(server.received) < 5
    other.tcp.feed(text_frame("4other"))
    assert server.received[-1] == "other"
    assert connection.tcp.written == b""
    server.clock.run()
    assert connection.response().text == "ok"
    server.received.remove("other")
    assert server.received == [f"{number:06}" for number in range(5000)]


@pytest.mark.usefixtures("slow_machine")
def test_pause_between_turns_of_a_long_post_lasts_until_reading_resumes() -> None:
    server = Server()
    _, connection = send_long_post(server, 3000)
    server.session.pause_reading()
    before = len(server.received)
    server.clock.run()
    assert len(server.received) == before
    server.session.resume_reading()
    server.clock.run()
    assert connection.response().text == "ok"
    assert len(server.received) == 3000


@pytest.mark.usefixtures("slow_machine")
def test_rest_of_a_long_post_is_delivered_in_turns_when_the_client_leaves() -> None:
    server = Server()
    other = server.open_websocket()
    _, connection = send_long_post(server, 3000)
    connection.tcp.break_off()
    assert len(server.received) < 5
    other.tcp.feed(text_frame("4other"))
    assert server.received[-1] == "other"
    assert server.reasons == []
    server.clock.run()
    server.received.remove("other")
    assert server.received == [f"{number:06}" for number in range(3000)]
    assert server.reasons == ["transport error"]


@pytest.mark.usefixtures("slow_machine")
def test_client_that_leaves_during_a_pause_has_its_packets_delivered_in_turns() -> None:
    server = Server()
    _, connection = send_long_post(server, 3000)
    session = server.session
    session.pause_reading()
    server.clock.run()
    connection.tcp.break_off()
    assert len(server.received) < 10
    session.resume_reading()  # a handler ends
    assert len(server.received) < 10
    server.clock.run()
    assert server.received == [f"{number:06}" for number in range(3000)]
    assert server.reasons == ["transport error"]


@pytest.mark.usefixtures("slow_machine")
def test_rest_of_a_long_post_is_dropped_when_the_server_closes_the_session_of_a_lost_client() -> (
    None
):
    server = Server()
    _, connection = send_long_post(server, 3000)
    connection.tcp.break_off()
    before = len(server.received)
    server.session.close()
    server.clock.run()
    assert len(server.received) == before
    assert server.reasons == ["forced close"]


@pytest.mark.usefixtures("slow_machine")
def test_post_of_a_client_that_has_left_is_refused_while_its_packets_are_delivered() -> None:
    server = Server()
    client, connection = send_long_post(server, 3000)
    connection.tcp.break_off()
    target = server.target(transport="polling", sid=client.sid)
    again = server.connect()
    again.tcp.feed(http_request("POST", target, {}, b"4again"))
    assert again.response().status == 400
    server.clock.run()
    assert len(server.received) < 3000


@pytest.mark.usefixtures("slow_machine")
def test_long_post_is_answered_when_the_server_closes_the_session_between_turns() -> None:
    server = Server()
    _, connection = send_long_post(server, 3000)
    before = len(server.received)
    server.session.close()
    assert connection.response().text == "ok"
    assert len(server.received) == before


@pytest.mark.usefixtures("slow_machine")
def test_rest_of_a_long_post_is_not_read_when_the_server_has_closed_the_session() -> None:
    server = Server()
    client = server.open_polling()
    connection = server.connect()
    body = b"\x1e".join([b"4message"] * 3000 + [b"invalid"])
    target = server.target(transport="polling", sid=client.sid)
    connection.tcp.feed(http_request("POST", target, {}, body))
    server.session.close()
    assert connection.response().text == "ok"  # the last packet would be refused with 400


@pytest.mark.parametrize("ignored", [1, MAX_IGNORED - 1])
def test_close_packet_behind_ignored_packets_ends_a_closing_session(ignored: int) -> None:
    server = Server()
    client = server.open_polling()
    session = server.session
    session.close()
    assert not server.reasons
    connection = server.connect()
    body = b"\x1e".join([b"4message"] * ignored + [b"1"])
    target = server.target(transport="polling", sid=client.sid)
    connection.tcp.feed(http_request("POST", target, {}, body))
    assert connection.response().text == "ok"
    assert server.reasons == ["forced close"]


def upgrade_during_a_long_post(server: Server, count: int) -> tuple[Connection, Connection]:
    """Send a long POST, then upgrade; return the connections of the WebSocket and of the POST."""
    client, connection = send_long_post(server, count)
    target = server.target(transport="websocket", sid=client.sid)
    upgrade = http_request("GET", target, WEBSOCKET_HEADERS)
    websocket = server.connect()
    websocket.tcp.feed(upgrade + text_frame("2probe") + text_frame("5") + text_frame("4last"))
    return websocket, connection


@pytest.mark.usefixtures("slow_machine")
def test_upgrade_waits_for_the_turns_of_a_long_post() -> None:
    server = Server()
    other = server.open_websocket()
    websocket, connection = upgrade_during_a_long_post(server, 3000)
    assert len(server.received) < 10
    assert websocket.tcp.is_reading_paused
    assert server.session.transport.name == "polling"
    other.tcp.feed(text_frame("4other"))
    assert server.received[-1] == "other"
    server.session.send_text("reply")
    server.clock.run()
    assert connection.response().text == "ok"
    server.received.remove("other")
    assert server.received == [*(f"{number:06}" for number in range(3000)), "last"]
    assert server.session.transport.name == "websocket"
    assert not websocket.tcp.is_reading_paused
    assert websocket.tcp.written.endswith(b"4reply")


@pytest.mark.usefixtures("slow_machine")
@pytest.mark.parametrize("count", [3000, 20])
def test_upgrade_during_a_pause_takes_effect_after_the_packets_of_the_post(count: int) -> None:
    """Otherwise a client that polls no longer would receive neither acks nor pings."""
    server = Server()
    other = server.open_websocket()
    client, connection = server.open_polling(), server.connect()
    session = server.session

    def receive(text: str) -> None:
        server.received.append(text)
        session.pause_reading()

    session.on_text = receive
    body = b"\x1e".join(b"4%06d" % number for number in range(count))
    target = server.target(transport="polling", sid=client.sid)
    connection.tcp.feed(http_request("POST", target, {}, body))
    assert server.received == ["000000"]
    target = server.target(transport="websocket", sid=client.sid)
    websocket = server.connect()
    websocket.tcp.feed(
        http_request("GET", target, WEBSOCKET_HEADERS) + text_frame("5") + text_frame("4last")
    )
    session.send_text("reply")
    other.tcp.feed(text_frame("4other"))
    server.clock.run()
    assert connection.response().text == "ok"
    server.received.remove("other")
    assert server.received == [f"{number:06}" for number in range(count)]
    assert session.transport.name == "websocket"
    assert websocket.tcp.written.endswith(b"4reply")
    session.resume_reading()
    server.clock.run()
    assert server.received[-1] == "last"


@pytest.mark.usefixtures("slow_machine")
def test_pause_by_the_last_packet_of_a_post_continues_after_the_upgrade() -> None:
    server = Server()
    client, _ = send_long_post(server, 3000)
    session = server.session

    def receive(text: str) -> None:
        server.received.append(text)
        if text == "002999":
            session.pause_reading()

    session.on_text = receive
    target = server.target(transport="websocket", sid=client.sid)
    websocket = server.connect()
    websocket.tcp.feed(
        http_request("GET", target, WEBSOCKET_HEADERS) + text_frame("5") + text_frame("4last")
    )
    server.clock.run()
    assert session.transport.name == "websocket"
    assert server.received[-1] == "002999"
    session.resume_reading()
    assert server.received[-1] == "last"


@pytest.mark.usefixtures("slow_machine")
def test_session_ends_after_the_packets_of_a_post_when_its_websocket_closes_before() -> None:
    server = Server()
    websocket, _ = upgrade_during_a_long_post(server, 3000)
    websocket.tcp.break_off()
    assert server.reasons == []
    server.clock.run()
    assert server.received == [f"{number:06}" for number in range(3000)]
    assert server.reasons == ["transport error"]


@pytest.mark.usefixtures("slow_machine")
@pytest.mark.parametrize("discard", [True, False])
def test_session_close_closes_the_websocket_of_a_waiting_upgrade(discard: bool) -> None:
    server = Server()
    websocket, connection = upgrade_during_a_long_post(server, 3000)
    before = len(server.received)
    server.session.close(discard=discard)
    server.clock.run()
    assert server.reasons == ["forced close"]
    assert len(server.received) == before
    assert connection.response().text == "ok"
    assert websocket.frames()[-1].opcode == CLOSE


@pytest.mark.usefixtures("slow_machine")
def test_invalid_packet_of_a_post_ends_a_session_with_a_waiting_upgrade() -> None:
    server = Server()
    client = server.open_polling()
    connection = server.connect()
    body = b"\x1e".join([b"4message"] * 2000 + [b"invalid"])
    target = server.target(transport="polling", sid=client.sid)
    connection.tcp.feed(http_request("POST", target, {}, body))
    websocket = server.connect()
    target = server.target(transport="websocket", sid=client.sid)
    websocket.tcp.feed(http_request("GET", target, WEBSOCKET_HEADERS) + text_frame("5"))
    server.clock.run()
    assert connection.response().status == 400
    assert server.reasons == ["parse error"]
    assert websocket.frames()[-1].opcode == CLOSE


@pytest.mark.usefixtures("slow_machine")
def test_body_in_many_chunks_is_read_in_several_turns() -> None:
    server = Server()
    session = server.open_polling()
    connection = server.connect()
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in b"4" + b"x" * 300) + b"0\r\n\r\n"
    connection.tcp.feed(
        http_request(
            "POST", server.target(transport="polling", sid=session.sid),
            [("Transfer-Encoding", "chunked")],
        )
        + body
    )  # fmt: skip
    assert connection.tcp.is_reading_paused
    assert connection.response().status == 200
    assert server.received == ["x" * 300]
    assert not connection.tcp.is_reading_paused


def test_pipelined_requests_outside_the_fast_path_end_the_connection_at_a_limit() -> None:
    server = Server()
    connection = server.connect()
    request = http_request("GET", "/", [("X-Twice", "1"), ("X-Twice", "2")])
    connection.feed(request * (MAX_PIPELINED + 50))
    responses = connection.responses()
    assert len(responses) == MAX_PIPELINED
    assert responses[-1].header("Connection") == "close"
    assert connection.tcp.is_over


def test_requests_outside_the_fast_path_one_after_the_other_have_no_limit() -> None:
    server = Server()
    connection = server.connect()
    for _ in range(MAX_PIPELINED + 50):
        connection.feed(http_request("GET", "/", [("X-Twice", "1"), ("X-Twice", "2")]))
        assert connection.response().header("Connection") is None


def test_unwanted_body_in_very_many_chunks_ends_the_connection() -> None:
    server = Server(max_http_buffer_size=100_000)
    connection = server.connect()
    connection.feed(http_request("POST", "/nowhere", [("Transfer-Encoding", "chunked")]))
    assert connection.response().status == 404
    connection.feed(b"1\r\nx\r\n" * 2000)
    assert connection.tcp.is_over


@pytest.mark.parametrize("line", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
def test_very_many_empty_lines_before_a_request_are_refused(line: bytes) -> None:
    server = Server()
    connection = server.connect()
    connection.tcp.feed(line * (2 * MAX_EMPTY_LINES + 1) + http_request("GET", "/"))
    assert connection.response().status == 400
    assert connection.tcp.is_over
    usual = server.connect()
    usual.tcp.feed(line * MAX_EMPTY_LINES + http_request("GET", "/"))
    assert usual.response().status == 404


@pytest.mark.parametrize("line", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
def test_very_many_empty_lines_after_a_request_are_refused(line: bytes) -> None:
    server = Server()
    connection = server.connect()
    connection.tcp.feed(http_request("GET", "/") + line * 1_000_000)
    assert [each.status for each in connection.responses()] == [404, 400]
