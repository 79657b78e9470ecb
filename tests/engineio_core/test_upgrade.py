"""The change from polling to WebSocket: the probe, its races, and that no message is lost."""

from __future__ import annotations

import pytest

from engineio_core import Session
from tests.helpers.client import PollingClient, Server, WebSocketClient
from tests.helpers.wire import BINARY, DELIVERIES, TEXT, Delivery, client_frame, text_frame


def upgraded(server: Server) -> WebSocketClient:
    candidate = server.open_polling().upgrade()
    candidate.send_packet("2probe")
    assert candidate.texts() == ["3probe"]
    candidate.send_packet("5")
    return candidate


def test_a_probe_is_answered_and_the_pending_poll_is_released_at_once() -> None:
    server = Server()
    client = server.open_polling()
    poll = client.poll()
    candidate = client.upgrade()
    candidate.send_packet("2probe")
    assert candidate.texts() == ["3probe"]
    assert poll.response().text == "6"


def test_a_poll_that_comes_after_the_probe_is_released_at_once() -> None:
    server = Server()
    client = server.open_polling()
    client.upgrade().send_packet("2probe")
    assert client.poll().response().text == "6"
    assert client.poll().response().text == "6"


def test_a_candidate_that_says_nothing_does_not_release_polls() -> None:
    server = Server()
    client = server.open_polling()
    client.upgrade()
    poll = client.poll()
    assert poll.responses() == []
    server.session.send_text("hi")
    assert poll.response().text == "4hi"


def test_after_the_upgrade_everything_goes_over_the_websocket() -> None:
    server = Server(echo=True)
    websocket = upgraded(server)
    assert server.session.transport.name == "websocket"
    websocket.send("text")
    websocket.send(b"\x00")
    assert websocket.messages() == ["text", b"\x00"]
    assert server.session.request.query["transport"] == "polling"


def test_the_session_is_told_of_its_upgrade() -> None:
    server = Server()
    told: list[str] = []
    server.engine.on("connection", lambda session: setattr(
        session, "on_upgrade", lambda: told.append(session.transport.name)
    ))  # fmt: skip
    upgraded(server)
    assert told == ["websocket"]


def test_a_listener_that_fails_at_the_upgrade_loses_no_message() -> None:
    server = Server()
    client = server.open_polling()

    def fail() -> None:
        raise RuntimeError("bug")

    server.session.on_upgrade = fail
    server.session.send_text("kept")
    candidate = client.upgrade()
    candidate.send_packet("5")
    assert candidate.messages() == ["kept"]


def test_an_upgrade_without_a_probe_is_taken() -> None:
    server = Server()
    candidate = server.open_polling().upgrade()
    candidate.send_packet("5")
    candidate.send("hello")
    assert server.received == ["hello"]


def test_probe_upgrade_and_messages_may_come_in_the_segment_of_the_handshake() -> None:
    server = Server(echo=True)
    client = server.open_polling()
    candidate = client.upgrade(tail=b"".join(map(text_frame, ("2probe", "5", "4first"))))
    assert candidate.texts() == ["3probe", "4first"]


@pytest.mark.parametrize("deliver", DELIVERIES)
def test_an_upgrade_goes_through_however_it_is_cut(deliver: Delivery) -> None:
    server = Server(echo=True)
    candidate = server.open_polling().upgrade()
    wire = [text_frame(each) for each in ("2probe", "5", "4a")] + [client_frame(BINARY, b"\x01")]
    deliver(candidate.feed, b"".join(wire))
    assert candidate.packets() == ["3probe", "4a", b"\x01"]


def test_polling_requests_are_refused_after_the_upgrade() -> None:
    server = Server()
    websocket = upgraded(server)
    for method in ("GET", "POST"):
        response = server.send(method, body=b"4x", transport="polling", sid=websocket.sid)
        assert response.response().json == {"code": 3, "message": "Bad request"}
    assert server.closed == []


def test_a_poll_that_is_pending_at_the_upgrade_is_released_with_a_noop() -> None:
    server = Server()
    client = server.open_polling()
    poll = client.poll()
    client.upgrade().send_packet("5")
    assert poll.response().text == "6"
    assert server.closed == []


def test_a_poll_that_dies_after_the_upgrade_harms_nobody() -> None:
    server = Server()
    client = server.open_polling()
    poll = client.poll()
    client.upgrade().send_packet("5")
    poll.tcp.lose()
    assert server.closed == []


def test_a_session_upgrades_once() -> None:
    server = Server()
    websocket = upgraded(server)
    second = server.upgrade(sid=websocket.sid)
    assert second.response().status == 101
    assert [(frame.opcode, frame.payload) for frame in second.frames()] == [(8, b"")]
    websocket.send("still here")
    assert server.received == ["still here"]


def test_a_second_candidate_is_closed_and_the_first_goes_on() -> None:
    server = Server()
    client = server.open_polling()
    first = client.upgrade()
    second = client.upgrade(tail=text_frame("2probe"))
    assert second.close_code == 1005
    first.send_packet("2probe")
    first.send_packet("5")
    assert server.session.transport.name == "websocket"
    assert server.closed == []


def test_a_session_that_began_as_a_websocket_is_not_taken_over() -> None:
    server = Server()
    owner = server.open_websocket()
    thief = server.upgrade(tail=text_frame("5"), sid=owner.sid)
    thief.response()
    assert thief.frames()[0].opcode == 8
    owner.send("still mine")
    assert server.received == ["still mine"]


def test_an_upgrade_that_was_not_offered_is_refused() -> None:
    server = Server(allow_upgrades=False)
    client = server.open_polling()
    assert server.upgrade(sid=client.sid).response().status == 400
    client.send("goes on")
    assert server.received == ["goes on"]


@pytest.mark.parametrize("packet", ["4hello", "2", "2probe2", "3probe", "6", "nonsense", ""])
def test_another_packet_before_the_upgrade_closes_the_candidate_alone(packet: str) -> None:
    server = Server()
    client = server.open_polling()
    candidate = client.upgrade()
    candidate.send_packet(packet)
    assert candidate.close_code == 1005
    assert (server.received, server.closed) == ([], [])
    client.send("goes on")
    assert server.received == ["goes on"]


def test_a_binary_message_before_the_upgrade_closes_the_candidate_alone() -> None:
    server = Server()
    candidate = server.open_polling().upgrade()
    candidate.send(b"\x00")
    assert candidate.close_code == 1005
    assert (server.received, server.closed) == ([], [])


def test_a_second_probe_closes_the_candidate_alone() -> None:
    server = Server()
    candidate = server.open_polling().upgrade()
    candidate.send_packet("2probe")
    candidate.send_packet("2probe")
    assert candidate.close_code == 1005
    assert server.closed == []


def try_again(client: PollingClient) -> None:
    """The session polls on, and another candidate may come."""
    poll = client.poll()
    assert poll.responses() == []
    client.session.send_text("polled")
    assert poll.response().text == "4polled"
    candidate = client.upgrade()
    candidate.send_packet("2probe")
    candidate.send_packet("5")
    assert client.session.transport.name == "websocket"


@pytest.mark.parametrize("last_words", [None, "2probe"])
def test_a_candidate_that_takes_too_long_is_closed_and_may_be_followed(
    last_words: str | None,
) -> None:
    server = Server(upgrade_timeout=5)
    client = server.open_polling()
    candidate = client.upgrade()
    if last_words is not None:
        candidate.send_packet(last_words)
    server.clock.advance(4.9)
    assert candidate.close_code is None
    server.clock.advance(0.2)
    assert candidate.close_code == 1005
    candidate.send_packet("5")
    assert server.session.transport.name == "polling"
    try_again(client)


@pytest.mark.parametrize("last_words", [None, "2probe"])
@pytest.mark.parametrize("way", ["lose", "close frame", "rsv bits"])
def test_a_candidate_that_dies_leaves_the_session_with_polling(
    way: str, last_words: str | None
) -> None:
    server = Server()
    client = server.open_polling()
    candidate = client.upgrade()
    if last_words is not None:
        candidate.send_packet(last_words)
    if way == "lose":
        candidate.tcp.lose()
    elif way == "close frame":
        candidate.frame(8, b"\x03\xe8")
    else:
        candidate.frame(TEXT, b"5", rsv=4)
    assert server.closed == []
    try_again(client)


def test_a_candidate_does_not_outlive_its_session() -> None:
    server = Server(ping_interval=1, ping_timeout=1, upgrade_timeout=60)
    candidate = server.open_polling().upgrade()
    server.clock.advance(3)
    assert server.reasons == ["ping timeout"]
    assert candidate.close_code == 1005
    assert not server.engine.sessions


def test_a_session_that_closes_takes_no_candidate() -> None:
    server = Server()
    client = server.open_polling()
    server.session.close()
    candidate = client.upgrade()
    assert candidate.close_code == 1005
    assert client.poll().response().text == "6\x1e1"


def test_no_message_is_lost_doubled_or_overtaken_by_the_upgrade() -> None:
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
    emit(2)  # the poll that is pending takes them
    arrived += [record[1:] for record in poll.response().text.split("\x1e")]
    client.send("in 1")
    emit(2)
    candidate.send_packet("2probe")
    emit(2)
    fetch()  # what waited comes before the noop
    client.send("in 2")
    emit(3)  # nobody polls any more: they wait
    candidate.feed(text_frame("5") + text_frame("4in 3"))
    emit(3)
    candidate.send("in 4")
    arrived += [text for text in candidate.messages() if isinstance(text, str)]
    assert arrived == [str(number) for number in range(15)]
    assert server.received == [f"in {number}" for number in range(5)]


def test_an_upload_that_is_under_way_at_the_upgrade_is_delivered() -> None:
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


def test_reading_that_is_paused_stays_paused_over_the_upgrade() -> None:
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


def test_another_engine_on_another_path_is_not_disturbed() -> None:
    one, two = Server(path="/one", echo=True), Server(path="/two", echo=True)
    assert one.get(transport="polling").response().status == 200
    elsewhere = one.connect()
    elsewhere.request("GET", two.target(transport="polling"))
    assert elsewhere.response().status == 404
    websocket = upgraded(two)
    websocket.send("fine")
    assert websocket.messages() == ["fine"]


def test_a_close_reaches_a_client_that_has_stopped_to_poll_for_its_upgrade() -> None:
    server = Server()
    client = server.open_polling()
    candidate = client.upgrade()
    candidate.send_packet("2probe")
    server.session.send_text("last words")
    server.session.close()
    candidate.send_packet("5")
    assert candidate.packets() == ["3probe", "4last words"]
    assert candidate.is_over
    assert server.reasons == ["forced close"]


def test_a_close_during_an_upgrade_reaches_a_client_that_polls_on() -> None:
    server = Server()
    client = server.open_polling()
    candidate = client.upgrade()
    candidate.send_packet("2probe")
    server.session.close()
    assert client.packets() == ["6", "1"]
    assert server.reasons == ["forced close"]


@pytest.mark.parametrize("probes", [False, True])
def test_a_candidate_that_sends_no_utf_8_is_told_so_and_the_session_goes_on(probes: bool) -> None:
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
