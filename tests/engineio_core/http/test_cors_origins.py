"""The origins that the option accepts can match, and all origins of browsers can be listed."""

from __future__ import annotations

import pytest

from engineio_core import Cors
from engineio_core.http.cors import CorsPolicy
from tests.helpers.client import Server

LISTABLE = [
    "file://", "null", "https://a.example", "http://localhost:3000", "http://[::1]:8080",
    "capacitor://localhost", "ionic://localhost", "tauri://localhost", "app://.", "app://-",
    "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb", "https://xn--bcher-kva.example",
]  # fmt: skip


@pytest.mark.parametrize("origin", LISTABLE)
def test_listed_origin_may_open_a_websocket(origin: str) -> None:
    assert CorsPolicy(Cors(origins=[origin])).allows(origin)
    server = Server(cors=Cors(origins=[origin]))
    assert server.upgrade({"Origin": origin}).response().status == 101
    assert server.upgrade({"Origin": "https://evil.example"}).response().status == 400


@pytest.mark.parametrize(
    "origin",
    [
        "https://*.example", "https://*", "*.example", "https://a.example:443",
        "http://a.example:80", "https://A.example", "https://bücher.example",
        "https://a.example/", "https://user@a.example", "https://a.example?x", "https://",
        "http://", "file:///", "a.example",
    ],
)  # fmt: skip
def test_origin_that_never_matches_is_rejected(origin: str) -> None:
    with pytest.raises(ValueError, match="an origin must"):
        Cors(origins=[origin])
