"""Admission checks: refused requests, in the order of the checks, and `allow_request`."""

from __future__ import annotations

import asyncio
import logging
import re

import pytest

from engineio_core import Cors, HttpRequest
from tests.engineio_core.support import refusal
from tests.helpers.client import Server
from tests.helpers.waiting import settle
from tests.helpers.wire import http_request


@pytest.mark.parametrize("name", ["pigeon", "constructor", "__proto__", "webtransport", ""])
def test_unknown_transport_is_refused_with_code_0(name: str) -> None:
    server = Server()
    assert refusal(server.get(transport=name).response()) == (400, 0, "Transport unknown")
    assert server.errors[0].code == 0
    assert server.errors[0].context == {"transport": name}


def test_missing_transport_is_refused_with_code_0() -> None:
    assert refusal(Server().get().response()) == (400, 0, "Transport unknown")


@pytest.mark.parametrize("name", ["pigeon", "__proto__"])
def test_upgrade_with_an_unknown_transport_receives_400_and_the_message(name: str) -> None:
    server = Server()
    connection = server.upgrade(transport=name)
    response = connection.response()
    assert (response.status, response.text) == (400, "Transport unknown")
    assert response.header("Content-Type") == "text/html"
    assert response.header("Connection") == "close"
    assert connection.tcp.is_closed


def test_disabled_transport_is_refused_with_code_0() -> None:
    server = Server(transports=["websocket"])
    assert refusal(server.get(transport="polling").response())[1] == 0


def test_unknown_sid_is_refused_with_code_1() -> None:
    server = Server()
    response = server.get(transport="polling", sid="unknown").response()
    assert refusal(response) == (400, 1, "Session ID unknown")
    assert server.errors[0].context == {"sid": "unknown"}


def test_upgrade_with_an_unknown_sid_receives_400_and_the_message() -> None:
    response = Server().upgrade(sid="unknown").response()
    assert (response.status, response.text) == (400, "Session ID unknown")


def test_empty_sid_opens_a_session() -> None:
    server = Server()
    assert server.get(transport="polling", sid="").response().status == 200
    assert len(server.sessions) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_handshake_with_another_method_is_refused_with_code_2(method: str) -> None:
    server = Server()
    response = server.send(method, transport="polling").response()
    assert refusal(response) == (400, 2, "Bad handshake method")
    assert server.errors[0].context == {"method": method}


def test_websocket_transport_without_upgrade_is_refused_with_code_3() -> None:
    server = Server(cors=Cors(origins="*"))
    response = server.get({"Origin": "http://engine.io"}, transport="websocket").response()
    assert refusal(response) == (400, 3, "Bad request")
    assert response.header("Access-Control-Allow-Origin") == "*"
    assert server.errors[0].context == {"name": "TRANSPORT_HANDSHAKE_ERROR"}


@pytest.mark.parametrize("has_session", [False, True])
def test_log_names_the_lost_upgrade_header_of_a_websocket_request(
    has_session: bool, caplog: pytest.LogCaptureFixture
) -> None:
    # A proxy that removes hop-by-hop headers keeps Sec-WebSocket-Key.
    server = Server()
    sid = {"sid": server.open_polling().sid} if has_session else {}
    headers = {"Connection": "close", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    response = server.get(headers, transport="websocket", **sid).response()
    assert refusal(response) == (400, 3, "Bad request")
    (record,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "has no Upgrade header" in record.getMessage()
    assert "configure the reverse proxy" in record.getMessage()


def test_upgrade_with_the_polling_transport_is_refused() -> None:
    response = Server().upgrade(transport="polling").response()
    assert (response.status, response.text) == (400, "Bad request")


def test_origin_with_control_characters_is_refused_with_code_3() -> None:
    server = Server(cors=Cors(origins=re.compile(".*")))
    response = server.get({"Origin": "http://engine.io/\x01"}, transport="polling").response()
    assert refusal(response) == (400, 3, "Bad request")
    assert server.errors[0].context["name"] == "INVALID_ORIGIN"
    assert response.header("Access-Control-Allow-Origin") is None


@pytest.mark.parametrize("revision", ["2", "3", "5", "abc", ""])
def test_other_protocol_revision_is_refused_with_code_5(revision: str) -> None:
    server = Server()
    response = server.get(transport="polling", EIO=revision).response()
    assert refusal(response) == (400, 5, "Unsupported protocol version")
    assert server.errors[0].context == {"protocol": 3}


def test_upgrade_with_another_protocol_revision_receives_400() -> None:
    response = Server().upgrade(EIO="3").response()
    assert (response.status, response.text) == (400, "Unsupported protocol version")


def test_transport_is_checked_before_the_protocol_revision() -> None:
    assert refusal(Server().get(transport="pigeon", EIO="3").response())[1] == 0


def test_method_is_checked_before_allow_request() -> None:
    calls: list[HttpRequest] = []
    server = Server(allow_request=calls.append)
    assert refusal(server.post(b"", transport="polling").response())[1] == 2
    assert calls == []


def test_allow_request_is_called_before_the_protocol_revision_is_checked() -> None:
    server = Server(allow_request=lambda request: False)
    assert refusal(server.get(transport="polling", EIO="3").response()) == (403, 4, "Forbidden")


def test_allow_request_message_is_sent_with_code_4() -> None:
    server = Server(allow_request=lambda request: "not on Sundays")
    response = server.get(transport="polling").response()
    assert refusal(response) == (403, 4, "not on Sundays")
    assert server.errors[0].message == "Forbidden"
    assert server.errors[0].context == {"message": "not on Sundays"}


def test_allow_request_message_is_sent_to_a_websocket() -> None:
    server = Server(allow_request=lambda request: "not on Sundays")
    response = server.upgrade().response()
    assert (response.status, response.text) == (400, "not on Sundays")
    assert not server.sessions


@pytest.mark.parametrize("decision", [True, None])
def test_allow_request_accepts_the_request_when_it_returns_true_or_none(
    decision: bool | None, transport: str
) -> None:
    server = Server(allow_request=lambda request: decision)
    assert server.open(transport).sid in server.engine.sessions


def test_request_is_refused_when_allow_request_raises(transport: str) -> None:
    def allow(request: HttpRequest) -> bool:
        raise RuntimeError("no database")

    server = Server(allow_request=allow)
    assert server.get(transport="polling").response().status == 403


async def test_async_allow_request_is_awaited() -> None:
    async def allow(request: HttpRequest) -> bool | str:
        await asyncio.sleep(0)
        return True if request.query.get("token") == "good" else "unknown token"

    server = Server(allow_request=allow)
    connections = [server.get(transport="polling", token=token) for token in ("good", "bad")]
    await settle()
    assert [each.response().status for each in connections] == [200, 403]


async def test_request_is_refused_when_allow_request_times_out() -> None:
    async def allow(request: HttpRequest) -> bool:
        await asyncio.Event().wait()
        return True

    server = Server(allow_request=allow, handshake_timeout=0.01)
    connection = server.get(transport="polling")
    await asyncio.sleep(0.03)
    await settle()
    assert refusal(connection.response()) == (400, 3, "Bad request")


def test_allow_request_is_called_once_per_session() -> None:
    calls: list[str] = []
    server = Server(allow_request=lambda request: calls.append(request.target))
    client = server.open_polling()
    client.send("hi")
    assert len(calls) == 1


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_method_on_a_session_receives_405(method: str) -> None:
    server = Server()
    client = server.open_polling()
    connection = server.send(method, transport="polling", sid=client.sid)
    response = connection.response(head_only=method == "HEAD")
    assert (response.status, response.header("Allow")) == (405, "GET, POST")
    assert server.closed == []


def test_websocket_request_without_upgrade_for_a_polling_session_is_refused() -> None:
    # A proxy without WebSocket support forwards an upgrade like this.
    server = Server()
    client = server.open_polling()
    response = server.get(transport="websocket", sid=client.sid).response()
    assert refusal(response) == (400, 3, "Bad request")
    assert server.errors[0].context == {
        "name": "TRANSPORT_MISMATCH",
        "transport": "websocket",
        "previousTransport": "polling",
    }
    assert server.closed == []


def test_plain_request_for_a_websocket_session_is_refused() -> None:
    server = Server()
    client = server.open_websocket()
    for method, name in [("GET", "polling"), ("POST", "polling"), ("GET", "websocket")]:
        response = server.send(method, body=b"4x", transport=name, sid=client.sid).response()
        assert refusal(response) == (400, 3, "Bad request")
    assert server.closed == []


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_upgrade_with_another_method_is_refused(method: str) -> None:
    server = Server()
    client = server.open_websocket()
    connection = server.connect()
    target = server.target(transport="polling", sid=client.sid)
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    connection.feed(http_request(method, target, headers, b"4x"))
    assert connection.response().status == 400
    assert server.received == []
