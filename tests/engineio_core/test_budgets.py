"""The memory of all clients together: unfinished messages and queued packets."""

from __future__ import annotations

from engineio_core.budgets import FAIR_QUEUE, LARGE_MESSAGE, hold, make_budgets
from tests.helpers.client import Server, WebSocketClient
from tests.helpers.wire import CONT, TEXT, client_frame, http_request

MESSAGE = client_frame(TEXT, b"4" + bytes(200_000))
LENGTH = len(MESSAGE)


def used(server: Server) -> tuple[int, int, int]:
    budgets = server.engine._budgets
    return budgets.known.used, budgets.strangers.used, budgets.queued.used


def make_server(unfinished: int) -> Server:
    return Server(max_total_unfinished_size=unfinished)


def begin(server: Server) -> WebSocketClient:
    client = server.open_websocket()
    client.feed(MESSAGE[:-1])
    return client


def test_hold_reserves_its_bytes_until_it_ends() -> None:
    budgets = make_budgets(1000, 0)
    first = hold(budgets, 200, is_stranger=True)
    assert first is not None
    assert (budgets.known.used, budgets.strangers.used) == (200, 200)
    assert hold(budgets, 100, is_stranger=True) is None, "strangers have a quarter"
    second = hold(budgets, 800, is_stranger=False)
    assert second is not None
    assert hold(budgets, 1, is_stranger=False) is None
    del first, second
    assert (budgets.known.used, budgets.strangers.used) == (0, 0)


def test_unfinished_message_above_the_budget_closes_its_connection_with_1013() -> None:
    server = make_server(2 * LENGTH)
    first, second, third = (begin(server) for _ in range(3))
    assert third.close_code == 1013
    assert server.closed == [("transport error", "too many unfinished messages")]
    assert used(server)[0] == 2 * LENGTH
    first.feed(MESSAGE[-1:])
    second.feed(MESSAGE[-1:])
    assert len(server.received) == 2
    assert used(server) == (0, 0, 0)


def test_client_that_leaves_releases_its_unfinished_message() -> None:
    server = make_server(LENGTH)
    begin(server).tcp.lose()
    assert used(server) == (0, 0, 0)
    begin(server).feed(MESSAGE[-1:])
    assert len(server.received) == 1


def test_small_unfinished_message_does_not_count() -> None:
    server = make_server(1)
    client = server.open_websocket()
    frame = client_frame(TEXT, b"4" + bytes(LARGE_MESSAGE - 100))
    client.feed(frame[:-1])
    assert used(server) == (0, 0, 0)
    client.feed(frame[-1:])
    assert len(server.received) == 1


def test_fragments_of_an_unfinished_message_count() -> None:
    server = make_server(150_000)
    client = server.open_websocket()
    client.feed(client_frame(TEXT, b"4" + bytes(99_999), fin=False))
    assert used(server)[0] == 100_000
    client.feed(client_frame(CONT, b"end"))
    assert used(server)[0] == 0
    assert len(server.received) == 1
    client.feed(client_frame(TEXT, b"4" + bytes(99_999), fin=False))
    client.feed(client_frame(CONT, bytes(99_999), fin=False))
    assert client.close_code == 1013
    client.tcp.lose()
    assert used(server)[0] == 0


def test_body_above_the_budget_is_refused_with_413() -> None:
    server = make_server(300_000)
    sessions = [server.open_polling() for _ in range(2)]
    connections = []
    for session in sessions:
        connection = server.connect()
        target = server.target(transport="polling", sid=session.sid)
        request = http_request("POST", target, body=b"4" + bytes(199_999))
        connection.feed(request[:-1])
        connections.append((connection, request))
    assert used(server)[0] == 200_000
    assert connections[1][0].response().status == 413
    connections[0][0].feed(connections[0][1][-1:])
    assert connections[0][0].response().status == 200
    assert used(server)[0] == 0


def test_chunked_body_counts_as_the_largest_one_until_it_is_complete() -> None:
    server = Server(max_http_buffer_size=100_000, max_total_unfinished_size=150_000)
    session = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=session.sid)
    connection.feed(http_request("POST", target, [("Transfer-Encoding", "chunked")]))
    assert used(server)[0] == 100_000
    connection.feed(b"2\r\n4x\r\n0\r\n\r\n")
    assert connection.response().status == 200
    assert used(server)[0] == 0
    connection.feed(http_request("POST", target, [("Transfer-Encoding", "chunked")]))
    connection.tcp.lose()
    assert used(server)[0] == 0


def test_packets_queued_for_all_clients_close_the_one_that_adds_to_a_long_queue() -> None:
    server = Server(max_total_outbox_size=2 * FAIR_QUEUE)
    server.open_polling()
    first = server.session
    server.open_polling()
    second = server.session
    text = "x" * (FAIR_QUEUE // 4)
    for _ in range(5):
        first.send_text(text)
    second.send_text(text)
    second.send_text(text)
    assert server.closed == []
    first.send_text(text)
    first.send_text(text)
    assert server.reasons == ["slow consumer"]
    assert "max_total_outbox_size" in server.closed[0][1]
    assert used(server)[2] == second.buffered_amount
    second.send_text(text)
    assert server.reasons == ["slow consumer"], "a short queue stays"


def test_budget_of_queued_packets_is_empty_when_the_client_has_polled() -> None:
    server = Server()
    client = server.open_polling()
    for _ in range(10):
        server.session.send_text("x" * 1000)
    assert used(server)[2] == 10 * 1001
    client.poll()
    assert used(server)[2] == 0
    server.session.send_text("late")
    server.session.close()
    server.clock.advance(100)
    assert used(server)[2] == 0
