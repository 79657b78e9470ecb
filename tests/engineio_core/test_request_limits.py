"""Requests of a session above a limit, and requests that do not fit their session."""

from __future__ import annotations

import logging

import pytest

from engineio_core.http.exchange import MAX_PIECES
from tests.helpers.client import Server
from tests.helpers.wire import chunked, http_request


def test_post_above_the_limit_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(max_http_buffer_size=1000)
    client = server.open_polling()
    with caplog.at_level(logging.WARNING):
        client.post("4" + "x" * 1000)
    assert server.reasons == ["transport error"]
    assert "max_http_buffer_size=1000" in caplog.text
    assert client.sid not in caplog.text


def test_websocket_message_above_the_limit_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(max_http_buffer_size=1000)
    client = server.open_websocket()
    with caplog.at_level(logging.WARNING):
        client.send("x" * 1000)
    assert (server.reasons, client.close_code) == (["transport error"], 1009)
    assert "max_http_buffer_size=1000" in caplog.text


def test_post_of_too_many_chunks_receives_413_and_closes_the_session() -> None:
    server = Server(max_http_buffer_size=100_000)
    client = server.open_polling()
    target = server.target(transport="polling", sid=client.sid)
    connection = server.connect()
    body = chunked(b"4" + b"x" * (MAX_PIECES + 200), 1)
    connection.feed(http_request("POST", target, {"Transfer-Encoding": "chunked"}) + body)
    assert connection.response().status == 413
    assert server.closed == [("transport error", "too many chunks")]


def test_stalled_post_receives_408_and_closes_the_session() -> None:
    server = Server(ping_interval=1000, body_timeout=30)
    client = server.open_polling()
    target = server.target(transport="polling", sid=client.sid)
    connection = server.connect()
    connection.feed(http_request("POST", target, {}, b"4" + b"x" * 100)[:-50])
    server.clock.advance(31)
    assert connection.response().status == 408
    assert server.reasons == ["transport error"]


@pytest.mark.parametrize("revision", ["3", "", "5", "04"])
@pytest.mark.parametrize("kind", ["poll", "post", "upgrade"])
def test_request_with_another_revision_than_its_session_is_refused(
    revision: str, kind: str
) -> None:
    server = Server()
    client = server.open_polling()
    query = {"sid": client.sid, "EIO": revision}
    if kind == "upgrade":
        response = server.upgrade(**query).response()
        assert (response.status, response.text) == (400, "Bad request")
    else:
        method, body = ("GET", None) if kind == "poll" else ("POST", b"4a")
        response = server.send(method, None, body, transport="polling", **query).response()
        assert (response.status, response.json) == (400, {"code": 3, "message": "Bad request"})
    assert server.errors[-1].context["name"] == "PROTOCOL_MISMATCH"
    assert server.received == []
    client.send("the session is open")
    assert server.received == ["the session is open"]


def test_request_without_a_revision_is_refused() -> None:
    server = Server()
    client = server.open_polling()
    connection = server.connect()
    connection.request("GET", f"/engine.io/?transport=polling&sid={client.sid}")
    assert connection.response().json["code"] == 3
