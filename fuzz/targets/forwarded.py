"""Forwarding headers of trusted proxies.

The lines of an input are Forwarded or, if there are several, X-Forwarded-For, X-Forwarded-Proto and
X-Forwarded-Host.
"""

from __future__ import annotations

import ipaddress

from engineio_core.http.message import HttpRequest
from engineio_core.http.trusted_proxies import TrustedProxies
from fuzz.escapes import Escapes
from fuzz.target import Target

PROXIES = TrustedProxies(["10.0.0.0/8", "::1/128", "unix"])
ESCAPES = Escapes("engineio_core")
NAMES = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")


def run(data: bytes) -> None:
    """Apply the headers: the result is an address, whatever a client sends."""
    lines = data.decode("latin-1").split("\n")
    headers = {"host": "a"}
    headers |= {"forwarded": lines[0]} if len(lines) == 1 else dict(zip(NAMES, lines, strict=False))
    request = HttpRequest("GET", "/", headers, remote_address="10.0.0.1", remote_port=5)
    with ESCAPES:
        PROXIES.apply(request)
    ipaddress.ip_address(request.remote_address)
    assert request.remote_port == 0 or request.remote_address == "10.0.0.1"
    assert isinstance(request.secure, bool)
    assert 0 < len(request.host) <= 255
    assert not set(request.host) & set("\r\n /\\\"'<>@?#")
    stranger = HttpRequest("GET", "/", headers, remote_address="192.0.2.1", remote_port=5)
    with ESCAPES:
        PROXIES.apply(stranger)
    assert (stranger.remote_address, stranger.remote_port) == ("192.0.2.1", 5)


TARGET = Target(
    "forwarding headers of proxies",
    lambda: (
        b"for=192.0.2.1;proto=https;host=example.com, for=10.1.1.1",
        b'for="[2001:db8::1]:4711"', b"for=_hidden, for=unknown",
        b"192.0.2.1, 10.2.3.4\nhttps\nexample.com:443",
        b"::ffff:192.0.2.1, 10.0.0.9\nhttp, https\na, b",
    ),
    run,
    (b"for=", b"proto=https", b"host=a", b";", b",", b'"', b"[::1]", b"10.0.0.2", b"\n",
     b"::ffff:"),
    longest=300,
)  # fmt: skip
