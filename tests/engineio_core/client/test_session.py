"""Sessions of the client against the engine, over a network in memory and a virtual clock."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any

import pytest

from engineio_core import Cookie, PerMessageDeflate
from engineio_core.client.errors import TransportError
from engineio_core.client.states import ClientState, ProbeState
from engineio_core.client.websocket import WebSocketTransport
from engineio_core.errors import CloseReason

from .support import Pair, message, response, scripted, settle, until_ended

MODES: dict[str, dict[str, Any]] = {
    "polling": {"transports": ["polling"]},
    "websocket": {"transports": ["websocket"]},
    "upgrade": {},
}
CLOSE_FRAME = b"\x88\x02\x03\xe8"
each_mode = pytest.mark.parametrize("mode", MODES)


@each_mode
async def test_messages_arrive_in_order_in_both_directions(mode: str) -> None:
    pair = Pair()
    client = await pair.connect(**MODES[mode])
    (session,) = pair.sessions
    for number in range(50):
        client.send(message(f"up {number}"))
        session.send_text(f"down {number}")
        if number % 10 == 0:
            await settle()
    client.send(message(b"\x00\xff"))
    session.send_binary(b"\x01\x02")
    await settle()
    assert pair.server_received == [*(f"up {number}" for number in range(50)), b"\x00\xff"]
    assert pair.received == [*(b"4down %d" % number for number in range(50)), b"\x01\x02"]
    assert client.transport_name == ("polling" if mode == "polling" else "websocket")
    client.close()
    await until_ended(client, pair.clock)
    assert pair.closed == [("forced close", None)]
    assert pair.server_closed == ["transport close"]


async def test_messages_during_the_upgrade_keep_their_order() -> None:
    pair = Pair()
    client = pair.create()
    client.open()
    sent = 0
    for step in range(60):
        await asyncio.sleep(0)
        if client.state is ClientState.OPEN:
            client.send(message(str(sent)))
            pair.sessions[0].send_text(str(sent))
            sent += 1
        if client.probe is ProbeState.UPGRADED and step > 40:
            break
    await settle()
    assert client.transport_name == "websocket"
    assert pair.server_received == [str(number) for number in range(sent)]
    assert pair.received == [b"4%d" % number for number in range(sent)]
    client.abort(CloseReason.FORCED_CLOSE)
    await until_ended(client, pair.clock)


async def test_session_stays_open_as_long_as_the_server_sends_heartbeats() -> None:
    pair = Pair(ping_interval=2.0, ping_timeout=1.0)
    for mode in MODES.values():
        client = await pair.connect(**mode)
        await pair.clock.advance(60)
        assert client.state is ClientState.OPEN
        client.close()
        await until_ended(client, pair.clock)
    assert pair.server_closed == ["transport close"] * 3


@each_mode
async def test_silent_server_ends_the_session_with_ping_timeout(mode: str) -> None:
    pair = Pair(ping_interval=2.0, ping_timeout=1.0)
    client = await pair.connect(**MODES[mode])
    pair.network.silence()
    await pair.clock.advance(2.9)
    assert pair.closed == []
    await pair.clock.advance(0.2)
    assert pair.closed == [("ping timeout", None)]
    await until_ended(client, pair.clock)


async def test_heartbeat_waits_for_unread_packets_when_the_event_loop_was_blocked() -> None:
    pair = Pair(ping_interval=2.0, ping_timeout=1.0)
    client = await pair.connect(transports=["websocket"])
    pair.clock._now += 100  # a suspended computer
    pair.sessions[0].send_text("late")
    await pair.clock.advance(0.1)
    assert pair.received == [b"4late"]
    assert client.state is ClientState.OPEN
    client.abort(CloseReason.FORCED_CLOSE)
    await until_ended(client, pair.clock)


@each_mode
@pytest.mark.parametrize("steps", range(0, 24, 3))
async def test_cut_connection_ends_the_session_once_and_leaves_no_task(
    mode: str, steps: int
) -> None:
    pair = Pair(ping_interval=2.0, ping_timeout=1.0)
    client = pair.create(**MODES[mode])
    client.open()
    for _ in range(steps):
        await asyncio.sleep(0)
    client.send(message("x"))
    pair.network.is_refusing = True
    pair.network.cut()
    await pair.clock.advance(30)
    assert len(pair.closed) == 1
    assert pair.closed[0][0] in {"transport error", "transport close"}
    assert client.state is ClientState.CLOSED
    await until_ended(client, pair.clock)


@each_mode
async def test_close_of_the_server_is_a_transport_close(mode: str) -> None:
    pair = Pair()
    client = await pair.connect(**MODES[mode])
    pair.sessions[0].send_text("last")
    pair.sessions[0].close()
    await settle()
    assert pair.received == [b"4last"]
    assert [reason for reason, _ in pair.closed] == ["transport close"]
    await until_ended(client, pair.clock)


@each_mode
async def test_close_sends_the_queued_messages_first(mode: str) -> None:
    pair = Pair()
    client = await pair.connect(**MODES[mode])
    for number in range(20):
        client.send(message(str(number)))
    client.close()
    client.send(message("not sent"))
    await until_ended(client, pair.clock)
    assert pair.server_received == [str(number) for number in range(20)]
    assert pair.server_closed == ["transport close"]


async def test_close_before_the_handshake_ends_the_session() -> None:
    pair = Pair()
    client = pair.create()
    client.open()
    client.close()
    await until_ended(client, pair.clock)
    assert pair.closed == [("forced close", None)]


async def test_close_ends_in_time_when_the_server_reads_nothing() -> None:
    pair = Pair()
    client = await pair.connect(transports=["polling"], close_timeout=3)
    pair.network.silence()
    client.send(message("x"))
    client.close()
    await pair.clock.advance(2.9)
    assert pair.closed == []
    await pair.clock.advance(0.2)
    assert pair.closed == [("forced close", None)]
    await until_ended(client, pair.clock)


# -- polling


async def test_packets_are_split_into_requests_of_the_accepted_size() -> None:
    pair = Pair(max_http_buffer_size=100)
    client = await pair.connect(transports=["polling"])
    texts = [str(number) * 28 for number in range(9)]
    for text in texts:
        client.send(message(text))
    await settle()
    assert pair.server_received == texts
    assert client.state is ClientState.OPEN
    client.send(message("x" * 101))
    await settle()
    ((reason, error),) = pair.closed
    assert reason == "transport error"
    assert isinstance(error, TransportError)
    assert error.status == 413
    await until_ended(client, pair.clock)


async def test_post_without_an_answer_ends_the_session() -> None:
    pair = Pair()
    client = await pair.connect(transports=["polling"], request_timeout=4)
    pair.network.silence()
    client.send(message("x"))
    await pair.clock.advance(4.1)
    ((reason, error),) = pair.closed
    assert reason == "transport error"
    assert isinstance(error, TimeoutError)
    await until_ended(client, pair.clock)


async def test_refused_handshake_reports_status_and_body() -> None:
    pair = Pair(transports=["websocket"])
    client = await pair.connect(transports=["polling"])
    ((reason, error),) = pair.closed
    assert reason == "transport error"
    assert isinstance(error, TransportError)
    assert error.status == 400
    assert json.loads(error.body) == {"code": 0, "message": "Transport unknown"}
    await until_ended(client, pair.clock)


@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.parametrize(
    ("body", "end"),
    [
        (b'{"code":3,"message":"Bad \\nrequest"}', r"with status 400: 'Bad \nrequest'"),
        (b'{"code":3}', "with status 400"),
        (b'["message"]', "with status 400"),
        (b"<html>", "with status 400"),
        (b"[" * 1000, "with status 400"),
        (b"Too many clients: \xe2\x82\xac\r\nmore", "with status 400: 'Too many clients: \u20ac'"),
        (b"a" * 2000, f"with status 400: '{'a' * 200}'"),
        (b"\x00\x01", "with status 400"),
        (b"", "with status 400"),
    ],
    ids=["message", "no message", "list", "html", "deep", "text", "long", "binary", "empty"],
)
async def test_refusal_contains_the_message_of_the_server(
    body: bytes, end: str, transport: str
) -> None:
    pair = Pair()
    pair.network._accept, _ = scripted(response(body, "400 Bad Request"))
    client = await pair.connect(transports=[transport])
    ((_, error),) = pair.closed
    assert str(error).endswith(end)
    await until_ended(client, pair.clock)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"no http at all\r\n\r\n", "invalid HTTP response"),
        (response(b"x" * 2000), "must not have more than 1000 bytes"),
        (response(b"0{}"), "the handshake is invalid"),
        (response(b"0not json"), "the handshake is invalid"),
        (response(b"9"), "unknown packet type"),
        (response(b""), "empty packet"),
    ],
)
async def test_invalid_response_ends_the_session(answer: bytes, words: str) -> None:
    pair = Pair()
    pair.network._accept, _ = scripted(answer)
    client = await pair.connect(transports=["polling"], max_message_size=1000)
    ((_, error),) = pair.closed
    assert words in str(error)
    await until_ended(client, pair.clock)


async def test_response_without_a_length_extends_to_the_end_of_the_connection() -> None:
    pair = Pair()
    handshake = b'0{"sid":"s","upgrades":[],"pingInterval":1000,"pingTimeout":1000}'
    pair.network._accept, servers = scripted(b"HTTP/1.1 200 OK\r\n\r\n" + handshake)
    client = pair.create(transports=["polling"])
    client.open()
    await settle()
    assert client.state is ClientState.OPENING
    servers[0]._transport.close()
    await settle()
    assert client.state is ClientState.OPEN
    assert client.sid == "s"
    client.abort(CloseReason.FORCED_CLOSE)
    await until_ended(client, pair.clock)


async def test_idle_connection_is_not_used_for_a_request() -> None:
    pair = Pair()
    client = await pair.connect(transports=["polling"])
    client.send(message("1"))
    await settle()
    before = len(pair.network.ends)
    client.send(message("2"))
    await settle()
    assert len(pair.network.ends) == before
    await pair.clock.advance(2.5)
    client.send(message("3"))
    await settle()
    assert len(pair.network.ends) == before + 1
    assert pair.server_received == ["1", "2", "3"]
    client.close()
    await until_ended(client, pair.clock)


async def test_lost_poll_notifies_the_server_of_the_end() -> None:
    pair = Pair()
    client = await pair.connect(transports=["polling"])
    poll = next(end for end in pair.network.ends if not end.is_closing())
    poll.peer.is_silent = True  # the server does not notice the loss of the poll
    poll._peer_ended(ConnectionResetError())
    await settle()
    assert [reason for reason, _ in pair.closed] == ["transport error"]
    assert pair.server_closed == ["transport close"]
    await until_ended(client, pair.clock)


async def test_websocket_lost_during_the_upgrade_notifies_the_server_of_the_end() -> None:
    pair = Pair()
    client = pair.create()
    client.open()
    for _ in range(60):
        await asyncio.sleep(0)
        if client.probe is ProbeState.PAUSING:
            break
    candidate = pair.network.ends[-1]
    candidate.is_silent = True  # the server does not receive the last packet of the upgrade
    for _ in range(60):
        await asyncio.sleep(0)
        if client.probe is ProbeState.UPGRADED:
            break
    candidate.abort()
    await settle()
    assert len(pair.closed) == 1
    assert pair.server_closed == ["transport close"]
    await until_ended(client, pair.clock)


async def test_upgrade_completes_while_reading_is_paused() -> None:
    pair = Pair()
    client = pair.create()
    client.open()
    for _ in range(60):
        await asyncio.sleep(0)
        if client.state is ClientState.OPEN:
            break
    client.pause_reading()
    await settle()
    assert client.transport_name == "websocket"
    pair.sessions[0].send_text("x")
    await settle()
    assert pair.received == []
    client.resume_reading()
    await settle()
    assert pair.received == [b"4x"]
    client.close()
    await until_ended(client, pair.clock)


# -- handshake and options


async def test_query_headers_and_cookies_reach_the_server() -> None:
    pair = Pair(cookie=Cookie(name="sticky"))
    client = await pair.connect(
        url="http://user:p%40ss@server.example/?color=red",
        query={"token": "a b"},
        extra_headers={"X-Trace": "7", "User-Agent": "mine"},
        transports=["polling"],
    )
    request = pair.sessions[0].request
    assert request.query["token"] == "a b"
    assert request.query["color"] == "red"
    assert request.headers["x-trace"] == "7"
    assert request.headers["user-agent"] == "mine"
    assert request.headers["authorization"] == "Basic dXNlcjpwQHNz"
    assert pair.context is not None
    assert f"sticky={client.sid}" in dict(pair.context.headers("/engine.io/"))["Cookie"]
    client.close()
    await until_ended(client, pair.clock)


async def test_cookies_are_not_sent_when_they_are_off() -> None:
    pair = Pair(cookie=Cookie())
    client = await pair.connect(cookies=False, transports=["polling"])
    assert pair.context is not None
    assert "Cookie" not in dict(pair.context.headers("/engine.io/"))
    client.close()
    await until_ended(client, pair.clock)


async def test_next_transport_is_tried_only_with_the_option() -> None:
    pair = Pair()
    pair.network.refuses_tunnels = True
    order = {"transports": ["websocket", "polling"]}
    client = await pair.connect(**order)
    assert [reason for reason, _ in pair.closed] == ["transport error"]
    client = await pair.connect(**order, try_all_transports=True)
    assert client.state is ClientState.OPEN
    assert client.transport_name == "polling"
    client.close()
    await until_ended(client, pair.clock)


async def test_next_session_starts_with_websocket_when_the_upgrade_is_remembered() -> None:
    pair = Pair()
    first = await pair.connect(remember_upgrade=True)
    first.close()
    await until_ended(first, pair.clock)
    second = pair.create()
    second.open()
    assert second.transport_name == "websocket"
    second.abort(CloseReason.FORCED_CLOSE)
    await until_ended(second, pair.clock)


async def test_session_continues_with_polling_when_the_websocket_is_refused() -> None:
    pair = Pair()
    pair.network.refuses_tunnels = True
    client = await pair.connect()
    assert client.probe is ProbeState.NONE
    client.send(message("x"))
    await settle()
    assert pair.server_received == ["x"]
    assert client.transport_name == "polling"
    client.close()
    await until_ended(client, pair.clock)


async def test_session_continues_with_polling_when_the_probe_has_no_answer() -> None:
    pair = Pair()
    client = pair.create(upgrade_timeout=3)
    client.open()
    for _ in range(60):
        await asyncio.sleep(0)
        if client.probe is ProbeState.PROBING:
            break
    pair.network.ends[-1].peer.is_silent = True
    await pair.clock.advance(3.1)
    assert client.probe is ProbeState.NONE
    client.send(message("x"))
    await settle()
    assert pair.server_received == ["x"]
    client.close()
    await until_ended(client, pair.clock)


async def test_no_upgrade_without_the_option_or_the_offer() -> None:
    for server, options in (({}, {"upgrade": False}), ({"allow_upgrades": False}, {})):
        pair = Pair(**server)
        client = await pair.connect(**options)
        assert client.transport_name == "polling"
        assert len(pair.network.ends) <= 2
        client.close()
        await until_ended(client, pair.clock)


async def test_handshake_without_an_answer_ends_in_time() -> None:
    for options in MODES.values():
        pair = Pair()
        pair.network.is_hanging = True
        client = await pair.connect(timeout=5, **options)
        await pair.clock.advance(5.1)
        assert [reason for reason, _ in pair.closed] == ["transport error"]
        assert isinstance(pair.closed[0][1], TimeoutError)
        await until_ended(client, pair.clock)


# -- WebSocket


async def test_compressed_and_long_messages_arrive() -> None:
    pair = Pair(per_message_deflate=PerMessageDeflate(threshold=0), max_http_buffer_size=10**6)
    client = await pair.connect(transports=["websocket"], per_message_deflate=True)
    texts = ["a" * 100, "b" * 70_000, "c" * 500_000]
    for text in texts:
        client.send(message(text))
        pair.sessions[0].send_text(text)
    await settle()
    assert pair.server_received == texts
    assert pair.received == [b"4" + text.encode() for text in texts]
    client.close()
    await until_ended(client, pair.clock)


async def test_messages_behind_a_final_block_arrive() -> None:
    pair = Pair(per_message_deflate=PerMessageDeflate(threshold=0))
    client = await pair.connect(transports=["websocket"], per_message_deflate=True)
    for text in (b"4first", b"4second"):
        encoder = zlib.compressobj(wbits=-15)
        payload = encoder.compress(text) + encoder.flush(zlib.Z_FINISH) + b"\0"  # RFC 7692, 7.2.3.4
        client._transport.data_received(bytes([0xC1, len(payload)]) + payload)
    pair.sessions[0].send_text("third")
    await settle()
    assert pair.received == [b"4first", b"4second", b"4third"]
    client.close()
    await until_ended(client, pair.clock)


async def test_message_above_the_limit_ends_the_session() -> None:
    pair = Pair()
    client = await pair.connect(transports=["websocket"], max_message_size=1000)
    pair.sessions[0].send_text("x" * 2000)
    await settle()
    ((reason, error),) = pair.closed
    assert reason == "transport error"
    assert error is not None
    await until_ended(client, pair.clock)


async def test_websocket_refusal_reports_status_and_body() -> None:
    pair = Pair(transports=["polling"])
    client = await pair.connect(transports=["websocket"])
    ((_, error),) = pair.closed
    assert isinstance(error, TransportError)
    assert error.status == 400
    assert b"Transport unknown" in error.body
    await until_ended(client, pair.clock)


async def test_packet_of_an_unknown_type_is_a_parse_error() -> None:
    pair = Pair()
    client = await pair.connect(transports=["websocket"])
    pair.network.ends[0].peer.write(b"\x81\x017")
    await settle()
    assert [reason for reason, _ in pair.closed] == ["parse error"]
    await until_ended(client, pair.clock)


async def test_messages_before_a_close_frame_in_the_same_chunk_arrive() -> None:
    pair = Pair()
    client = await pair.connect(transports=["websocket"])
    answers: list[bytes] = []

    def answer(text: bytes) -> None:
        answers.append(text)
        client.send(message("answer"))

    client.on_text = answer
    ping = b"\x81\x012"
    client._transport.data_received(ping + b"\x81\x024a" + b"\x81\x024b" + CLOSE_FRAME)
    assert answers == [b"4a", b"4b"]
    assert pair.closed == [("transport close", None)]
    await until_ended(client, pair.clock)
    assert pair.server_received == []


async def test_session_continues_with_polling_when_a_close_frame_follows_the_handshake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures: list[BaseException] = []
    receive = WebSocketTransport.data_received

    def receive_with_close(self: WebSocketTransport, data: bytes) -> None:
        try:
            receive(self, data + CLOSE_FRAME if data.startswith(b"HTTP/1.1 101") else data)
        except BaseException as error:
            failures.append(error)
            raise

    monkeypatch.setattr(WebSocketTransport, "data_received", receive_with_close)
    pair = Pair()
    client = await pair.connect()
    assert not failures
    assert client.probe is ProbeState.NONE
    client.send(message("x"))
    await settle()
    assert pair.server_received == ["x"]
    assert client.transport_name == "polling"
    client.close()
    await until_ended(client, pair.clock)


async def test_fragmented_message_arrives_as_one() -> None:
    pair = Pair()
    client = await pair.connect(transports=["websocket"])
    for piece in (b"\x01\x034ab", b"\x00\x01c", b"\x80\x01d"):
        pair.network.ends[0].peer.write(piece)
    await settle()
    assert pair.received == [b"4abcd"]
    client.close()
    await until_ended(client, pair.clock)


async def test_second_packet_of_an_iteration_is_not_writable() -> None:
    pair = Pair()
    client = await pair.connect(transports=["websocket"])
    assert client.is_writable
    client.send(message("1"))
    assert not client.is_writable
    client.send(message("2"))
    assert client.amount == 2
    await settle()
    assert client.is_writable
    assert client.amount == 0
    assert pair.server_received == ["1", "2"]
    client.close()
    await until_ended(client, pair.clock)
