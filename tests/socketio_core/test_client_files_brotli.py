"""Bundles of the official client, compressed with the optional package `brotli`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engineio_core.http import compression
from socketio_core import SocketServer
from tests.helpers.wire import Response
from tests.socketio_core.support import TcpServer


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "socket.io.js").write_text("/* the client */")
    monkeypatch.setenv("SOCKETIO_CLIENT_DIST", str(folder))


def install(monkeypatch: pytest.MonkeyPatch, package: Any) -> None:
    monkeypatch.setattr(compression, "find_brotli", lambda: package)


def fetch(accepted: str) -> Response:
    connection = TcpServer(SocketServer()).connect()
    connection.request("GET", "/socket.io/socket.io.js", {"accept-encoding": accepted})
    return connection.response()


@pytest.mark.parametrize("accepted", ["br", "gzip, deflate, br", "br;q=0.9, gzip;q=0.5", "*"])
@pytest.mark.usefixtures("bundle")
def test_bundle_is_compressed_with_brotli_when_the_client_accepts_it(
    accepted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(
        monkeypatch, SimpleNamespace(compress=lambda body, quality: b"%d:" % quality + body[::-1])
    )
    response = fetch(accepted)
    assert response.header("content-encoding") == "br"
    assert response.body == b"6:" + b"/* the client */"[::-1]
    assert response.header("vary") == "Accept-Encoding"


@pytest.mark.parametrize(
    ("accepted", "encoding"), [("gzip, br;q=0", "gzip"), ("gzip;q=1, br;q=0.1", "gzip")]
)
@pytest.mark.usefixtures("bundle")
def test_bundle_is_not_compressed_with_brotli_when_the_client_prefers_gzip(
    accepted: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, SimpleNamespace(compress=lambda body, quality: b""))
    assert fetch(accepted).header("content-encoding") == encoding


@pytest.mark.usefixtures("bundle")
def test_bundle_is_compressed_with_gzip_without_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, None)
    assert fetch("gzip, br").header("content-encoding") == "gzip"
    assert fetch("br").header("content-encoding") is None


def test_package_is_optional() -> None:
    package = compression.find_brotli()
    assert package is None or callable(package.compress)
