"""Trusted proxies: client address, scheme and host from forwarding headers."""

from __future__ import annotations

from typing import Any

import pytest

from engineio_core import HttpRequest
from engineio_core.http.trusted_proxies import TrustedProxies

LOCAL = ["127.0.0.0/8", "10.0.0.0/8", "::1/128"]


def apply_proxies(
    headers: dict[str, str], trusted: list[str], *, peer: str = "127.0.0.1"
) -> tuple[str, bool, str]:
    request = HttpRequest("GET", "/", {"host": "inner", **headers}, remote_address=peer)
    TrustedProxies(trusted).apply(request)
    return request.remote_address, request.secure, request.host


X_FORWARDED = {
    "x-forwarded-for": "198.51.100.9",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "app.example",
}


def test_forwarding_headers_are_ignored_by_default() -> None:
    assert apply_proxies(X_FORWARDED, []) == ("127.0.0.1", False, "inner")


def test_forwarding_headers_are_ignored_when_the_peer_is_not_trusted() -> None:
    assert apply_proxies(X_FORWARDED, LOCAL, peer="203.0.113.5") == ("203.0.113.5", False, "inner")


@pytest.mark.parametrize("trusted", [[], ["10.0.0.0/8"]])
@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded"])
def test_ignored_forwarding_header_is_logged_once(
    caplog: pytest.LogCaptureFixture, trusted: list[str], header: str
) -> None:
    proxies = TrustedProxies(trusted)
    for headers in ({}, {header: "for=198.51.100.9"}, {header: "for=198.51.100.10"}):
        proxies.apply(HttpRequest("GET", "/", headers, remote_address="203.0.113.5"))
    (message,) = caplog.messages
    assert "ignored the forwarding header of 203.0.113.5" in message
    assert "TRUSTED_PROXIES" in message
    proxies = TrustedProxies(["203.0.113.5"])
    proxies.apply(HttpRequest("GET", "/", {header: "for=1.2.3.4"}, remote_address="203.0.113.5"))
    assert len(caplog.messages) == 1


def test_forwarding_headers_are_applied_when_the_peer_is_trusted() -> None:
    assert apply_proxies(X_FORWARDED, LOCAL) == ("198.51.100.9", True, "app.example")


@pytest.mark.parametrize("peer", ["::1", "::ffff:127.0.0.1", "10.9.8.7"])
def test_trusted_peer_is_recognized_in_every_notation(peer: str) -> None:
    assert apply_proxies(X_FORWARDED, LOCAL, peer=peer)[0] == "198.51.100.9"


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("198.51.100.9", "198.51.100.9"),
        ("6.6.6.6, 198.51.100.9", "198.51.100.9"),  # the client wrote the first address
        ("198.51.100.9, 10.0.0.1", "198.51.100.9"),
        ("6.6.6.6, 198.51.100.9, 10.0.0.2, 10.0.0.1", "198.51.100.9"),
        ("10.0.0.2, 10.0.0.1", "10.0.0.2"),
        ("198.51.100.9:4711", "198.51.100.9"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("nonsense", "127.0.0.1"),
        ("198.51.100.9, nonsense", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_chain_is_applied_up_to_the_first_untrusted_address(chain: str, client: str) -> None:
    assert apply_proxies({"x-forwarded-for": chain}, LOCAL)[0] == client


def test_scheme_and_host_are_those_of_the_nearest_proxy() -> None:
    headers = {
        "x-forwarded-for": "6.6.6.6, 198.51.100.9",
        "x-forwarded-proto": "https, http",
        "x-forwarded-host": "evil.example, app.example",
    }
    assert apply_proxies(headers, LOCAL) == ("198.51.100.9", False, "app.example")
    headers["x-forwarded-proto"] = "http, https"
    assert apply_proxies(headers, LOCAL) == ("198.51.100.9", True, "app.example")


def test_forwarded_scheme_is_applied_without_an_address() -> None:
    assert apply_proxies({"x-forwarded-proto": "https"}, LOCAL) == ("127.0.0.1", True, "inner")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            'for="[2001:db8::17]:4711";proto=https;host=app.example',
            ("2001:db8::17", True, "app.example"),
        ),
        ("For=198.51.100.9;Proto=HTTP", ("198.51.100.9", False, "inner")),
        ("for=6.6.6.6, for=198.51.100.9;proto=https", ("198.51.100.9", True, "inner")),
        ("for=_hidden;proto=https", ("127.0.0.1", True, "inner")),
        ("for=unknown", ("127.0.0.1", False, "inner")),
        ("for=198.51.100.9;host=a b", ("198.51.100.9", False, "inner")),
        (";;;===,,,", ("127.0.0.1", False, "inner")),
    ],
)
def test_forwarded_header_is_parsed(value: str, expected: tuple[Any, ...]) -> None:
    assert apply_proxies({"forwarded": value}, LOCAL) == expected


def test_forwarded_header_takes_precedence() -> None:
    assert apply_proxies({"forwarded": "for=192.0.2.1", **X_FORWARDED}, LOCAL)[0] == "192.0.2.1"


def test_unix_socket_peer_is_trusted_by_name() -> None:
    assert apply_proxies(X_FORWARDED, ["unix"], peer="unix")[0] == "198.51.100.9"
    assert apply_proxies(X_FORWARDED, LOCAL, peer="unix")[0] == "unix"


def test_forwarded_host_is_ignored_when_it_has_invalid_characters() -> None:
    assert apply_proxies({**X_FORWARDED, "x-forwarded-host": "a/b@c"}, LOCAL)[2] == "inner"


def test_long_chain_is_parsed() -> None:
    chain = "10.0.0.1, " * 5000 + "10.0.0.1"
    assert apply_proxies({"x-forwarded-for": chain}, LOCAL)[0] == "10.0.0.1"
    assert apply_proxies({"forwarded": "for=10.0.0.1;" * 5000}, LOCAL)[0] == "10.0.0.1"


def test_last_addresses_of_a_long_chain_are_applied() -> None:
    chain = "6.6.6.6, " + "10.0.0.1, " * 40 + "198.51.100.9, 10.0.0.2"
    assert apply_proxies({"x-forwarded-for": chain}, LOCAL)[0] == "198.51.100.9"
    forwarded = ", ".join(f"for={each}" for each in chain.split(", "))
    assert apply_proxies({"forwarded": forwarded}, LOCAL)[0] == "198.51.100.9"


@pytest.mark.parametrize("junk", [" " * 16_000, "a" * 16_000, "\t=" * 8000, 'a="' * 5000])
def test_forwarded_header_is_parsed_after_invalid_elements(junk: str) -> None:
    assert apply_proxies({"forwarded": f"{junk}, for=192.0.2.1"}, LOCAL)[0] == "192.0.2.1"


def test_invalid_network_is_rejected_at_construction() -> None:
    with pytest.raises(ValueError):
        TrustedProxies(["10.0.0.0/40"])
