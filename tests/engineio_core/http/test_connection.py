"""HTTP itself: connections that are kept, requests that are hostile, clients that are slow."""

from __future__ import annotations

import tracemalloc

import pytest

from engineio_core import HttpResponse
from engineio_core.http.exchange import BodyCollector, Exchange
from tests.helpers.client import Server
from tests.helpers.wire import DELIVERIES, Delivery, chunked, http_request

# -- connections that are kept


def test_a_connection_serves_one_request_after_the_other() -> None:
    server = Server()
    connection = server.connect()
    for _ in range(3):
        connection.request("GET", server.target(transport="polling"))
        response = connection.response()
        assert (response.status, response.header("Connection")) == (200, None)
    assert len(server.sessions) == 3


@pytest.mark.parametrize("deliver", DELIVERIES)
def test_pipelined_requests_are_answered_in_order(deliver: Delivery) -> None:
    server = Server()
    connection = server.connect()
    target = server.target(transport="polling")
    bad = http_request("GET", "/nowhere")
    deliver(connection.feed, http_request("GET", target) + bad + http_request("POST", target) * 2)
    assert [each.status for each in connection.responses()] == [200, 404, 400, 400]


def test_thousands_of_pipelined_requests_do_not_recurse() -> None:
    server = Server()
    connection = server.connect()
    connection.feed(http_request("GET", "/") * 5000)
    while connection.tcp.unread:
        connection.feed(b"")
    assert len(connection.responses()) == 5000


def test_a_client_that_pipelines_and_does_not_read_has_to_wait() -> None:
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


def test_what_is_pipelined_behind_a_poll_waits_in_the_kernel() -> None:
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
def test_a_connection_closes_after_the_answer_where_the_client_wants_it(
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


def test_an_idle_connection_is_closed_in_the_end() -> None:
    server = Server(keep_alive_timeout=65)
    connection = server.get(transport="polling")
    server.clock.advance(64)
    assert not connection.tcp.is_closed
    server.clock.advance(2)
    assert connection.tcp.is_closed
    assert server.engine._connections == set()


def test_a_pending_poll_has_no_deadline() -> None:
    server = Server(ping_interval=1000, keep_alive_timeout=1, header_timeout=1, body_timeout=1)
    poll = server.open_polling().poll()
    server.clock.advance(900)
    assert not poll.tcp.is_over
    server.session.send_text("at last")
    assert poll.response().text == "4at last"


def test_stopping_the_engine_closes_idle_connections_and_lets_others_be_answered() -> None:
    server = Server()
    waiting: list[Exchange] = []
    server.engine._serve_files(lambda exchange: waiting.append(exchange) or True)
    idle = server.connect()
    busy = server.get(transport="polling")
    server.engine.close()
    assert idle.tcp.is_closed
    assert not busy.tcp.is_closed
    waiting[0].respond(HttpResponse(200, b"done"))
    assert busy.response().text == "done"
    assert busy.tcp.is_closed


# -- bodies


def test_head_is_answered_without_a_body() -> None:
    server = Server()
    connection = server.send("HEAD", transport="polling")
    response = connection.response(head_only=True)
    assert response.status == 400
    assert response.header("Content-Length") != "0"
    connection.request("GET", "/nowhere")
    assert connection.response().status == 404


def test_a_client_that_expects_it_is_told_to_go_on() -> None:
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
def test_a_client_whose_request_is_refused_is_not_told_to_go_on(query: dict[str, str]) -> None:
    server = Server()
    connection = server.connect()
    headers = {"Expect": "100-continue", "Content-Length": "6"}
    connection.feed(http_request("POST", server.target(transport="polling", **query), headers))
    assert connection.response().status == 400
    assert connection.tcp.is_over


def test_a_client_that_wants_to_send_too_much_is_refused_before_it_does() -> None:
    server = Server(max_http_buffer_size=100)
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    connection.feed(
        http_request("POST", target, {"Expect": "100-continue", "Content-Length": "101"})
    )
    assert connection.response().status == 413
    assert connection.tcp.is_over
    assert server.closed == []


def test_the_body_of_a_refused_request_is_read_over() -> None:
    server = Server()
    connection = server.connect()
    target = server.target(transport="polling", sid="unknown")
    connection.feed(http_request("POST", target, {}, b"x" * 5000) + http_request("GET", "/"))
    assert [each.status for each in connection.responses()] == [400, 404]


def test_a_client_that_uploads_on_without_end_is_cut_after_it_could_read_its_answer() -> None:
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


# -- hostile requests

TARGET = "/engine.io/?EIO=4&transport=polling"


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        (
            "both Content-Length and Transfer-Encoding",
            http_request("POST", TARGET, {"Content-Length": "4", "Transfer-Encoding": "chunked"}),
        ),
        (
            "two different Content-Lengths",
            http_request("POST", TARGET, [("Content-Length", "4"), ("Content-Length", "5")]),
        ),
        ("a list of Content-Lengths", http_request("POST", TARGET, {"Content-Length": "4, 5"})),
        ("a signed Content-Length", http_request("POST", TARGET, {"Content-Length": "+4"})),
        ("a negative Content-Length", http_request("POST", TARGET, {"Content-Length": "-4"})),
        ("a Content-Length in hex", http_request("POST", TARGET, {"Content-Length": "0x4"})),
        ("an absurd Content-Length", http_request("POST", TARGET, {"Content-Length": "9" * 40})),
        (
            "an unknown Transfer-Encoding",
            http_request("POST", TARGET, {"Transfer-Encoding": "gzip, chunked"}),
        ),
        (
            "Transfer-Encoding twice",
            http_request(
                "POST", TARGET, [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "x")]
            ),
        ),
        (
            "a space before the colon",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 4\r\n\r\n",
        ),
        ("lines that end with LF alone", b"GET / HTTP/1.1\nHost: a\n\n"),
        ("one line that ends with LF alone", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
        ("a CR within a line", b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"),
        ("a folded line", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"),
        ("no Host", b"GET / HTTP/1.1\r\n\r\n"),
        ("two Hosts", http_request("GET", TARGET, [("Host", "a"), ("Host", "b")])),
        ("a NUL in a header", http_request("GET", TARGET, {"X": "a\x00b"})),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        ("no version", b"GET /\r\n\r\n"),
        ("a version of the future", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        ("a target with a space", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a target of another scheme", b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a target that is none", b"GET nonsense HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a target with raw UTF-8", "GET /\u20ac HTTP/1.1\r\nHost: a\r\n\r\n".encode()),
        ("CONNECT", b"CONNECT evil:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("deliver", DELIVERIES)
def test_ambiguous_and_broken_requests_are_refused_and_the_connection_ended(
    name: str, wire: bytes, deliver: Delivery
) -> None:
    server = Server()
    connection = server.connect()
    smuggled = http_request("GET", TARGET)
    deliver(connection.feed, wire + smuggled)
    (response,) = connection.responses()
    assert response.status in {400, 501, 505}, name
    assert response.header("Connection") == "close"
    assert connection.tcp.is_over
    assert not server.sessions, "the second request must not be seen"


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n4x\r\n0\r\n\r\n",
        b"-2\r\n4x\r\n0\r\n\r\n",
        b"0x2\r\n4x\r\n0\r\n\r\n",
        b"2\r\n4xx\r\n0\r\n\r\n",
        b"2\r\n4xXX0\r\n\r\n",
        b"f" * 30 + b"\r\n",
        b" 2\r\n4x\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("deliver", DELIVERIES)
def test_broken_chunks_end_the_request_and_its_session(body: bytes, deliver: Delivery) -> None:
    server = Server()
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    head = http_request("POST", target, {"Transfer-Encoding": "chunked"})
    deliver(connection.feed, head + body + http_request("GET", TARGET))
    assert connection.response().status == 400
    assert connection.tcp.is_over
    assert server.received == []
    assert server.reasons == ["transport error"]
    assert len(server.sessions) == 1


def test_a_head_that_is_too_large_is_refused() -> None:
    server = Server(max_header_size=16 * 1024)
    connection = server.connect()
    connection.feed(b"GET / HTTP/1.1\r\nHost: a\r\n")
    for number in range(300):
        connection.feed(b"X-%d: %b\r\n" % (number, b"y" * 100))
    assert connection.response().status == 431
    assert connection.tcp.is_over


@pytest.mark.parametrize("lines", [b"X: " + b"a" * 15_000, b"a:b\r\n" * 3000])
def test_a_head_that_comes_byte_by_byte_is_awaited(lines: bytes) -> None:
    connection = Server().connect()
    for byte in b"GET / HTTP/1.1\r\nHost: x\r\n" + lines:
        connection.feed(bytes((byte,)))
    assert connection.responses() == []


def test_a_request_line_without_end_is_refused() -> None:
    server = Server(max_header_size=16 * 1024)
    connection = server.connect()
    for _ in range(300):
        connection.feed(b"GET /" + b"a" * 100)
    assert connection.response().status in {400, 431}


def test_extensions_of_chunks_are_bounded() -> None:
    server = Server(max_header_size=16 * 1024)
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    connection.feed(http_request("POST", target, {"Transfer-Encoding": "chunked"}) + b"2;")
    for _ in range(300):
        connection.feed(b"x" * 100)
    assert connection.response().status in {400, 431}


def test_trailers_are_read_over() -> None:
    server = Server()
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    body = chunked(b"4x")[:-2] + b"X-Trailer: yes\r\n\r\n"
    connection.feed(http_request("POST", target, {"Transfer-Encoding": "chunked"}) + body * 1)
    assert connection.response().text == "ok"


def test_many_headers_with_the_same_name_are_joined() -> None:
    server = Server()
    connection = server.connect()
    cookies = [("Cookie", "a=1"), ("Cookie", "b=2"), ("X-A", "1"), ("x-a", "2")]
    connection.feed(http_request("GET", TARGET, cookies))
    headers = server.session.request.headers
    assert (headers["cookie"], headers["x-a"]) == ("a=1; b=2", "1, 2")


def test_another_protocol_that_is_offered_is_not_taken() -> None:
    server = Server()
    connection = server.connect()
    headers = {"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings", "HTTP2-Settings": "x"}
    connection.request("GET", TARGET, headers)
    assert connection.response().status == 200
    connection.request("GET", TARGET)
    assert connection.response().status == 200


# -- slow clients


@pytest.mark.parametrize("wire", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nX: y\r\n"])
def test_a_client_that_sends_no_whole_head_is_cut(wire: bytes) -> None:
    server = Server(header_timeout=10)
    connection = server.connect()
    if wire:
        connection.feed(wire)
    server.clock.advance(9)
    assert not connection.tcp.is_over
    server.clock.advance(2)
    assert connection.tcp.is_over
    assert [each.status for each in connection.responses()] == ([408] if wire else [])


def test_a_head_that_comes_byte_by_byte_wins_no_time() -> None:
    server = Server(header_timeout=10)
    connection = server.connect()
    for byte in b"GET / HTTP/1.1\r\n":
        connection.feed(bytes((byte,)))
        server.clock.advance(1)
    assert connection.response().status == 408
    server.clock.advance(3)
    assert connection.tcp.is_aborted


def test_a_body_that_stops_coming_is_given_up() -> None:
    server = Server(body_timeout=30, ping_interval=1000)
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    connection.feed(http_request("POST", target, {"Content-Length": "10"}) + b"4he")
    server.clock.advance(31)
    assert connection.response().status == 408
    assert server.reasons == ["transport error"]


def test_a_body_that_drips_is_given_up() -> None:
    server = Server(body_timeout=30, ping_interval=1000)
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    connection.feed(http_request("POST", target, {"Content-Length": "1000"}))
    for _ in range(40):
        connection.feed(b"x")
        server.clock.advance(1)
    assert connection.response().status == 408


def test_a_large_body_over_a_slow_line_is_taken() -> None:
    server = Server(body_timeout=30, ping_interval=1000)
    client = server.open_polling()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    connection.feed(http_request("POST", target, {"Content-Length": "400001"}) + b"4")
    for _ in range(100):
        connection.feed(b"x" * 4000)
        server.clock.advance(1)
    assert connection.response().text == "ok"


def test_a_client_that_does_not_read_its_last_answer_is_cut_in_the_end() -> None:
    server = Server(close_timeout=30)
    connection = server.connect()
    connection.tcp.stall()
    server.engine._serve_files(
        lambda exchange: exchange.respond(HttpResponse(200, b"x" * 100_000)) or True
    )
    connection.feed(http_request("GET", TARGET, {"Connection": "close"}))
    server.clock.advance(29)
    assert not connection.tcp.is_aborted
    server.clock.advance(2)
    assert connection.tcp.is_aborted
    assert server.engine._connections == set()


# -- failures of ours


def test_whoever_fails_to_answer_harms_his_own_client_alone() -> None:
    server = Server()
    other = server.open_websocket()

    def fail(exchange: Exchange) -> bool:
        raise RuntimeError("bug")

    server.engine._serve_files(fail)
    connection = server.get(transport="polling")
    assert connection.response().status == 500
    assert connection.tcp.is_over
    other.send("unharmed")
    assert server.received == ["unharmed"]


def test_a_second_answer_is_dropped() -> None:
    server = Server()

    def answer_twice(exchange: Exchange) -> bool:
        exchange.respond(HttpResponse(200, b"first"))
        exchange.respond(HttpResponse(200, b"second"))
        exchange.finish()
        return True

    server.engine._serve_files(answer_twice)
    connection = server.connect()
    connection.feed(http_request("GET", TARGET) * 2)
    assert [each.text for each in connection.responses()] == ["first", "first"]


def test_whoever_serves_files_is_asked_first_below_the_path() -> None:
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


def test_a_body_in_thousands_of_pieces_takes_no_more_memory_than_its_size() -> None:
    kept: list[bytes] = []
    collector = BodyCollector(200_000, kept.append, lambda: None)
    tracemalloc.start()
    for number in range(50_000):
        collector.body_data(number.to_bytes(2, "big"))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 300_000
    collector.body_complete()
    assert kept == [b"".join(number.to_bytes(2, "big") for number in range(50_000))]


def test_more_header_lines_than_a_client_needs_are_refused() -> None:
    server = Server()
    headers = {f"x-{number}": "" for number in range(200)}
    response = server.get(headers, transport="polling").response()
    assert response.status == 431
    assert server.engine.sessions == {}


def test_more_query_parts_than_a_client_needs_are_refused() -> None:
    server = Server()
    query = {f"x{number}": "" for number in range(200)}
    assert server.get(transport="polling", **query).response().status == 400
    assert server.engine.sessions == {}
