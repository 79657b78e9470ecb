"""Backpressure: clients that read slowly, and clients that send faster than the server reads."""

from __future__ import annotations

import asyncio

from engineio_core import EncodedPacket, Session, SessionState
from tests.helpers.client import Client, Server
from tests.helpers.wire import TEXT, client_frame, text_frame


def open_stalled(transport: str, **options: int) -> tuple[Server, Client]:
    """Return a server and a client that does not read, so that the next packet is queued."""
    server = Server(**options)
    client = server.open(transport)
    if transport == "websocket":
        client.tcp.stall()
        server.session.send_text("x" * 70_000)
    return server, client


def test_unfetched_packets_are_queued_and_counted(transport: str) -> None:
    server, _ = open_stalled(transport)
    before = server.session.buffered_amount
    server.session.send_text("x" * 999)
    assert server.session.buffered_amount == before + 1000
    assert not server.session.writable


def test_slow_consumer_is_closed_when_its_outbox_is_full(transport: str) -> None:
    server, client = open_stalled(transport, max_outbox_size=10_000)
    for _ in range(10):
        server.session.send_text("x" * 999)
    assert server.closed == []
    server.session.send_text("one too many")
    assert server.reasons == ["slow consumer"]
    assert server.session.buffered_amount == 0
    if client.transport == "websocket":
        assert client.tcp.is_aborted
    else:
        assert client.poll().response().status == 400


def test_slow_consumer_does_not_delay_other_clients(transport: str) -> None:
    server, slow = open_stalled(transport, max_outbox_size=1_000)
    fast = server.open(transport)
    got: list[object] = []
    for number in range(5):
        for session in server.sessions:
            session.send(EncodedPacket.message(f"{number}" * 500))
        got += [text[0] for text in fast.messages()]
    assert got == ["0", "1", "2", "3", "4"]
    assert server.reasons == ["slow consumer"]
    assert slow.session.state is SessionState.CLOSED


def test_volatile_packet_is_dropped_when_it_would_be_queued(transport: str) -> None:
    server, client = open_stalled(transport)
    session = server.session
    assert not session.send_volatile(EncodedPacket.message("dropped"))
    session.send_text("kept")
    assert not session.send_volatile(EncodedPacket.message("dropped"))
    if client.transport == "websocket":
        client.tcp.unstall()
    assert client.messages()[-1:] == ["kept"]


def test_volatile_packet_is_sent_when_the_transport_is_writable(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    client.packets()
    assert server.session.writable
    assert server.session.send_volatile(EncodedPacket.message("seen"))
    assert client.messages() == ["seen"]


def test_volatile_packet_is_sent_in_the_connection_hook_of_a_websocket() -> None:
    server = Server()
    sent: list[bool] = []

    def greet(session: Session) -> None:
        sent.append(session.writable)
        sent.append(session.send_volatile(EncodedPacket.message("seen")))

    server.engine.on("connection", greet)
    connection = server.upgrade()
    assert sent == [True, True]
    assert connection.response().status == 101
    assert [frame.payload[:5] for frame in connection.frames()][1:] == [b"4seen"]


def test_second_volatile_packet_is_dropped_when_the_poll_is_used() -> None:
    server = Server()
    poll = server.open_polling().poll()
    assert server.session.send_volatile(EncodedPacket.message("one"))
    assert not server.session.send_volatile(EncodedPacket.message("two"))
    assert poll.response().text == "4one"


def test_volatile_group_is_sent_or_dropped_as_a_whole(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    client.packets()
    group = (EncodedPacket.message("head"), EncodedPacket.message(b"\x01"))
    assert server.session.send_volatile_group(group)
    assert client.messages() == ["head", b"\x01"]
    if client.transport == "websocket":
        client.tcp.stall()
        server.session.send_text("x" * 70_000)
    else:
        server.session.send_text("first")
    assert not server.session.send_volatile_group(group)


def test_volatile_packet_is_dropped_when_the_session_has_ended(transport: str) -> None:
    server = Server()
    server.open(transport)
    server.session.close(discard=True)
    assert not server.session.send_volatile(EncodedPacket.message("late"))


def test_queued_packets_arrive_in_order_when_the_client_reads_again(transport: str) -> None:
    server, client = open_stalled(transport)
    for number in range(100):
        server.session.send_text(str(number))
    if client.transport == "websocket":
        assert client.messages() == []
        client.tcp.unstall()
    messages = [text for text in client.messages() if len(text) < 10]
    assert messages == [str(number) for number in range(100)]
    assert server.session.buffered_amount == 0


def test_client_that_stalls_repeatedly_receives_each_message_once() -> None:
    server = Server()
    client = server.open_websocket()
    got: list[str] = []
    for round_ in range(5):
        client.tcp.stall()
        for number in range(4):
            server.session.send_text(f"{round_}.{number}" + "x" * 40_000)
        client.tcp.unstall()
        got += [str(text).rstrip("x") for text in client.messages()]
    assert got == [f"{round_}.{number}" for round_ in range(5) for number in range(4)]


async def test_drain_returns_when_the_outbox_is_empty(transport: str) -> None:
    server, client = open_stalled(transport)
    session = server.session
    session.send_text("queued")
    waiting = asyncio.ensure_future(session.drain())
    await asyncio.sleep(0)
    assert not waiting.done()
    if client.transport == "websocket":
        client.tcp.unstall()
    else:
        client.poll().response()
    await waiting
    await session.drain()


def test_drain_callback_is_called_when_the_outbox_is_empty(transport: str) -> None:
    server, client = open_stalled(transport)
    drained: list[int] = []
    server.session.on_drain = lambda: drained.append(server.session.buffered_amount)
    for _ in range(3):
        server.session.send_text("queued")
    if client.transport == "websocket":
        client.tcp.unstall()
    else:
        client.poll().response()
    assert drained == [0]


def test_error_in_the_drain_callback_keeps_the_session(transport: str) -> None:
    server, client = open_stalled(transport)

    def fail() -> None:
        raise RuntimeError("callback error")

    server.session.on_drain = fail
    server.session.send_text("queued")
    if client.transport == "websocket":
        client.tcp.unstall()
    assert "queued" in client.messages()
    client.send("still received")
    assert server.received == ["still received"]


def test_drain_callback_sends_the_next_piece(transport: str) -> None:
    server, client = open_stalled(transport)
    pieces = iter(["two", "three"])

    def send_next() -> None:
        if piece := next(pieces, None):
            server.session.send_text(piece)

    server.session.on_drain = send_next
    server.session.send_text("one")
    if client.transport == "websocket":
        client.tcp.unstall()
        assert client.messages()[-2:] == ["one", "two"]
    else:
        assert client.messages() == ["one", "two", "three"]


# -- clients that send faster than the server reads


def test_reading_is_paused_while_the_client_does_not_read_the_replies() -> None:
    server = Server(echo=True)
    client = server.open_websocket()
    client.tcp.stall()
    for _ in range(200):
        client.tcp.feed(text_frame("4" + "x" * 1000))
    assert client.tcp.is_reading_paused
    assert len(server.received) < 100
    assert client.tcp.unread > 100_000
    while client.tcp.unread or client.tcp.get_write_buffer_size():
        client.tcp.unstall()
        client.tcp.stall()
    client.tcp.unstall()
    assert len(server.received) == 200
    assert len(client.messages()) == 200


def test_reading_is_paused_while_the_client_does_not_read_the_pongs() -> None:
    server = Server()
    client = server.open_websocket()
    client.tcp.stall()
    for _ in range(2000):
        client.tcp.feed(client_frame(9, b"p" * 125))
    assert client.tcp.is_reading_paused
    assert client.tcp.get_write_buffer_size() < 200_000


def test_paused_session_delivers_no_message(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    session = server.session
    session.on_text = lambda text: (server.received.append(text), session.pause_reading())
    if transport == "websocket":
        client.feed(b"".join(client_frame(TEXT, b"4%d" % number) for number in range(3)))
        client.feed(client_frame(TEXT, b"43"))
    else:
        first = client.post("40")
        assert first.responses() == [], "the client must not post again before the response"
    assert server.received == ["0"]
    for expected in (["0", "1"], ["0", "1", "2"], ["0", "1", "2", "3"]):
        session.resume_reading()
        server.clock.run()
        if transport == "polling":
            assert first.response().text == "ok"
            first = client.post(f"4{expected[-1]}")
        assert server.received == expected


def test_repeated_pause_and_resume_have_no_effect(transport: str) -> None:
    server = Server()
    client = server.open(transport)
    for _ in range(2):
        server.session.pause_reading()
    for _ in range(2):
        server.session.resume_reading()
    client.send("received")
    assert server.received == ["received"]


def test_pause_and_resume_within_a_callback_keep_the_order() -> None:
    server = Server()
    client = server.open_websocket()
    session = server.session

    def receive(text: str) -> None:
        server.received.append(text)
        session.pause_reading()
        session.resume_reading()

    session.on_text = receive
    client.feed(b"".join(client_frame(TEXT, b"4%d" % number) for number in range(50)) + b"\x81")
    client.feed(client_frame(TEXT, b"4last")[1:])
    assert server.received == [*(str(number) for number in range(50)), "last"]


def test_post_that_overlaps_a_held_post_closes_the_session() -> None:
    server = Server()
    client = server.open_polling()
    server.session.pause_reading()
    held = client.post("4a")
    assert held.responses() == []
    assert client.post("4b").response().status == 400
    assert held.response().text == "ok"
    assert server.reasons == ["transport error"]


def test_session_stays_open_when_the_client_aborts_a_held_post() -> None:
    server = Server()
    client = server.open_polling()
    server.session.pause_reading()
    client.post("4a").tcp.lose()
    server.session.resume_reading()
    client.send("b")
    assert server.received == ["a", "b"]


def test_connection_is_aborted_when_the_client_never_reads() -> None:
    server = Server(ping_interval=10, ping_timeout=5, max_outbox_size=10**8, keep_alive_timeout=20)
    client = server.open_polling()
    poll = client.poll()
    poll.tcp.stall()
    server.session.send_text("x" * 200_000)
    server.clock.advance(60)
    assert server.reasons == ["ping timeout"]
    assert poll.tcp.is_aborted


def test_pings_are_delivered_between_large_messages(transport: str) -> None:
    server = Server(ping_interval=0.2, ping_timeout=0.1, max_outbox_size=10**8)
    client = server.open(transport)
    expected, got = 0, 0
    for _ in range(20):
        for _ in range(5):
            server.session.send_text(f"{expected:03}" + "x" * 65_536)
            expected += 1
        server.clock.advance(0.05)
        for packet in client.packets():
            if packet == "2":
                client.send_packet("3")
            elif str(packet).startswith("4"):
                assert str(packet)[1:4] == f"{got:03}"
                got += 1
    assert (got, server.closed) == (100, [])


def test_post_is_delivered_packet_by_packet_when_each_packet_pauses() -> None:
    server = Server()
    client = server.open_polling()
    session = server.session
    session.on_text = lambda text: (server.received.append(text), session.pause_reading())
    held = client.post("4a\x1e4b\x1e4c")
    assert (server.received, held.responses()) == (["a"], [])
    session.resume_reading()
    session.resume_reading()
    assert (server.received, held.responses()) == (["a", "b", "c"], [])
    session.resume_reading()
    assert held.response().text == "ok"


def test_session_ends_when_the_client_aborts_a_partly_delivered_post() -> None:
    server = Server()
    client = server.open_polling()
    session = server.session
    session.on_text = lambda text: (server.received.append(text), session.pause_reading())
    client.post("4a\x1e4b").tcp.lose()
    assert server.received == ["a", "b"]
    assert server.reasons == ["transport error"]


def test_invalid_packet_in_a_held_post_ends_the_session() -> None:
    server = Server()
    client = server.open_polling()
    session = server.session
    session.on_text = lambda text: (server.received.append(text), session.pause_reading())
    held = client.post("4a\x1e4b\x1ex")
    session.resume_reading()
    assert held.response().status == 400
    assert server.reasons == ["parse error"]


def test_discarding_close_drops_the_rest_of_a_held_post() -> None:
    server = Server()
    client = server.open_polling()
    session = server.session
    session.on_text = lambda text: (server.received.append(text), session.pause_reading())
    held = client.post("4a\x1e4b\x1e4c")
    session.close(discard=True)
    assert server.received == ["a"]
    assert held.response().text == "ok"
