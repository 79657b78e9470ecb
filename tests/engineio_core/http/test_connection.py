"""HTTP connections: keep-alive, pipelining, request bodies, slow clients and server errors."""

from __future__ import annotations

import tracemalloc

import pytest

from engineio_core import HttpResponse
from engineio_core.http.exchange import BodyCollector, Exchange
from tests.helpers.client import Server
from tests.helpers.wire import DELIVERIES, Delivery, http_request

# -- keep-alive and pipelining


def test_connection_serves_sequential_requests() -> None:
    server = Server()
    connection = server.connect()
    for _ in range(3):
        connection.request("GET", server.target(transport="polling"))
        response = connection.response()
        assert (response.status, response.header("Connection")) == (200, None)
    assert len(server.sessions) == 3


@pytest.mark.parametrize("deliver", DELIVERIES)
def test_pipelined_requests_receive_responses_in_order(deliver: Delivery) -> None:
    server = Server()
    connection = server.connect()
    target = server.target(transport="polling")
    bad = http_request("GET", "/nowhere")
    deliver(connection.feed, http_request("GET", target) + bad + http_request("POST", target) * 2)
    assert [each.status for each in connection.responses()] == [200, 404, 400, 400]


def test_pipelined_requests_do_not_recurse() -> None:
    server = Server()
    connection = server.connect()
    connection.feed(http_request("GET", "/") * 5000)
    while connection.tcp.unread:
        connection.feed(b"")
    assert len(connection.responses()) == 5000


def test_pipelining_client_is_paused_when_it_does_not_read() -> None:
    server = Server()
    connection = server.connect()
    connection.tcp.stall()
    for _ in range(20):
        connection.feed(http_request("GET", "/") * 500)
    assert connection.tcp.is_reading_paused
    assert connection.tcp.get_write_buffer_size() < 100_000
    for _ in range(100):
        connection.tcp.unstall()
        connection.tcp.stall()
    connection.tcp.unstall()
    assert len(connection.responses()) == 10_000


def test_requests_pipelined_after_a_poll_stay_in_the_kernel_buffer() -> None:
    server = Server()
    client = server.open_polling()
    connection = client.poll()
    for _ in range(100):
        connection.feed(http_request("GET", "/") * 10)
    assert connection.tcp.is_reading_paused
    assert connection.tcp.unread > 20_000
    server.session.send_text("x")
    server.clock.run()
    while connection.tcp.unread:
        connection.feed(b"")
    assert len(connection.responses()) == 1001
    assert server.closed == []


@pytest.mark.parametrize(("headers", "version"), [({"Connection": "close"}, "1.1"), ({}, "1.0")])
def test_connection_closes_after_the_response_when_the_client_requests_it(
    headers: dict[str, str], version: str
) -> None:
    server = Server()
    connection = server.connect()
    wire = http_request("GET", server.target(transport="polling"), headers, version=version)
    connection.feed(wire + http_request("GET", "/"))
    response = connection.response()
    assert (response.status, response.header("Connection")) == (200, "close")
    assert connection.tcp.is_closed
    assert not connection.tcp.is_aborted


def test_idle_connection_closes_after_the_keep_alive_timeout() -> None:
    server = Server(keep_alive_timeout=65)
    connection = server.get(transport="polling")
    server.clock.advance(64)
    assert not connection.tcp.is_closed
    server.clock.advance(2)
    assert connection.tcp.is_closed
    assert server.engine._connections == set()


def test_pending_poll_has_no_deadline() -> None:
    server = Server(ping_interval=1000, keep_alive_timeout=1, header_timeout=1, body_timeout=1)
    poll = server.open_polling().poll()
    server.clock.advance(900)
    assert not poll.tcp.is_over
    server.session.send_text("late message")
    assert poll.response().text == "4late message"


def test_engine_close_ends_idle_connections_and_finishes_pending_responses() -> None:
    server = Server()
    waiting: list[Exchange] = []
    server.engine._admit = waiting.append
    idle = server.connect()
    busy = server.get(transport="polling")
    server.engine.close()
    assert idle.tcp.is_closed
    assert not busy.tcp.is_closed
    waiting[0].respond(HttpResponse(200, b"done"))
    assert busy.response().text == "done"
    assert busy.tcp.is_closed


# -- bodies


def test_head_response_has_no_body() -> None:
    server = Server()
    connection = server.send("HEAD", transport="polling")
    response = connection.response(head_only=True)
    assert response.status == 400
    assert response.header("Content-Length") != "0"
    connection.request("GET", "/nowhere")
    assert connection.response().status == 404


def test_expect_continue_receives_100() -> None:
    server = Server()
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    headers = {"Expect": "100-continue", "Content-Length": "6"}
    connection.feed(http_request("POST", target, headers))
    assert connection.response().status == 100
    connection.feed(b"4hello")
    assert connection.response().text == "ok"
    assert server.received == ["hello"]


@pytest.mark.parametrize("query", [{"sid": "unknown"}, {}])
def test_expect_continue_receives_400_when_the_request_is_refused(query: dict[str, str]) -> None:
    server = Server()
    connection = server.connect()
    headers = {"Expect": "100-continue", "Content-Length": "6"}
    connection.feed(http_request("POST", server.target(transport="polling", **query), headers))
    assert connection.response().status == 400
    assert connection.tcp.is_over


def test_expect_continue_receives_413_when_the_announced_body_is_too_large() -> None:
    server = Server(max_http_buffer_size=100)
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    connection.feed(
        http_request("POST", target, {"Expect": "100-continue", "Content-Length": "101"})
    )
    assert connection.response().status == 413
    assert connection.tcp.is_over
    assert server.reasons == ["transport error"]


def test_body_of_a_refused_request_is_skipped() -> None:
    server = Server()
    connection = server.connect()
    target = server.target(transport="polling", sid="unknown")
    connection.feed(http_request("POST", target, {}, b"x" * 5000) + http_request("GET", "/"))
    assert [each.status for each in connection.responses()] == [400, 404]


def test_refused_upload_is_aborted_after_the_client_had_time_to_read_the_response() -> None:
    server = Server(max_http_buffer_size=1000)
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    connection.feed(http_request("POST", target, {"Content-Length": "1000000"}))
    for _ in range(100):
        connection.feed(b"x" * 1000)
    assert connection.response().status == 413
    assert connection.tcp.has_written_eof
    assert not connection.tcp.is_closed
    server.clock.advance(3)
    assert connection.tcp.is_aborted
    server.clock.run()
    assert connection.tcp.get_protocol() not in server.engine._connections


TARGET = "/engine.io/?EIO=4&transport=polling"


# -- slow clients


@pytest.mark.parametrize("wire", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nX: y\r\n"])
def test_incomplete_request_head_is_refused_after_the_header_timeout(wire: bytes) -> None:
    server = Server(header_timeout=10)
    connection = server.connect()
    if wire:
        connection.feed(wire)
    server.clock.advance(9)
    assert not connection.tcp.is_over
    server.clock.advance(2)
    assert connection.tcp.is_over
    assert [each.status for each in connection.responses()] == ([408] if wire else [])


def test_header_timeout_is_not_extended_by_further_bytes() -> None:
    server = Server(header_timeout=10)
    connection = server.connect()
    for byte in b"GET / HTTP/1.1\r\n":
        connection.feed(bytes((byte,)))
        server.clock.advance(1)
    assert connection.response().status == 408
    server.clock.advance(3)
    assert connection.tcp.is_aborted


def test_stalled_body_receives_408_after_the_body_timeout() -> None:
    server = Server(body_timeout=30, ping_interval=1000)
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    connection.feed(http_request("POST", target, {"Content-Length": "10"}) + b"4he")
    server.clock.advance(31)
    assert connection.response().status == 408
    assert server.reasons == ["transport error"]


def test_trickling_body_receives_408_after_the_body_timeout() -> None:
    server = Server(body_timeout=30, ping_interval=1000)
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    connection.feed(http_request("POST", target, {"Content-Length": "1000"}))
    for _ in range(40):
        connection.feed(b"x")
        server.clock.advance(1)
    assert connection.response().status == 408


def test_large_body_from_a_slow_client_is_accepted() -> None:
    server = Server(body_timeout=30, ping_interval=1000)
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    connection.feed(http_request("POST", target, {"Content-Length": "400001"}) + b"4")
    for _ in range(100):
        connection.feed(b"x" * 4000)
        server.clock.advance(1)
    assert connection.response().text == "ok"


def test_connection_is_aborted_when_the_client_does_not_read_the_last_response() -> None:
    server = Server(close_timeout=30)
    connection = server.connect()
    connection.tcp.stall()
    server.engine._admit = lambda exchange: exchange.respond(HttpResponse(200, b"x" * 100_000))
    connection.feed(http_request("GET", TARGET, {"Connection": "close"}))
    server.clock.advance(29)
    assert not connection.tcp.is_aborted
    server.clock.advance(2)
    assert connection.tcp.is_aborted
    assert server.engine._connections == set()


# -- server errors


def test_handler_error_affects_only_its_own_client() -> None:
    server = Server()
    other = server.open_websocket()

    def fail(exchange: Exchange) -> None:
        raise RuntimeError("handler error")

    server.engine._admit = fail
    connection = server.get(transport="polling")
    assert connection.response().status == 500
    assert connection.tcp.is_over
    other.send("still served")
    assert server.received == ["still served"]


def test_second_response_is_dropped() -> None:
    server = Server()

    def respond_twice(exchange: Exchange) -> None:
        exchange.respond(HttpResponse(200, b"first"))
        exchange.respond(HttpResponse(200, b"second"))
        exchange.finish()

    server.engine._admit = respond_twice
    connection = server.connect()
    connection.feed(http_request("GET", TARGET) * 2)
    assert [each.text for each in connection.responses()] == ["first", "first"]


def test_file_handler_is_called_first_below_the_path() -> None:
    server = Server()

    def serve(exchange: Exchange) -> bool:
        if not exchange.request.path.endswith(".js"):
            return False
        exchange.respond(HttpResponse(200, b"//js"))
        return True

    server.engine._serve_files(serve)
    connection = server.connect()
    connection.request("GET", "/engine.io/client.js")
    assert connection.response().body == b"//js"
    server.open_polling()


def test_body_in_many_pieces_uses_memory_of_its_size_only() -> None:
    kept: list[bytes] = []
    collector = BodyCollector(200_000, kept.append, kept.append)
    tracemalloc.start()
    for number in range(10_000):
        collector.body_data(number.to_bytes(10, "big"))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 300_000
    collector.body_complete()
    assert kept == [b"".join(number.to_bytes(10, "big") for number in range(10_000))]
