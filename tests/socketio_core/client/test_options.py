"""Options of the client: defaults, checks, keywords for type checkers, delays of reconnections."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from engineio_core.client.address import parse_url
from engineio_core.client.options import EngineClientOptions
from socketio_core.client import AsyncClient, ClientOptions, ClientTls
from socketio_core.client.backoff import Backoff
from socketio_core.client.keywords import ClientKeywords
from socketio_core.client.options import split_options

URL = "http://127.0.0.1:1"


def test_keywords_match_the_option_fields() -> None:
    every = [*fields(ClientOptions), *fields(EngineClientOptions)]
    expected = {field.name: str(field.type) for field in every}
    declared = {name: kind.__forward_arg__ for name, kind in ClientKeywords.__annotations__.items()}
    assert declared == expected, "socketio_core/client/keywords.py must declare the option fields"


def test_default_path_is_that_of_socketio() -> None:
    assert split_options({})[1].path == "/socket.io"
    assert split_options({"path": "/hub/socket.io/"})[1].path == "/hub/socket.io/"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reconnectionDelay": 1000}, "did you mean reconnection_delay"),
        ({"autoConnect": False}, "connect\\(\\) or start\\(\\)"),
        ({"ssl_verify": False}, "ClientTls\\(verify=False\\)"),
        ({"headers": {}}, "use extra_headers"),
        ({"transports": "websocket"}, "must be a list"),
        ({"transports": []}, "got none"),
        ({"transports": ["webtransport"]}, "must be polling or websocket"),
        ({"timeout": 0}, "positive number of seconds"),
        ({"reconnection_delay": -1}, "positive number of seconds"),
        ({"randomization_factor": 2}, "from 0 to 1"),
        ({"parser": "json"}, "must be a parser such as MsgpackParser"),
        ({"retries": 3}, "write ack_timeout=10"),
        ({"retries": -1}, "at least 0"),
        ({"reconnection_attempts": -1}, "at least 0"),
        ({"extra_headers": {"a b": "c"}}, "must contain valid names"),
        ({"extra_headers": {"a": "c\r\nd: e"}}, "must contain valid names"),
        ({"extra_headers": {"a": "\xe9"}}, "printable ASCII"),
        ({"query": {"a": 1}}, "dict of strings"),
        ({"proxy": "ftp://127.0.0.1:1"}, "schemes: http, socks5, socks5h"),
        ({"proxy": "socks5://127.0.0.1:x"}, "proxy must be a URL"),
        ({"proxy": "http://"}, "proxy must be a URL"),
        ({"tls": "ca.pem"}, "write tls=ClientTls"),
        ({"path": "io"}, 'must start with "/", as "/socket.io" does, got \'io\''),
        ({"max_buffer_size": 0}, "at least 1"),
        ({"reconnection": 1}, "True or False"),
    ],
)
def test_invalid_option_raises_with_the_remedy(options: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        AsyncClient(URL, **options)


@pytest.mark.parametrize("url", ["127.0.0.1:3000", "ftp://a", "http://", "http://a:x", ""])
def test_invalid_url_raises(url: str) -> None:
    with pytest.raises(ValueError, match="the URL must be like"):
        AsyncClient(url)


def test_url_is_parsed_with_its_defaults() -> None:
    assert parse_url("http://a").authority == "a"
    assert parse_url("wss://a/").port == 443
    assert parse_url("http://[::1]:80/admin/").authority == "[::1]"
    assert parse_url("https://a:80").authority == "a:80"
    assert parse_url("http://a/admin/").path == "/admin"
    assert parse_url("http://münchen.example").host == "xn--mnchen-3ya.example"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ca": "/missing.pem"}, "the TLS ca must be a readable PEM file"),
        ({"key": __file__}, "needs its certificate"),
        ({"verify": 0}, "True or False"),
    ],
)
def test_invalid_tls_option_raises(options: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        ClientTls(**options)


def test_delays_double_up_to_the_longest_one() -> None:
    backoff = Backoff(1, 5, 0)
    assert [backoff.next_delay() for _ in range(5)] == [1, 2, 4, 5, 5]
    assert backoff.attempts == 5
    backoff.reset()
    assert backoff.next_delay() == 1


def test_delays_have_a_random_part() -> None:
    for number, expected in ((0.0, [0.5, 1, 2]), (0.5, [1, 2, 4]), (0.999999, [1.5, 3, 5])):
        backoff = Backoff(1, 5, 0.5, lambda number=number: number)  # type: ignore[misc]
        delays = [backoff.next_delay() for _ in range(3)]
        assert delays == pytest.approx(expected, abs=1e-3)
    backoff = Backoff(1, 5, 0.5)
    assert all(0.5 <= delay <= 5 for delay in (backoff.next_delay() for _ in range(2000)))
