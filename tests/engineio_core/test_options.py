"""Options: defaults, and invalid values that the engine rejects at construction."""

from __future__ import annotations

from typing import Any

import pytest

from engineio_core import Engine, EngineOptions, HttpCompression, PerMessageDeflate


def test_defaults_match_the_node_server() -> None:
    options = EngineOptions()
    assert options.path == "/engine.io"
    assert tuple(options.transports) == ("polling", "websocket")
    assert (options.ping_interval, options.ping_timeout) == (25.0, 20.0)
    assert (options.upgrade_timeout, options.max_http_buffer_size) == (10.0, 1_000_000)
    assert (options.allow_upgrades, options.add_trailing_slash) == (True, True)
    assert options.http_compression == HttpCompression(threshold=1024)
    assert options.per_message_deflate is None
    assert (options.cookie, options.cors, options.allow_eio3) == (None, None, False)


def test_engine_accepts_options_or_keywords_but_not_both() -> None:
    assert Engine(ping_interval=3).options == Engine(EngineOptions(ping_interval=3)).options
    with pytest.raises(TypeError, match="exclude each other"):
        Engine(EngineOptions(), ping_interval=3)


def test_unknown_option_is_rejected_with_a_suggestion_or_the_list_of_options() -> None:
    with pytest.raises(TypeError, match=r"unknown option ping_intervall: did you mean ping_int"):
        Engine(ping_intervall=3)
    with pytest.raises(TypeError, match=r"unknown option foo: the options are .*ping_interval"):
        Engine(foo=3)


@pytest.mark.parametrize("name", ["ping_interval", "ping_timeout"])
def test_heartbeat_in_milliseconds_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at most 3600 seconds.*did you mean 25"):
        Engine(**{name: 25_000})


@pytest.mark.parametrize(
    "options",
    [
        {"transports": []},
        {"transports": ["polling", "carrier pigeon"]},
        {"transports": "polling"},
        {"transports": ["webtransport", "pigeon"]},
        {"ping_interval": 0},
        {"ping_interval": -1},
        {"ping_interval": "25"},
        {"ping_interval": True},
        {"ping_timeout": float("nan")},
        {"ping_timeout": float("inf")},
        {"upgrade_timeout": 0},
        {"header_timeout": 0},
        {"body_timeout": 0},
        {"keep_alive_timeout": 0},
        {"close_timeout": 0},
        {"handshake_timeout": 0},
        {"max_http_buffer_size": 0},
        {"max_http_buffer_size": 1.5},
        {"max_outbox_size": 0},
        {"max_header_size": -1},
        {"max_sessions": 0},
        {"max_sessions_per_address": 0},
        {"max_buffered_size_per_address": 0},
        {"max_handlers_per_address": -1},
        {"max_mounted_websockets": 0},
        {"path": "engine.io"},
        {"trusted_proxies": ["localhost"]},
        {"trusted_proxies": "10.0.0.1"},
    ],
)
def test_invalid_value_is_rejected_at_construction(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Engine(**options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"cors": "*"}, r"cors must be a Cors instance or None, got '\*'"),
        ({"cookie": "io"}, "cookie must be a Cookie instance or None"),
        ({"http_compression": True}, "http_compression must be an HttpCompression instance"),
        ({"per_message_deflate": True}, "per_message_deflate must be a PerMessageDeflate"),
    ],
)
def test_option_of_another_type_is_rejected_at_construction(
    options: dict[str, Any], text: str
) -> None:
    with pytest.raises(TypeError, match=text):
        Engine(**options)


def test_error_of_an_invalid_network_names_the_option() -> None:
    with pytest.raises(ValueError, match=r"trusted_proxies must be a list of networks .*host bits"):
        Engine(trusted_proxies=["10.0.0.1/8"])


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (HttpCompression, {"threshold": -1}),
        (HttpCompression, {"level": 10}),
        (PerMessageDeflate, {"threshold": "1024"}),
    ],
)
def test_invalid_compression_value_is_rejected(kind: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        kind(**options)


def test_unknown_event_is_rejected() -> None:
    with pytest.raises(ValueError, match="unknown event 'disconnect'"):
        Engine().on("disconnect", print)


def test_all_public_names_exist() -> None:
    import engineio_core

    assert all(hasattr(engineio_core, name) for name in engineio_core.__all__)
