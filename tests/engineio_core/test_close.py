"""How sessions end: every reason, on every transport, and what each side sees of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engineio_core import CloseReason, Session, SessionClosedError, SessionState
from tests.helpers.client import Server
from tests.helpers.wire import TEXT, client_frame, http_request

# -- transport error


def test_a_second_poll_closes_the_session_with_transport_error() -> None:
    server = Server()
    client = server.open_polling()
    first, second = client.poll(), client.poll()
    assert (first.response().text, second.response().status) == ("1", 400)
    assert server.closed == [("transport error", "overlap from client")]
    assert client.poll().response().json["code"] == 1


def test_polls_that_are_pipelined_overlap_never() -> None:
    server = Server()
    client = server.open_polling()
    target = server.target(transport="polling", sid=client.sid)
    connection = server.connect()
    connection.feed(http_request("GET", target) * 2)
    server.session.send_text("one")
    assert connection.response().text == "4one"
    server.session.send_text("two")
    assert connection.response().text == "4two"
    assert server.closed == []


def test_a_poll_behind_one_that_overlaps_is_refused_as_well() -> None:
    server = Server()
    client = server.open_polling()
    connection = server.connect()
    connection.feed(http_request("GET", server.target(transport="polling", sid=client.sid)) * 2)
    client.poll()
    assert [each.status for each in connection.responses()] == [200, 400]


def test_a_second_post_closes_the_session_with_transport_error() -> None:
    server = Server()
    client = server.open_polling()
    target = server.target(transport="polling", sid=client.sid)
    first = server.connect()
    first.feed(http_request("POST", target, {"Content-Length": "100"}) + b"4half")
    second = client.post("4whole")
    assert second.response().status == 400
    assert first.tcp.is_aborted
    assert server.closed == [("transport error", "data request overlap from client")]
    assert server.received == []


@pytest.mark.parametrize("end", ["lose", "finish"])
def test_a_poll_that_is_given_up_closes_the_session_with_transport_error(end: str) -> None:
    server = Server()
    poll = server.open_polling().poll()
    getattr(poll.tcp, end)()
    server.clock.run()
    assert server.closed == [("transport error", "poll connection closed prematurely")]
    assert server.engine.sessions == {}


def test_an_upload_that_is_given_up_closes_the_session_with_transport_error() -> None:
    server = Server()
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    connection.feed(http_request("POST", target, {"Content-Length": "100"}) + b"4half")
    connection.tcp.lose()
    assert server.closed == [("transport error", "data request connection closed prematurely")]
    assert server.received == []


def test_a_connection_without_a_request_may_go() -> None:
    server = Server()
    client = server.open_polling()
    poll = client.poll()
    server.session.send_text("hi")
    poll.response()
    poll.tcp.lose()
    assert server.closed == []


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_polls_that_close_their_connection_do_not_close_the_session(version: str) -> None:
    server = Server()
    client = server.open_polling()
    target = server.target(transport="polling", sid=client.sid)
    connection = server.connect()
    connection.feed(http_request("GET", target, {"Connection": "close"}, version=version))
    server.session.send_text("hi")
    response = connection.response()
    assert (response.text, response.header("Connection")) == ("4hi", "close")
    assert connection.tcp.is_closed
    assert server.closed == []


def test_a_post_with_binary_content_closes_the_session_with_transport_error() -> None:
    server = Server()
    client = server.open_polling()
    poll = client.poll()
    post = client.post(b"4abc", {"Content-Type": "application/octet-stream"})
    assert (post.response().status, poll.response().text) == (400, "1")
    assert server.closed == [("transport error", "invalid content")]


def test_a_ping_from_the_client_closes_the_session_with_transport_error(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    client.send_packet("2")
    assert server.closed == [("transport error", "invalid heartbeat direction")]
    assert client.is_over


def test_a_message_above_the_limit_closes_a_websocket_with_1009() -> None:
    server = Server(max_http_buffer_size=100)
    client = server.open_websocket()
    client.frame(TEXT, b"4" + b"x" * 100)
    assert client.close_code == 1009
    assert server.reasons == ["transport error"]


# -- transport close


def test_a_websocket_close_frame_closes_the_session_with_transport_close() -> None:
    server = Server()
    client = server.open_websocket()
    client.frame(8, b"\x03\xe8bye")
    assert server.reasons == ["transport close"]
    assert client.close_code == 1000


@pytest.mark.parametrize("end", ["lose", "finish"])
def test_the_end_of_a_websockets_tcp_closes_the_session_with_transport_close(end: str) -> None:
    server = Server()
    client = server.open_websocket()
    getattr(client.tcp, end)()
    server.clock.run()
    assert server.reasons == ["transport close"]
    assert server.clock.pending <= 1, "only the heartbeat's timer may be left"


def test_a_close_packet_closes_the_session_with_transport_close(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    client.send_packet("1")
    assert server.reasons == ["transport close"]
    assert client.is_over


def test_a_close_packet_by_post_releases_the_poll_with_a_noop() -> None:
    server = Server()
    client = server.open_polling()
    poll = client.poll()
    assert client.post("1").response().text == "ok"
    assert poll.response().text == "6"
    assert client.poll().response().status == 400


def test_packets_behind_a_close_packet_are_not_delivered(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    if transport == "polling":
        assert client.post("4a\x1e1\x1e4b\x1enonsense").response().text == "ok"
    else:
        client.feed(b"".join(client_frame(TEXT, each) for each in (b"4a", b"1", b"4b")))
    assert server.received == ["a"]
    assert server.reasons == ["transport close"]


# -- forced close


def test_the_server_closes_a_session_with_forced_close(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    client.packets()
    server.session.close()
    assert client.is_over
    assert server.reasons == ["forced close"]
    assert server.session.state is SessionState.CLOSED


def test_the_pending_poll_is_answered_with_a_close_packet() -> None:
    server = Server()
    poll = server.open_polling().poll()
    server.session.close()
    assert poll.response().text == "1"
    assert server.reasons == ["forced close"]


def test_without_a_pending_poll_the_next_one_is_told_of_the_close() -> None:
    server = Server()
    client = server.open_polling()
    server.session.close()
    assert server.closed == []
    assert client.poll().response().text == "6\x1e1"
    assert server.reasons == ["forced close"]
    assert client.poll().response().status == 400


def test_a_client_that_does_not_fetch_its_close_packet_is_forgotten() -> None:
    server = Server(close_timeout=30, ping_interval=3)
    client = server.open_polling()
    server.session.close()
    server.clock.advance(29)
    assert server.closed == []
    server.clock.advance(1)
    assert server.reasons == ["forced close"]
    assert client.poll().response().status == 400


def test_a_close_waits_until_the_outbox_is_fetched() -> None:
    server = Server()
    client = server.open_polling()
    for number in range(3):
        server.session.send_text(f"last {number}")
    server.session.close()
    server.session.send_text("too late")
    assert client.poll().response().text == "4last 0\x1e4last 1\x1e4last 2"
    assert server.closed == []
    assert client.poll().response().text == "6\x1e1"
    assert server.reasons == ["forced close"]


def test_a_close_waits_until_a_stalled_websocket_has_read() -> None:
    server = Server()
    client = server.open_websocket()
    client.tcp.stall()
    for number in range(4):
        server.session.send_text(f"{number}" * 50_000)
    server.session.close()
    assert server.session.state is SessionState.CLOSING
    client.tcp.unstall()
    assert [text[:1] for text in client.messages()] == ["0", "1", "2", "3"]
    assert client.close_code == 1005
    assert server.reasons == ["forced close"]


def test_a_closed_websocket_counts_as_closed_before_the_client_has_answered() -> None:
    server = Server(close_timeout=30)
    client = server.open_websocket()
    server.session.close()
    assert server.reasons == ["forced close"]
    assert client.close_code == 1005
    client.send("ignored")
    assert server.received == []
    assert not client.tcp.is_over
    client.frame(8)
    assert client.tcp.has_written_eof
    client.tcp.finish()
    assert client.tcp.is_closed
    server.clock.advance(60)
    assert server.reasons == ["forced close"]


def test_a_client_that_never_answers_a_close_frame_is_cut() -> None:
    server = Server(close_timeout=30)
    client = server.open_websocket()
    server.session.close()
    server.clock.advance(29)
    assert not client.tcp.is_aborted
    server.clock.advance(1)
    assert client.tcp.is_aborted


def test_discarding_drops_what_waits(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    if transport == "websocket":
        client.tcp.stall()
        server.session.send_text("x" * 100_000)
        server.session.send_text("dropped")
    else:
        server.session.send_text("dropped")
    server.session.close(discard=True)
    assert server.reasons == ["forced close"]
    assert server.session.buffered_amount >= 0
    if transport == "polling":
        assert client.poll().response().status == 400
    else:
        assert client.tcp.is_aborted


def test_stopping_the_engine_drops_what_waits_even_while_closing() -> None:
    server = Server()
    client = server.open_polling()
    server.session.send_text("dropped")
    server.session.close()
    server.engine.close()
    assert server.reasons == ["forced close"]
    assert client.poll().response().json["code"] == 1


def test_stopping_the_engine_ends_all_sessions_and_timers() -> None:
    server = Server()
    polling, websocket = server.open_polling(), server.open_websocket()
    poll = polling.poll()
    candidate = server.open_polling().upgrade()
    candidate.send_packet("2probe")
    server.engine.close()
    assert poll.response().text == "1"
    assert websocket.close_code == candidate.close_code == 1005
    assert server.reasons == ["forced close"] * 3
    assert server.engine.sessions == {}
    for client in (websocket, candidate):
        client.frame(8)
        client.tcp.finish()
    server.clock.run()
    assert server.clock.pending == len(server.engine._connections)


def test_an_engine_that_was_closed_serves_again(transport: str) -> None:
    server = Server(echo=True)
    server.open(transport)
    server.engine.close()
    client = server.open(transport)
    client.send("again")
    assert client.messages() == ["again"]
    server.clock.advance(25.3)
    assert "2" in client.packets()


def test_an_upload_in_progress_is_cut_when_the_session_closes() -> None:
    server = Server()
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    connection.feed(http_request("POST", target, {"Content-Length": "100"}) + b"4half")
    server.session.close()
    assert connection.tcp.is_aborted


def test_closing_in_a_handler_of_a_payload_stops_the_payload(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    heard: list[str] = []

    def hear(text: str) -> None:
        heard.append(text)
        server.session.close()

    server.session.on_text = hear
    if transport == "polling":
        poll = client.poll()
        assert client.post("4first\x1e4second").response().text == "ok"
        assert poll.response().text == "1"
    else:
        client.feed(client_frame(TEXT, b"4first") + client_frame(TEXT, b"4second"))
        assert client.close_code == 1005
    assert heard == ["first"]
    assert server.reasons == ["forced close"]


def test_a_client_that_closes_while_the_server_does_ends_with_forced_close() -> None:
    server = Server()
    client = server.open_polling()
    server.session.send_text("never fetched")
    server.session.close()
    client.send_packet("1")
    assert server.reasons == ["forced close"]


def test_a_websocket_lost_while_the_server_closes_ends_with_forced_close() -> None:
    server = Server()
    client = server.open_websocket()
    client.tcp.stall()
    server.session.send_text("x" * 100_000)
    server.session.send_text("never read")
    server.session.close()
    client.tcp.lose()
    assert server.reasons == ["forced close"]


def test_closing_while_reading_is_paused_still_sees_the_clients_answer(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    client.packets()
    server.session.pause_reading()
    server.session.close()
    assert server.reasons == ["forced close"]
    if transport == "websocket":
        client.frame(8)
        assert client.tcp.has_written_eof


def test_closing_when_tcp_is_gone_already_is_no_error() -> None:
    server = Server()
    client = server.open_websocket()
    client.tcp.abort()  # connection_lost comes in the next turn of the loop
    server.session.send_text("into the void")
    server.session.pause_reading()
    server.session.resume_reading()
    server.session.close()
    server.clock.run()
    assert server.reasons == ["forced close"]


# -- parse error


@pytest.mark.parametrize("packet", ["abc", "", "7", "\u20ac", "-"])
def test_an_unknown_packet_closes_the_session_with_parse_error(packet: str, transport: str) -> None:
    server = Server()
    client = server.open(transport)
    client.packets()
    client.send_packet(packet)
    assert server.reasons == ["parse error"]
    assert client.is_over


@pytest.mark.parametrize("body", [b"abc", b"", b"4a\x1e", b"\x1e4a", b"4\xff", b"bA"])
def test_a_payload_that_is_none_is_answered_400(body: bytes) -> None:
    server = Server()
    client = server.open_polling()
    poll = client.poll()
    assert client.post(body).response().status == 400
    assert poll.response().text == "1"
    assert client.poll().response().status == 400
    assert server.reasons == ["parse error"]


def test_the_packets_before_a_bad_one_are_delivered(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    if transport == "polling":
        client.post("4good\x1enone\x1e4late")
    else:
        client.feed(b"".join(client_frame(TEXT, each) for each in (b"4good", b"x", b"4late")))
    assert server.received == ["good"]
    assert server.reasons == ["parse error"]


# -- what listeners see


def test_what_was_not_sent_can_be_read_in_the_close_listener_and_is_gone_after(
    transport: str,
) -> None:
    server = Server()
    client = server.open(transport)
    seen: list[int] = []
    session = server.session
    session.on_close = lambda reason, why: seen.append(len(session.outbox))
    if transport == "websocket":
        client.tcp.stall()
        session.send_text("x" * 100_000)
    session.send_text("unsent")
    if transport == "polling":
        client.poll()  # fetches; what comes next waits
        session.send_text("unsent")
        client.send_packet("2")
    else:
        client.tcp.lose()
    assert seen == [1]
    assert session.outbox == ()


def test_a_close_listener_that_fails_harms_nobody(transport: str) -> None:
    server = Server()
    client = server.open(transport)

    def fail(reason: CloseReason, why: str) -> None:
        raise RuntimeError("bug")

    server.session.on_close = fail
    client.send_packet("1")
    assert server.engine.sessions == {}
    server.open(transport)


def test_after_its_end_a_session_takes_everything_and_does_nothing(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    session = server.session
    session.close(discard=True)
    client.packets()
    session.send_text("late")
    session.close()
    session.close(discard=True)
    session.pause_reading()
    session.resume_reading()
    assert not session.writable
    assert client.messages() == []
    assert server.reasons == ["forced close"]


async def test_waiting_for_a_drain_ends_with_the_session(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    session = server.session
    if transport == "websocket":
        client.tcp.stall()
        session.send_text("x" * 100_000)
    session.send_text("unsent")
    waiting = [session.drain() for _ in range(2)]
    server.clock.call_soon(session.close)
    tasks = [asyncio.ensure_future(each) for each in waiting]
    await asyncio.sleep(0)
    session.close(discard=True)
    for task in tasks:
        with pytest.raises(SessionClosedError, match="forced close"):
            await task
    with pytest.raises(SessionClosedError):
        await session.drain()


def test_closing_the_session_closes_the_websocket_that_probes_for_it() -> None:
    server = Server()
    candidate = server.open_polling().upgrade()
    candidate.send_packet("2probe")
    server.session.close(discard=True)
    assert candidate.close_code == 1005
    candidate.send_packet("5")
    assert server.reasons == ["forced close"]


def test_a_session_in_a_close_listener_may_open_nothing_that_is_lost() -> None:
    server = Server()
    server.open_websocket()
    reopened: list[Any] = []
    session: Session = server.session
    session.on_close = lambda reason, why: reopened.append(server.open_websocket())
    session.close()
    reopened[0].send("hello")
    assert server.received == ["hello"]
