"""Engine options are rejected when their names or values are wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from engineio_core import Cookie, Cors, Engine, PerMessageDeflate
from tests.engineio_core.misuse.support import PAGE
from tests.helpers.fake_clock import FakeClock


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("pingInterval", "did you mean ping_interval?"),
        ("maxHttpBufferSize", "did you mean max_http_buffer_size?"),
        ("allowEIO3", "did you mean allow_eio3?"),
        ("httpCompression", "did you mean http_compression?"),
        ("wsEngine", "remove it"),
        ("destroyUpgrade", "remove it"),
        ("cors_allowed_origins", "use cors=Cors(origins=...)"),
        ("cors_credentials", "use cors=Cors(origins=..., credentials=True)"),
        ("async_mode", "the server always uses asyncio"),
        ("logger", 'configure logging.getLogger("engineio_core")'),
        ("engineio_logger", 'configure logging.getLogger("engineio_core")'),
        ("compression_threshold", "HttpCompression(threshold=...)"),
        ("monitor_clients", "the heartbeat is always on"),
        ("port", "pass it to listen() or run()"),
    ],
)
def test_option_of_another_server_is_rejected_with_its_replacement(name: str, remedy: str) -> None:
    with pytest.raises(TypeError, match=f"unknown option {name}: ") as raised:
        Engine(**{name: 1})
    assert remedy in str(raised.value)


def test_options_that_are_not_engine_options_are_rejected() -> None:
    with pytest.raises(TypeError, match=r"must be EngineOptions, got \{'ping_interval': 3\}"):
        Engine({"ping_interval": 3})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (partial(Engine, add_trailing_slash="yes"), "add_trailing_slash must be True or False"),
        (partial(Engine, allow_upgrades=0), "allow_upgrades must be True or False, got 0"),
        (partial(Engine, path=None), 'path must start with "/" .*, got None'),
        (partial(Engine, path="/a b"), "path must start with \"/\" .*, got '/a b'"),
        (partial(Engine, transports=None), "transports must be a list of .*, got None"),
        (partial(Engine, initial_packet=5), "initial_packet must be a string, bytes or None"),
        (partial(Engine, trusted_proxies=None), "trusted_proxies must be a list of networks"),
        (partial(Engine, path="/a?b"), r'path must not contain "\?" or "#", got'),
        (partial(Engine, path="/a#b"), r'path must not contain "\?" or "#", got'),
        (partial(Engine, trusted_proxies=[1]), "trusted_proxies must be a list of .*, got 1"),
        (partial(Engine, upgrade_timeout=10_000), "at most 3600 seconds, .* did you mean 10?"),
        (partial(Engine, close_timeout=30_000), "at most 3600 seconds, .* did you mean 30?"),
        (partial(Engine, clock=5), "clock must be an object with the methods time, .*, got 5"),
        (partial(Engine, clock=asyncio), "clock must be .*: pass an event loop, or leave it out"),
        (partial(Engine, clock=FakeClock), "clock must be an object with the methods time"),
        (partial(Cors, origins="https://*.a.example"), "wildcard, .*: use a compiled pattern"),
        (partial(Cors, origins=["http://a:*"]), "must not contain a wildcard"),
        (partial(Cors, origins="https://A.example"), "write it in lower case"),
        (partial(Cors, origins="https://a:443"), "default port, .*: write 'https://a'"),
        (partial(Cors, origins="http://a:80"), "default port, .*: write 'http://a'"),
        (
            partial(Cors, origins=PAGE, credentials=True, allowed_headers=["*"]),
            r'headers must not be "\*" with credentials=True: list them',
        ),
        (
            partial(Cors, origins=PAGE, credentials=True, exposed_headers=["*"]),
            r'headers must not be "\*" with credentials=True',
        ),
        (partial(Cookie, same_site="none"), "requires secure=True, because browsers reject"),
        (partial(Engine, allow_eio3="yes"), "allow_eio3 must be True or False, got 'yes'"),
        (partial(Cors, origins=5), "origins must be strings, compiled patterns or a function"),
        (partial(Cors, origins=[b"http://a"]), "origins must be strings, compiled patterns or"),
        (partial(Cors, methods="GET"), "methods must be a list of names such as 'GET', got 'GET'"),
        (partial(Cors, methods=["GE T"]), "methods must contain names such as 'GET', got 'GE T'"),
        (partial(Cors, allowed_headers="*,"), "allowed_headers must be a list of names"),
        (partial(Cors, exposed_headers=["a:b"]), "exposed_headers must contain names"),
        (partial(Cors, credentials="yes"), "credentials must be True or False, got 'yes'"),
        (partial(Cors, max_age=-1), "max_age must be an integer of at least 0, got -1"),
        (partial(Cors, options_success_status=500), "options_success_status must be an integer"),
        (partial(Cookie, name=None), "a cookie name must be a token such as 'io', got None"),
        (partial(Cookie, path="/;"), 'the path of a cookie must be printable ASCII without ";"'),
        (partial(Cookie, same_site="Lax"), "same_site must be .*, got 'Lax'"),
        (partial(Cookie, http_only=None), "http_only must be True or False, got None"),
        (partial(Cookie, max_age=1.5), "max_age must be an integer of at least 0, got 1.5"),
        (
            partial(PerMessageDeflate, client_no_context_takeover=1),
            "client_no_context_takeover must be True or False, got 1",
        ),
    ],
)
def test_wrong_option_value_is_rejected_with_the_rule(make: Callable[[], Any], text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        make()
