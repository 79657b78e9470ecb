"""CORS: allowed origins, response headers, preflights and the Origin check of WebSockets."""

from __future__ import annotations

import re
from typing import Any

import pytest

from engineio_core import Cors
from engineio_core.http.cors import is_same_host
from tests.helpers.client import Server
from tests.helpers.wire import Response

PAGE = "https://app.example"


def request(origin: str | None = PAGE, *, method: str = "GET", **cors: Any) -> Response:
    server = Server(cors=Cors(**cors))
    headers = {} if origin is None else {"Origin": origin}
    return server.send(method, headers, transport="polling").response()


def allowed_origin(response: Response) -> str | None:
    return response.header("Access-Control-Allow-Origin")


def test_no_cors_headers_by_default() -> None:
    server = Server()
    assert allowed_origin(server.get({"Origin": PAGE}, transport="polling").response()) is None
    response = server.send("OPTIONS", {"Origin": PAGE}, transport="polling").response()
    assert (response.status, response.json["code"]) == (400, 2)


@pytest.mark.parametrize("origins", ["*", ["*"], [PAGE, "*"]])
def test_any_origin_receives_a_star_without_vary(origins: Any) -> None:
    response = request("https://other.example", origins=origins)
    assert (allowed_origin(response), response.header("Vary")) == ("*", None)


@pytest.mark.parametrize(
    "origins",
    [
        PAGE,
        [PAGE, "https://other.example"],
        re.compile(r"https://\w+\.example"),
        [re.compile(r"https://\w+\.example")],
        lambda origin: origin.endswith(".example"),
    ],
)
def test_allowed_origin_is_reflected_with_vary(origins: Any) -> None:
    response = request(origins=origins)
    assert (response.status, response.header("Vary")) == (200, "Origin")
    assert allowed_origin(response) == PAGE
    other = request("https://evil.test", origins=origins)
    assert (other.status, allowed_origin(other), other.header("Vary")) == (200, None, "Origin")
    without_origin = request(None, origins=origins)
    assert (without_origin.status, allowed_origin(without_origin)) == (200, None)


def test_pattern_must_match_the_whole_origin() -> None:
    response = request("https://app.example.evil.test", origins=re.compile("https://app"))
    assert allowed_origin(response) is None


def test_every_response_has_the_credentials_and_exposed_headers() -> None:
    response = request(origins=[PAGE], credentials=True, exposed_headers=["X-A", "X-B"])
    assert response.header("Access-Control-Allow-Credentials") == "true"
    assert response.header("Access-Control-Expose-Headers") == "X-A,X-B"


def test_preflight_response_has_the_defaults() -> None:
    server = Server(cors=Cors(origins=[PAGE], credentials=True))
    headers = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-one,x-two",
    }
    response = server.send("OPTIONS", headers, transport="polling").response()
    assert (response.status, response.body, response.header("Content-Length")) == (204, b"", "0")
    assert allowed_origin(response) == PAGE
    assert response.header("Access-Control-Allow-Methods") == "GET,HEAD,PUT,PATCH,POST,DELETE"
    assert response.header("Access-Control-Allow-Headers") == "x-one,x-two"
    assert response.header("Access-Control-Allow-Credentials") == "true"
    assert response.header("Vary") == "Origin, Access-Control-Request-Headers"
    assert not server.errors


def test_preflight_response_has_the_configured_options() -> None:
    response = request(
        method="OPTIONS",
        origins=[PAGE],
        methods=["GET", "POST"],
        allowed_headers=["my-header"],
        exposed_headers=["x-a"],
        max_age=600,
        options_success_status=200,
    )
    assert (response.status, response.header("Content-Length")) == (200, "0")
    assert response.header("Access-Control-Allow-Methods") == "GET,POST"
    assert response.header("Access-Control-Allow-Headers") == "my-header"
    assert response.header("Access-Control-Expose-Headers") == "x-a"
    assert response.header("Access-Control-Max-Age") == "600"


def test_preflight_of_another_origin_receives_no_permission() -> None:
    response = request("https://evil.test", method="OPTIONS", origins=[PAGE])
    assert (response.status, allowed_origin(response)) == (204, None)


def test_error_responses_have_cors_headers() -> None:
    server = Server(cors=Cors(origins=[PAGE]), max_http_buffer_size=10)
    client = server.open_polling()
    headers = {"Origin": PAGE}
    refused = server.get(headers, transport="polling", sid="unknown").response()
    not_allowed = server.send("PUT", headers, transport="polling", sid=client.sid).response()
    too_large = client.post("4" + "x" * 20, headers).response()
    broken = server.open_polling().post("nonsense", headers).response()
    responses = [refused, too_large, not_allowed, broken]
    assert [each.status for each in responses] == [400, 413, 405, 400]
    assert [allowed_origin(each) for each in responses] == [PAGE] * 4


def test_poll_post_and_upgrade_responses_have_cors_headers() -> None:
    server = Server(cors=Cors(origins=[PAGE]))
    headers = {"Origin": PAGE}
    client = server.open_polling(headers)
    server.session.send_text("x")
    responses = [client.poll(headers), client.post("4x", headers), server.upgrade(headers)]
    assert [allowed_origin(each.response()) for each in responses] == [PAGE] * 3


def test_preflight_of_an_open_session_receives_204() -> None:
    server = Server(cors=Cors(origins=[PAGE]))
    client = server.open_polling()
    response = server.send("OPTIONS", {"Origin": PAGE}, transport="polling", sid=client.sid)
    assert response.response().status == 204


# -- WebSockets: browsers do not enforce CORS on them, therefore the server checks the origin


def test_websocket_from_an_allowed_origin_is_accepted() -> None:
    server = Server(cors=Cors(origins=[PAGE]))
    assert server.upgrade({"Origin": PAGE}).response().status == 101


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.test", "null", "https://app.example.evil.test", "https://evilserver.example",
        "https://server.example.evil.test", "https://sub.server.example",
    ],
)  # fmt: skip
def test_websocket_from_another_origin_is_refused(origin: str) -> None:
    server = Server(cors=Cors(origins=[PAGE]))
    response = server.upgrade({"Origin": origin}).response()
    assert (response.status, response.text) == (400, "Forbidden")
    assert (server.errors[0].code, server.sessions) == (4, [])


@pytest.mark.parametrize("origin", ["null", "", "https://", "https://[::1"])
def test_origin_without_a_host_is_not_the_own_host(origin: str) -> None:
    assert not is_same_host(origin, "")
    assert not is_same_host(origin, "server.example")


def test_upgrade_of_a_session_from_another_origin_is_refused() -> None:
    server = Server(cors=Cors(origins=[PAGE]))
    client = server.open_polling()
    headers = {"Origin": "https://evil.test"}
    assert server.upgrade(headers, sid=client.sid).response().status == 400


@pytest.mark.parametrize("origin", [None, "https://server.example", "http://server.example:3000"])
def test_websocket_without_origin_or_from_the_same_origin_is_accepted(
    origin: str | None,
) -> None:
    server = Server(cors=Cors(origins=[PAGE]))
    headers = {} if origin is None else {"Origin": origin}
    assert server.upgrade(headers).response().status == 101


def test_failed_origin_check_refuses_only_its_own_client() -> None:
    def check(origin: str) -> bool:
        raise RuntimeError("no database")

    server = Server(cors=Cors(origins=check))
    other = server.open_websocket()
    assert server.get({"Origin": PAGE}, transport="polling").response().status == 500
    assert server.upgrade({"Origin": PAGE}).response().status == 500
    other.send("still served")
    assert server.received == ["still served"]


# -- values of the option


@pytest.mark.parametrize("origins", ["*", ["*"], ["https://app.example", "*"]])
def test_any_origin_with_credentials_is_rejected_at_construction(origins: Any) -> None:
    with pytest.raises(ValueError, match="list the allowed origins"):
        Cors(origins=origins, credentials=True)


@pytest.mark.parametrize("origin", ["app.example", "https://app.example/", "https://a/b", ""])
def test_invalid_origin_is_rejected_at_construction(origin: str) -> None:
    with pytest.raises(ValueError, match="an origin must have the form"):
        Cors(origins=[origin])
