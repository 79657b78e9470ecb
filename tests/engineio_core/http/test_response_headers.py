"""The lines of response heads: the date, and headers with several values or a number."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import pytest

from engineio_core import HttpRequest, HttpResponse
from engineio_core.http import message
from tests.helpers.client import Server

COOKIES = ["a=1; Path=/", "b=2; Path=/"]


def header_lines(server: Server, transport: str) -> list[tuple[str, str]]:
    if transport == "websocket":
        response = server.upgrade().response()
        assert response.status == 101
    else:
        response = server.get(transport="polling").response()
        assert response.status == 200
    return [(name.lower(), value) for name, value in response.headers]


@pytest.mark.parametrize("event", ["headers", "initial_headers"])
def test_header_hook_may_return_several_lines_and_numbers(transport: str, event: Any) -> None:
    server = Server()

    def decorate(headers: dict[str, Any], request: HttpRequest) -> None:
        headers["Set-Cookie"] = COOKIES
        headers["X-Limit"] = 25
        headers["X-Pair"] = ("a", 2)

    server.engine.on(event, decorate)
    lines = header_lines(server, transport)
    assert [value for name, value in lines if name == "set-cookie"] == COOKIES
    assert [value for name, value in lines if name == "x-limit"] == ["25"]
    assert [value for name, value in lines if name == "x-pair"] == ["a", "2"]


def test_middleware_may_set_several_lines_and_numbers(transport: str) -> None:
    server = Server()

    def decorate(request: HttpRequest) -> None:
        headers: dict[str, Any] = request.response_headers
        headers["Set-Cookie"] = COOKIES
        headers["X-Limit"] = 25

    server.engine.use(decorate)
    lines = header_lines(server, transport)
    assert [value for name, value in lines if name == "set-cookie"] == COOKIES
    assert ("x-limit", "25") in lines


INVALID = {
    "none": (None, "got NoneType: write a string, or leave it out"),
    "bool": (True, "got bool: write a string, or leave it out"),
    "bytes": (b"x", "got bytes: decode it"),
    "dict": ({"a": 1}, "got dict: write a string, or leave it out"),
    "list": (["a", None], "got NoneType: write a string, or leave it out"),
    "controls": ("a\r\nX-B: b", "must be Latin-1 text without control characters"),
    "beyond-latin-1": ("\u20ac", "must be Latin-1 text without control characters"),
}


@pytest.fixture(autouse=True)
def _forget_logged_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message, "_logged", set())


@pytest.mark.parametrize("source", ["hook", "middleware"])
@pytest.mark.parametrize("kind", INVALID)
def test_invalid_header_is_left_out_and_logged_once(
    transport: str, kind: str, source: str, caplog: pytest.LogCaptureFixture
) -> None:
    value, why = INVALID[kind]
    added = {"X-A": value, "X-C": "c"}
    server = Server()
    if source == "hook":
        server.engine.on("headers", lambda headers, request: headers.update(added))
    else:
        server.engine.use(lambda request: request.response_headers.update(added))
    for _ in range(2):
        names = [name for name, _ in header_lines(server, transport)]
        assert "x-c" in names
        assert not {"x-a", "x-b"} & {*names}
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert record.message.startswith("responses are sent without a header of a hook or middleware")
    assert "'X-A'" in record.message
    assert why in record.message


def test_header_with_an_invalid_name_is_left_out(transport: str) -> None:
    server = Server()
    server.engine.on("headers", lambda headers, request: headers.update({"X A": "a", 5: "b"}))
    names = [name for name, _ in header_lines(server, transport)]
    assert not {"x a", "5"} & {*names}


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/engine.io/?EIO=4&transport=polling", 200),
        ("GET", "/engine.io/?EIO=4&transport=tobi", 400),
        ("GET", "/nowhere", 404),
        ("OPTIONS", "*", 204),
        ("HEAD", "/engine.io/?EIO=4&transport=polling", 400),
    ],
)
def test_response_has_one_date(method: str, target: str, status: int) -> None:
    connection = Server().connect()
    connection.request(method, target)
    response = connection.response(head_only=method == "HEAD")
    assert response.status == status
    (date,) = [value for name, value in response.headers if name.lower() == "date"]
    assert abs(parsedate_to_datetime(date).timestamp() - time()) < 60
    assert date.endswith(" GMT")


def test_refused_request_has_a_date() -> None:
    connection = Server().connect()
    connection.feed(b"nonsense\r\n\r\n")
    assert connection.response().header("Date") is not None


def test_date_of_the_program_replaces_that_of_the_server() -> None:
    own = "Thu, 01 Jan 1970 00:00:00 GMT"
    server = Server()
    server.engine.use(lambda request: HttpResponse(200, b"", [("date", own)]))
    response = server.get(transport="polling").response()
    assert [value for name, value in response.headers if name.lower() == "date"] == [own]
    head = message.encode_stream_head(200, [("DATE", own)], chunked=True, close=False)
    assert head.lower().count(b"date:") == 1


def test_date_is_made_once_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000_000_000.0]
    made: list[float] = []
    formatdate = message.formatdate

    def count(second: float, **options: bool) -> str:
        made.append(second)
        return formatdate(second, **options)

    monkeypatch.setattr(message, "time", lambda: now[0])
    monkeypatch.setattr(message, "formatdate", count)
    for _ in range(20):
        now[0] += 0.1
        message.encode_response(HttpResponse(200), {}, close=False)
    assert made == [1_000_000_000, 1_000_000_001, 1_000_000_002]
    monkeypatch.setattr(message._date, "second", 0)
