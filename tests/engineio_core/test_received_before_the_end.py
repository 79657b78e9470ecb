"""A client whose messages the server does not read: it stays, and its messages are not lost."""

from __future__ import annotations

from tests.helpers.client import Server
from tests.helpers.wire import text_frame

MESSAGES = [str(number) for number in range(5)]


def pause_after_the_first(server: Server) -> None:
    session = server.session

    def receive(text: str) -> None:
        server.received.append(text)
        if len(server.received) == 1:
            session.pause_reading()

    session.on_text = receive


def test_messages_of_a_paused_websocket_are_delivered_when_the_connection_is_lost() -> None:
    server = Server()
    client = server.open_websocket()
    pause_after_the_first(server)
    client.feed(b"".join(text_frame(f"4{message}") for message in MESSAGES))
    assert server.received == MESSAGES[:1]
    client.connection.tcp.lose()
    assert server.received == MESSAGES
    assert server.reasons == ["transport close"]


def test_incomplete_frame_of_a_paused_websocket_is_dropped_when_the_connection_is_lost() -> None:
    server = Server()
    client = server.open_websocket()
    pause_after_the_first(server)
    client.feed(b"".join(text_frame(f"4{message}") for message in MESSAGES)[:-1])
    client.connection.tcp.lose()
    assert server.received == MESSAGES[:-1]
    assert server.reasons == ["transport close"]


def test_invalid_frame_of_a_paused_websocket_ends_the_delivery() -> None:
    server = Server()
    client = server.open_websocket()
    pause_after_the_first(server)
    client.feed(text_frame("40") + text_frame("41") + text_frame("9") + text_frame("42"))
    client.connection.tcp.lose()
    assert server.received == ["0", "1"]
    assert len(server.reasons) == 1


def test_packets_of_a_withheld_post_are_delivered_when_its_connection_is_lost() -> None:
    server = Server()
    client = server.open_polling()
    pause_after_the_first(server)
    post = client.post("\x1e".join(f"4{message}" for message in MESSAGES))
    assert server.received == MESSAGES[:1]
    post.tcp.lose()
    assert server.received == MESSAGES
    assert server.reasons == ["transport error"]


def test_packets_of_a_withheld_post_are_delivered_when_the_poll_is_lost() -> None:
    server = Server()
    client = server.open_polling()
    pause_after_the_first(server)
    poll = client.poll()
    client.post("\x1e".join(f"4{message}" for message in MESSAGES))
    poll.tcp.lose()
    assert server.received == MESSAGES
    assert server.reasons == ["transport error"]


def test_invalid_packet_of_a_withheld_post_ends_the_delivery_when_the_poll_is_lost() -> None:
    server = Server()
    client = server.open_polling()
    pause_after_the_first(server)
    poll = client.poll()
    client.post("40\x1e41\x1ex\x1e42")
    poll.tcp.lose()
    assert server.received == ["0", "1"]
    assert len(server.reasons) == 1


def test_client_stays_while_the_server_does_not_read_its_pong() -> None:
    server = Server(ping_interval=25, ping_timeout=20)
    client = server.open_websocket()
    pause_after_the_first(server)
    client.feed(text_frame("40"))
    server.clock.advance(26)
    assert client.packets() == ["2"]
    client.feed(text_frame("3") + text_frame("41"))
    server.clock.advance(60)
    assert server.reasons == []
    server.session.resume_reading()
    server.clock.run()
    assert server.received == ["0", "1"]
    server.clock.advance(26)
    assert client.packets() == ["2"]
    server.clock.advance(21)
    assert server.reasons == ["ping timeout"]


def test_polling_client_stays_while_the_server_withholds_its_post() -> None:
    server = Server(ping_interval=25, ping_timeout=20)
    client = server.open_polling()
    pause_after_the_first(server)
    post = client.post("40\x1e41")
    poll = client.poll()
    server.clock.advance(26)
    assert poll.response().text == "2"
    server.clock.advance(60)
    assert server.reasons == []
    server.session.resume_reading()
    assert post.response().text == "ok"
    assert client.post("3").response().text == "ok"
    server.clock.advance(20)
    assert server.reasons == []
