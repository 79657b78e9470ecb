"""States of an exchange and of its connection, event by event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engineio_core.http.exchange import Exchange
from engineio_core.http.message import HttpRequest, HttpResponse
from engineio_core.http.states import (
    EXCHANGE_TRANSITIONS,
    FINISHED,
    GONE,
    STREAMING,
    WAITING,
    ExchangeEvent,
    ExchangeState,
)
from tests.helpers.client import WEBSOCKET_HEADERS, Server
from tests.helpers.wire import http_request


class FakeCarrier:
    def __init__(self) -> None:
        self.is_body_read = True
        self.written = b""
        self.calls: list[str] = []

    def write(self, data: bytes) -> None:
        self.written += data

    def read_body(self) -> None:
        self.calls.append("read_body")

    def pause_body(self) -> None:
        self.calls.append("pause_body")

    def exchange_finished(self) -> None:
        self.calls.append("exchange_finished")

    def abort(self) -> None:
        self.calls.append("abort")

    def release(self) -> Any:
        self.calls.append("release")
        return object(), b""

    def detach(self, done: Any) -> None:
        self.calls.append("detach")


def make_exchange(method: str = "GET", *, is_http10: bool = False) -> tuple[Exchange, FakeCarrier]:
    carrier = FakeCarrier()
    request = HttpRequest(method, "/x", {"host": "a"})
    return Exchange(carrier, request, True, is_http10=is_http10), carrier


REACH: dict[ExchangeState, Callable[[Exchange], object]] = {
    WAITING: lambda exchange: None,
    STREAMING: lambda exchange: exchange.start_stream(200, []),
    FINISHED: lambda exchange: exchange.respond(HttpResponse(200)),
    GONE: lambda exchange: exchange.client_left(),
}
EVENTS: dict[ExchangeEvent, Callable[[Exchange], object]] = {
    ExchangeEvent.RESPOND: lambda exchange: exchange.respond(HttpResponse(200)),
    ExchangeEvent.START_STREAM: lambda exchange: exchange.start_stream(200, []),
    ExchangeEvent.FINISH: lambda exchange: exchange.finish(),
    ExchangeEvent.ABORT: lambda exchange: exchange.abort(),
    ExchangeEvent.CLIENT_LEFT: lambda exchange: exchange.client_left(),
}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", REACH)
def test_event_leads_to_the_state_of_the_table_or_changes_nothing(
    state: ExchangeState, event: ExchangeEvent
) -> None:
    exchange, carrier = make_exchange()
    REACH[state](exchange)
    assert exchange.state is state
    written, calls = carrier.written, list(carrier.calls)
    EVENTS[event](exchange)
    row: Any = EXCHANGE_TRANSITIONS[state]
    assert exchange.state is row.get(event, state)
    if event not in row:
        assert (carrier.written, carrier.calls) == (written, calls)


def test_upgrade_releases_tcp_and_finishes_the_exchange() -> None:
    exchange, carrier = make_exchange()
    exchange.upgrade()
    assert exchange.state is FINISHED
    assert carrier.calls == ["release"]


def test_body_before_the_head_and_after_the_end_is_dropped() -> None:
    exchange, carrier = make_exchange()
    exchange.write(b"early")
    assert carrier.written == b""
    exchange.start_stream(200, [("Content-Length", "2")])
    exchange.write(b"ok")
    exchange.finish()
    exchange.write(b"late")
    assert carrier.written.endswith(b"\r\n\r\nok")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_response_without_body_drops_the_body(method: str, status: int) -> None:
    exchange, carrier = make_exchange(method)
    exchange.start_stream(status, [])
    exchange.write(b"body")
    exchange.finish()
    assert carrier.written.endswith(b"\r\n\r\n")
    assert exchange.state is FINISHED


def test_http10_response_without_length_ends_with_the_connection() -> None:
    exchange, carrier = make_exchange(is_http10=True)
    exchange.start_stream(200, [])
    exchange.write(b"body")
    exchange.finish()
    assert not exchange.keep_alive
    assert carrier.written.endswith(b"Connection: close\r\n\r\nbody")


def test_body_of_another_length_than_announced_is_rejected() -> None:
    exchange, _ = make_exchange()
    exchange.start_stream(200, [("Content-Length", "3")])
    exchange.write(b"ab")
    with pytest.raises(ValueError, match="must not be shorter than its Content-Length"):
        exchange.finish()
    with pytest.raises(ValueError, match="must not exceed its Content-Length"):
        exchange.write(b"cd")


def test_abort_callback_is_called_once_when_the_client_leaves() -> None:
    exchange, _ = make_exchange()
    calls: list[None] = []
    exchange.on_abort = lambda: calls.append(None)
    exchange.client_left()
    exchange.client_left()
    assert len(calls) == 1


def test_abort_does_not_call_the_abort_callback() -> None:
    exchange, carrier = make_exchange()
    exchange.on_abort = lambda: pytest.fail("the exchange aborted itself")
    exchange.abort()
    exchange.client_left()
    assert carrier.calls == ["abort"]


@pytest.mark.parametrize("position", [1, 20, 60])
def test_upgrade_that_arrives_in_pieces_opens_a_websocket(position: int) -> None:
    server = Server()
    connection = server.connect()
    data = http_request("GET", server.target(transport="websocket"), WEBSOCKET_HEADERS)
    connection.feed(data[:position])
    connection.feed(data[position:])
    assert connection.response().status == 101
    assert server.engine._connections == set()


def test_failure_after_the_response_to_an_upload_sends_no_second_response() -> None:
    server = Server()

    def respond_and_fail(exchange: Exchange) -> None:
        exchange.respond(HttpResponse(403))
        raise RuntimeError("after the response")

    server.engine._admit = respond_and_fail
    connection = server.connect()
    headers = {"Content-Length": "5", "Expect": "100-continue"}
    connection.feed(http_request("POST", server.target(transport="polling"), headers))
    assert [response.status for response in connection.responses()] == [403]
