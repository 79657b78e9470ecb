"""Upgrade from polling to WebSocket: the probe, races and message order."""

from __future__ import annotations

import pytest

from engineio_core import Session
from tests.helpers.client import PollingClient, Server, WebSocketClient
from tests.helpers.wire import BINARY, DELIVERIES, TEXT, Delivery, client_frame, text_frame


def open_upgraded(server: Server) -> WebSocketClient:
    candidate = server.open_polling().upgrade()
    candidate.send_packet("2probe")
    assert candidate.texts() == ["3probe"]
    candidate.send_packet("5")
    return candidate


def test_probe_receives_a_pong_and_releases_the_pending_poll() -> None:
    server = Server()
    client = server.open_polling()
    poll = client.poll()
    candidate = client.upgrade()
    candidate.send_packet("2probe")
    assert candidate.texts() == ["3probe"]
    assert poll.response().text == "6"


def test_poll_after_the_probe_is_released_immediately() -> None:
    server = Server()
    client = server.open_polling()
    client.upgrade().send_packet("2probe")
    assert client.poll().response().text == "6"
    assert client.poll().response().text == "6"


def test_silent_candidate_does_not_release_polls() -> None:
    server = Server()
    client = server.open_polling()
    client.upgrade()
    poll = client.poll()
    assert poll.responses() == []
    server.session.send_text("hi")
    assert poll.response().text == "4hi"


def test_messages_use_the_websocket_after_the_upgrade() -> None:
    server = Server(echo=True)
    websocket = open_upgraded(server)
    assert server.session.transport.name == "websocket"
    websocket.send("text")
    websocket.send(b"\x00")
    assert websocket.messages() == ["text", b"\x00"]
    assert server.session.request.query["transport"] == "polling"


def test_upgrade_callback_is_called_with_the_new_transport() -> None:
    server = Server()
    upgrades: list[str] = []
    server.engine.on("connection", lambda session: setattr(
        session, "on_upgrade", lambda: upgrades.append(session.transport.name)
    ))  # fmt: skip
    open_upgraded(server)
    assert upgrades == ["websocket"]


def test_error_in_the_upgrade_callback_loses_no_message() -> None:
    server = Server()
    client = server.open_polling()

    def fail() -> None:
        raise RuntimeError("callback error")

    server.session.on_upgrade = fail
    server.session.send_text("kept")
    candidate = client.upgrade()
    candidate.send_packet("5")
    assert candidate.messages() == ["kept"]


def test_upgrade_without_a_probe_is_accepted() -> None:
    server = Server()
    candidate = server.open_polling().upgrade()
    candidate.send_packet("5")
    candidate.send("hello")
    assert server.received == ["hello"]


def test_upgrade_succeeds_when_all_packets_arrive_with_the_handshake() -> None:
    server = Server(echo=True)
    client = server.open_polling()
    candidate = client.upgrade(tail=b"".join(map(text_frame, ("2probe", "5", "4first"))))
    assert candidate.texts() == ["3probe", "4first"]


@pytest.mark.parametrize("deliver", DELIVERIES)
def test_upgrade_succeeds_in_any_segmentation(deliver: Delivery) -> None:
    server = Server(echo=True)
    candidate = server.open_polling().upgrade()
    wire = [text_frame(each) for each in ("2probe", "5", "4a")] + [client_frame(BINARY, b"\x01")]
    deliver(candidate.feed, b"".join(wire))
    assert candidate.packets() == ["3probe", "4a", b"\x01"]


def test_polling_request_is_refused_after_the_upgrade() -> None:
    server = Server()
    websocket = open_upgraded(server)
    for method in ("GET", "POST"):
        response = server.send(method, body=b"4x", transport="polling", sid=websocket.sid)
        assert response.response().json == {"code": 3, "message": "Bad request"}
    assert server.closed == []


def test_poll_pending_at_the_upgrade_receives_a_noop() -> None:
    server = Server()
    client = server.open_polling()
    poll = client.poll()
    client.upgrade().send_packet("5")
    assert poll.response().text == "6"
    assert server.closed == []


def test_lost_poll_after_the_upgrade_does_not_close_the_session() -> None:
    server = Server()
    client = server.open_polling()
    poll = client.poll()
    client.upgrade().send_packet("5")
    poll.tcp.lose()
    assert server.closed == []


def test_second_upgrade_of_a_session_is_closed() -> None:
    server = Server()
    websocket = open_upgraded(server)
    second = server.upgrade(sid=websocket.sid)
    assert second.response().status == 101
    assert [(frame.opcode, frame.payload) for frame in second.frames()] == [(8, b"")]
    websocket.send("still here")
    assert server.received == ["still here"]


def test_second_candidate_is_closed_and_the_first_continues() -> None:
    server = Server()
    client = server.open_polling()
    first = client.upgrade()
    second = client.upgrade(tail=text_frame("2probe"))
    assert second.close_code == 1005
    first.send_packet("2probe")
    first.send_packet("5")
    assert server.session.transport.name == "websocket"
    assert server.closed == []


def test_upgrade_of_a_websocket_session_is_closed() -> None:
    server = Server()
    owner = server.open_websocket()
    candidate = server.upgrade(tail=text_frame("5"), sid=owner.sid)
    candidate.response()
    assert candidate.frames()[0].opcode == 8
    owner.send("still open")
    assert server.received == ["still open"]


def test_upgrade_is_refused_when_upgrades_are_disabled() -> None:
    server = Server(allow_upgrades=False)
    client = server.open_polling()
    assert server.upgrade(sid=client.sid).response().status == 400
    client.send("continues")
    assert server.received == ["continues"]


@pytest.mark.parametrize("packet", ["4hello", "2", "2probe2", "3probe", "6", "nonsense", ""])
def test_other_packet_before_the_upgrade_closes_only_the_candidate(packet: str) -> None:
    server = Server()
    client = server.open_polling()
    candidate = client.upgrade()
    candidate.send_packet(packet)
    assert candidate.close_code == 1005
    assert (server.received, server.closed) == ([], [])
    client.send("continues")
    assert server.received == ["continues"]


def test_binary_message_before_the_upgrade_closes_only_the_candidate() -> None:
    server = Server()
    candidate = server.open_polling().upgrade()
    candidate.send(b"\x00")
    assert candidate.close_code == 1005
    assert (server.received, server.closed) == ([], [])


def test_second_probe_closes_only_the_candidate() -> None:
    server = Server()
    candidate = server.open_polling().upgrade()
    candidate.send_packet("2probe")
    candidate.send_packet("2probe")
    assert candidate.close_code == 1005
    assert server.closed == []


def check_polling_and_upgrade(client: PollingClient) -> None:
    """Assert that the session still polls and accepts another candidate."""
    poll = client.poll()
    assert poll.responses() == []
    client.session.send_text("polled")
    assert poll.response().text == "4polled"
    candidate = client.upgrade()
    candidate.send_packet("2probe")
    candidate.send_packet("5")
    assert client.session.transport.name == "websocket"


@pytest.mark.parametrize("last_packet", [None, "2probe"])
def test_candidate_is_closed_after_the_upgrade_timeout_and_another_is_accepted(
    last_packet: str | None,
) -> None:
    server = Server(upgrade_timeout=5)
    client = server.open_polling()
    candidate = client.upgrade()
    if last_packet is not None:
        candidate.send_packet(last_packet)
    server.clock.advance(4.9)
    assert candidate.close_code is None
    server.clock.advance(0.2)
    assert candidate.close_code == 1005
    candidate.send_packet("5")
    assert server.session.transport.name == "polling"
    check_polling_and_upgrade(client)


@pytest.mark.parametrize("last_packet", [None, "2probe"])
@pytest.mark.parametrize("failure", ["lose", "close frame", "rsv bits"])
def test_session_keeps_polling_when_the_candidate_fails(
    failure: str, last_packet: str | None
) -> None:
    server = Server()
    client = server.open_polling()
    candidate = client.upgrade()
    if last_packet is not None:
        candidate.send_packet(last_packet)
    if failure == "lose":
        candidate.tcp.lose()
    elif failure == "close frame":
        candidate.frame(8, b"\x03\xe8")
    else:
        candidate.frame(TEXT, b"5", rsv=4)
    assert server.closed == []
    check_polling_and_upgrade(client)


def test_candidate_is_closed_when_the_session_ends() -> None:
    server = Server(ping_interval=1, ping_timeout=1, upgrade_timeout=60)
    candidate = server.open_polling().upgrade()
    server.clock.advance(3)
    assert server.reasons == ["ping timeout"]
    assert candidate.close_code == 1005
    assert not server.engine.sessions


def test_candidate_of_a_closing_session_is_closed() -> None:
    server = Server()
    client = server.open_polling()
    server.session.close()
    candidate = client.upgrade()
    assert candidate.close_code == 1005
    assert client.poll().response().text == "6\x1e1"


def test_upgrade_keeps_every_message_once_and_in_order() -> None:
    server = Server()
    client = server.open_polling()
    session: Session = server.session
    numbers = iter(range(1000))
    arrived: list[str] = []

    def emit(count: int) -> None:
        for _ in range(count):
            session.send_text(str(next(numbers)))

    def fetch() -> None:
        for record in client.poll().response().text.split("\x1e"):
            if record.startswith("4"):
                arrived.append(record[1:])

    emit(3)
    fetch()
    client.send("in 0")
    poll = client.poll()
    candidate = client.upgrade()
    emit(2)  # the pending poll sends them
    arrived += [record[1:] for record in poll.response().text.split("\x1e")]
    client.send("in 1")
    emit(2)
    candidate.send_packet("2probe")
    emit(2)
    fetch()  # queued packets precede the noop
    client.send("in 2")
    emit(3)  # no poll follows: the packets are queued
    candidate.feed(text_frame("5") + text_frame("4in 3"))
    emit(3)
    candidate.send("in 4")
    arrived += [text for text in candidate.messages() if isinstance(text, str)]
    assert arrived == [str(number) for number in range(15)]
    assert server.received == [f"in {number}" for number in range(5)]


def test_upload_in_progress_at_the_upgrade_is_delivered() -> None:
    server = Server()
    client = server.open_polling()
    post = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    post.feed(f"POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n4by".encode())
    candidate = client.upgrade()
    candidate.send_packet("5")
    post.feed(b"te")
    assert post.response().text == "ok"
    candidate.send("after")
    assert server.received == ["byte", "after"]


def test_paused_reading_stays_paused_after_the_upgrade() -> None:
    server = Server()
    client = server.open_polling()
    server.session.pause_reading()
    candidate = client.upgrade()
    candidate.send_packet("5")
    candidate.send("later")
    assert server.received == []
    server.session.resume_reading()
    server.clock.run()
    assert server.received == ["later"]


def test_engines_on_different_paths_are_independent() -> None:
    one, two = Server(path="/one", echo=True), Server(path="/two", echo=True)
    assert one.get(transport="polling").response().status == 200
    elsewhere = one.connect()
    elsewhere.request("GET", two.target(transport="polling"))
    assert elsewhere.response().status == 404
    websocket = open_upgraded(two)
    websocket.send("fine")
    assert websocket.messages() == ["fine"]


def test_close_during_an_upgrade_reaches_the_websocket_of_a_client_that_stopped_polling() -> None:
    server = Server()
    client = server.open_polling()
    candidate = client.upgrade()
    candidate.send_packet("2probe")
    server.session.send_text("last message")
    server.session.close()
    candidate.send_packet("5")
    assert candidate.packets() == ["3probe", "4last message"]
    assert candidate.is_over
    assert server.reasons == ["forced close"]


def test_close_during_an_upgrade_reaches_a_client_that_keeps_polling() -> None:
    server = Server()
    client = server.open_polling()
    candidate = client.upgrade()
    candidate.send_packet("2probe")
    server.session.close()
    assert client.packets() == ["6", "1"]
    assert server.reasons == ["forced close"]


@pytest.mark.parametrize("probes", [False, True])
def test_candidate_closes_with_1007_when_its_text_is_not_utf_8(probes: bool) -> None:
    server = Server()
    client = server.open_polling()
    candidate = client.upgrade()
    if probes:
        candidate.send_packet("2probe")
    candidate.frame(TEXT, b"2\xff")
    assert candidate.close_code == 1007
    assert server.reasons == []
    client.send("still here")
    assert server.received == ["still here"]
