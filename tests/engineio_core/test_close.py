"""Sessions that end with a transport close or a forced close, and their callbacks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engineio_core import CloseReason, Session, SessionClosedError, SessionState
from tests.helpers.client import Server
from tests.helpers.wire import TEXT, client_frame, http_request

# -- transport close


def test_close_frame_closes_the_session_with_transport_close() -> None:
    server = Server()
    client = server.open_websocket()
    client.frame(8, b"\x03\xe8bye")
    assert server.reasons == ["transport close"]
    assert client.close_code == 1000


@pytest.mark.parametrize("end", ["lose", "finish"])
def test_end_of_tcp_closes_a_websocket_with_transport_close(end: str) -> None:
    server = Server()
    client = server.open_websocket()
    getattr(client.tcp, end)()
    server.clock.run()
    assert server.reasons == ["transport close"]
    assert server.clock.pending <= 1, "only the timer of the heartbeat is left"


def test_close_packet_closes_the_session_with_transport_close(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    client.send_packet("1")
    assert server.reasons == ["transport close"]
    assert client.is_over


def test_close_packet_in_a_post_releases_the_poll_with_a_noop() -> None:
    server = Server()
    client = server.open_polling()
    poll = client.poll()
    assert client.post("1").response().text == "ok"
    assert poll.response().text == "6"
    assert client.poll().response().status == 400


def test_packets_after_a_close_packet_are_not_delivered(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    if transport == "polling":
        assert client.post("4a\x1e1\x1e4b\x1enonsense").response().text == "ok"
    else:
        client.feed(b"".join(client_frame(TEXT, each) for each in (b"4a", b"1", b"4b")))
    assert server.received == ["a"]
    assert server.reasons == ["transport close"]


# -- forced close


def test_server_close_ends_the_session_with_forced_close(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    client.packets()
    server.session.close()
    assert client.is_over
    assert server.reasons == ["forced close"]
    assert server.session.state is SessionState.CLOSED


def test_server_close_sends_a_close_packet_to_the_pending_poll() -> None:
    server = Server()
    poll = server.open_polling().poll()
    server.session.close()
    assert poll.response().text == "1"
    assert server.reasons == ["forced close"]


def test_server_close_sends_a_close_packet_to_the_next_poll_when_none_is_pending() -> None:
    server = Server()
    client = server.open_polling()
    server.session.close()
    assert server.closed == []
    assert client.poll().response().text == "6\x1e1"
    assert server.reasons == ["forced close"]
    assert client.poll().response().status == 400


def test_session_ends_after_the_close_timeout_when_the_client_does_not_poll() -> None:
    server = Server(close_timeout=30, ping_interval=3)
    client = server.open_polling()
    server.session.close()
    server.clock.advance(29)
    assert server.closed == []
    server.clock.advance(1)
    assert server.reasons == ["forced close"]
    assert client.poll().response().status == 400


def test_server_close_waits_until_the_client_fetched_the_outbox() -> None:
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


def test_server_close_waits_until_a_stalled_websocket_reads() -> None:
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


def test_session_ends_before_the_client_replies_to_the_close_frame() -> None:
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


def test_websocket_is_aborted_when_the_client_never_replies_to_the_close_frame() -> None:
    server = Server(close_timeout=30)
    client = server.open_websocket()
    server.session.close()
    server.clock.advance(29)
    assert not client.tcp.is_aborted
    server.clock.advance(1)
    assert client.tcp.is_aborted


def test_discarding_close_drops_the_outbox(transport: str) -> None:
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
    assert server.session.outbox == ()
    if transport == "polling":
        assert client.poll().response().status == 400
    else:
        assert client.tcp.is_aborted


def test_engine_close_drops_the_outbox_of_a_closing_session() -> None:
    server = Server()
    client = server.open_polling()
    server.session.send_text("dropped")
    server.session.close()
    server.engine.close()
    assert server.reasons == ["forced close"]
    assert client.poll().response().json["code"] == 1


def test_engine_close_ends_all_sessions_and_timers() -> None:
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


def test_closed_engine_serves_again(transport: str) -> None:
    server = Server(echo=True)
    server.open(transport)
    server.engine.close()
    client = server.open(transport)
    client.send("again")
    assert client.messages() == ["again"]
    server.clock.advance(25.3)
    assert "2" in client.packets()


def test_upload_in_progress_is_aborted_when_the_session_closes() -> None:
    server = Server()
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    connection.feed(http_request("POST", target, {"Content-Length": "100"}) + b"4half")
    server.session.close()
    assert connection.tcp.is_aborted


def test_close_within_a_callback_drops_the_rest_of_the_payload(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    received: list[str] = []

    def receive(text: str) -> None:
        received.append(text)
        server.session.close()

    server.session.on_text = receive
    if transport == "polling":
        poll = client.poll()
        assert client.post("4first\x1e4second").response().text == "ok"
        assert poll.response().text == "1"
    else:
        client.feed(client_frame(TEXT, b"4first") + client_frame(TEXT, b"4second"))
        assert client.close_code == 1005
    assert received == ["first"]
    assert server.reasons == ["forced close"]


def test_client_close_during_a_server_close_ends_with_forced_close() -> None:
    server = Server()
    client = server.open_polling()
    server.session.send_text("never fetched")
    server.session.close()
    client.send_packet("1")
    assert server.reasons == ["forced close"]


def test_lost_websocket_during_a_server_close_ends_with_forced_close() -> None:
    server = Server()
    client = server.open_websocket()
    client.tcp.stall()
    server.session.send_text("x" * 100_000)
    server.session.send_text("never read")
    server.session.close()
    client.tcp.lose()
    assert server.reasons == ["forced close"]


def test_close_frame_of_the_client_is_read_when_reading_is_paused(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    client.packets()
    server.session.pause_reading()
    server.session.close()
    assert server.reasons == ["forced close"]
    if transport == "websocket":
        client.frame(8)
        assert client.tcp.has_written_eof


def test_close_succeeds_when_tcp_is_already_aborted() -> None:
    server = Server()
    client = server.open_websocket()
    client.tcp.abort()  # the event loop calls connection_lost in its next iteration
    server.session.send_text("dropped")
    server.session.pause_reading()
    server.session.resume_reading()
    server.session.close()
    server.clock.run()
    assert server.reasons == ["forced close"]


# -- callbacks


def test_outbox_is_readable_in_the_close_callback_and_empty_afterwards(
    transport: str,
) -> None:
    server = Server()
    client = server.open(transport)
    seen: list[int] = []
    session = server.session
    session.on_close = lambda reason, description: seen.append(len(session.outbox))
    if transport == "websocket":
        client.tcp.stall()
        session.send_text("x" * 100_000)
    session.send_text("unsent")
    if transport == "polling":
        client.poll()  # takes the packet; the next packet is queued
        session.send_text("unsent")
        client.send_packet("2")
    else:
        client.tcp.lose()
    assert seen == [1]
    assert session.outbox == ()


def test_error_in_the_close_callback_does_not_affect_other_sessions(transport: str) -> None:
    server = Server()
    client = server.open(transport)

    def fail(reason: CloseReason, description: str) -> None:
        raise RuntimeError("callback error")

    server.session.on_close = fail
    client.send_packet("1")
    assert server.engine.sessions == {}
    server.open(transport)


def test_ended_session_ignores_all_calls(transport: str) -> None:
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


async def test_drain_raises_when_the_session_ends(transport: str) -> None:
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


def test_session_close_closes_the_upgrade_candidate() -> None:
    server = Server()
    candidate = server.open_polling().upgrade()
    candidate.send_packet("2probe")
    server.session.close(discard=True)
    assert candidate.close_code == 1005
    candidate.send_packet("5")
    assert server.reasons == ["forced close"]


def test_session_opened_in_a_close_callback_receives_messages() -> None:
    server = Server()
    server.open_websocket()
    reopened: list[Any] = []
    session: Session = server.session
    session.on_close = lambda reason, description: reopened.append(server.open_websocket())
    session.close()
    reopened[0].send("hello")
    assert server.received == ["hello"]
