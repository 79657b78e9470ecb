"""Which pages may talk to the engine, and what browsers are told about it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from engineio_core import Cors
from tests.helpers.client import Server
from tests.helpers.wire import Response

PAGE = "https://app.example"


def ask(origin: str | None = PAGE, *, method: str = "GET", **cors: Any) -> Response:
    server = Server(cors=Cors(**cors))
    headers = {} if origin is None else {"Origin": origin}
    return server.send(method, headers, transport="polling").response()


def allowed(response: Response) -> str | None:
    return response.header("Access-Control-Allow-Origin")


def test_without_the_option_nothing_is_said_and_options_is_a_bad_method() -> None:
    server = Server()
    assert allowed(server.get({"Origin": PAGE}, transport="polling").response()) is None
    response = server.send("OPTIONS", {"Origin": PAGE}, transport="polling").response()
    assert (response.status, response.json["code"]) == (400, 2)


def test_everybody_is_allowed_with_a_star_and_without_vary() -> None:
    response = ask()
    assert (allowed(response), response.header("Vary")) == ("*", None)


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
def test_an_allowed_origin_is_reflected_with_vary(origins: Any) -> None:
    response = ask(origins=origins)
    assert (response.status, allowed(response), response.header("Vary")) == (200, PAGE, "Origin")
    stranger = ask("https://evil.test", origins=origins)
    assert (stranger.status, allowed(stranger), stranger.header("Vary")) == (200, None, "Origin")
    nobody = ask(None, origins=origins)
    assert (nobody.status, allowed(nobody)) == (200, None)


def test_a_pattern_must_fit_the_whole_origin() -> None:
    assert allowed(ask("https://app.example.evil.test", origins=re.compile("https://app"))) is None


def test_credentials_and_exposed_headers_are_told_with_every_answer() -> None:
    response = ask(origins=[PAGE], credentials=True, exposed_headers=["X-A", "X-B"])
    assert response.header("Access-Control-Allow-Credentials") == "true"
    assert response.header("Access-Control-Expose-Headers") == "X-A,X-B"


def test_a_preflight_is_answered_with_the_defaults() -> None:
    server = Server(cors=Cors(origins=[PAGE], credentials=True))
    headers = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-one,x-two",
    }
    response = server.send("OPTIONS", headers, transport="polling").response()
    assert (response.status, response.body, response.header("Content-Length")) == (204, b"", "0")
    assert allowed(response) == PAGE
    assert response.header("Access-Control-Allow-Methods") == "GET,HEAD,PUT,PATCH,POST,DELETE"
    assert response.header("Access-Control-Allow-Headers") == "x-one,x-two"
    assert response.header("Access-Control-Allow-Credentials") == "true"
    assert response.header("Vary") == "Origin, Access-Control-Request-Headers"
    assert not server.errors


def test_a_preflight_forwards_the_options() -> None:
    response = ask(
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


def test_a_preflight_of_a_stranger_is_answered_without_permission() -> None:
    response = ask("https://evil.test", method="OPTIONS", origins=[PAGE])
    assert (response.status, allowed(response)) == (204, None)


def test_errors_carry_the_headers_too() -> None:
    server = Server(cors=Cors(origins=[PAGE]), max_http_buffer_size=10)
    client = server.open_polling()
    headers = {"Origin": PAGE}
    refused = server.get(headers, transport="polling", sid="unknown").response()
    too_large = client.post("4" + "x" * 20, headers).response()
    not_allowed = server.send("PUT", headers, transport="polling", sid=client.sid).response()
    broken = client.post("nonsense", headers).response()
    answers = [refused, too_large, not_allowed, broken]
    assert [each.status for each in answers] == [400, 413, 405, 400]
    assert [allowed(each) for each in answers] == [PAGE] * 4


def test_polls_posts_and_the_101_carry_the_headers() -> None:
    server = Server(cors=Cors(origins=[PAGE]))
    headers = {"Origin": PAGE}
    client = server.open_polling(headers)
    server.session.send_text("x")
    answers = [client.poll(headers), client.post("4x", headers), server.upgrade(headers)]
    assert [allowed(each.response()) for each in answers] == [PAGE] * 3


def test_preflights_of_a_session_are_answered() -> None:
    server = Server(cors=Cors(origins=[PAGE]))
    client = server.open_polling()
    response = server.send("OPTIONS", {"Origin": PAGE}, transport="polling", sid=client.sid)
    assert response.response().status == 204


# -- WebSockets: browsers do not apply CORS to them, so the server does


def test_a_websocket_from_an_allowed_page_is_accepted() -> None:
    server = Server(cors=Cors(origins=[PAGE]))
    assert server.upgrade({"Origin": PAGE}).response().status == 101


@pytest.mark.parametrize("origin", ["https://evil.test", "null", "https://app.example.evil.test"])
def test_a_websocket_from_another_page_is_refused(origin: str) -> None:
    server = Server(cors=Cors(origins=[PAGE]))
    response = server.upgrade({"Origin": origin}).response()
    assert (response.status, response.text) == (400, "Forbidden")
    assert (server.errors[0].code, server.sessions) == (4, [])


def test_another_page_cannot_upgrade_a_session_either() -> None:
    server = Server(cors=Cors(origins=[PAGE]))
    client = server.open_polling()
    headers = {"Origin": "https://evil.test"}
    assert server.upgrade(headers, sid=client.sid).response().status == 400


@pytest.mark.parametrize("origin", [None, "https://server.example", "http://server.example:3000"])
def test_clients_that_are_no_browsers_and_the_servers_own_pages_are_accepted(
    origin: str | None,
) -> None:
    server = Server(cors=Cors(origins=[PAGE]))
    headers = {} if origin is None else {"Origin": origin}
    assert server.upgrade(headers).response().status == 101


def test_a_check_that_fails_refuses_that_client_alone() -> None:
    def check(origin: str) -> bool:
        raise RuntimeError("no database")

    server = Server(cors=Cors(origins=check))
    other = server.open_websocket()
    assert server.get({"Origin": PAGE}, transport="polling").response().status == 500
    assert server.upgrade({"Origin": PAGE}).response().status == 500
    other.send("unharmed")
    assert server.received == ["unharmed"]


# -- the option itself


@pytest.mark.parametrize("origins", ["*", ["*"], ["https://app.example", "*"]])
def test_everybody_with_credentials_is_refused_at_construction(origins: Any) -> None:
    with pytest.raises(ValueError, match="list the allowed origins"):
        Cors(origins=origins, credentials=True)


@pytest.mark.parametrize("origin", ["app.example", "https://app.example/", "https://a/b", ""])
def test_what_is_no_origin_is_refused_at_construction(origin: str) -> None:
    with pytest.raises(ValueError, match="an origin must have the form"):
        Cors(origins=[origin])
