"""Bundles of the official client, served below the path of the server."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pytest

from socketio_core import Cors, SocketServer, client_files
from tests.helpers.wire import Response
from tests.socketio_core.support import TcpServer

NAMES = [
    "socket.io.js", "socket.io.js.map", "socket.io.min.js", "socket.io.min.js.map",
    "socket.io.msgpack.min.js", "socket.io.msgpack.min.js.map", "socket.io.esm.min.js",
    "socket.io.esm.min.js.map",
]  # fmt: skip


@pytest.fixture(autouse=True)
def bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create the files of the installed npm package."""
    folder = tmp_path / "node_modules" / "socket.io-client" / "dist"
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / name).write_text(f"/* {name} */" * 50)
    (folder.parent / "package.json").write_text('{"version": "4.8.1"}')
    monkeypatch.delenv("SOCKETIO_CLIENT_DIST", raising=False)
    monkeypatch.chdir(tmp_path)
    return folder


def fetch(
    io: SocketServer, target: str, headers: dict[str, str] | None = None, method: str = "GET"
) -> Response:
    connection = TcpServer(io).connect()
    connection.request(method, target, headers)
    return connection.response(head_only=method == "HEAD")


@pytest.mark.parametrize("name", NAMES)
def test_each_bundle_is_served_with_its_type_and_version(name: str) -> None:
    response = fetch(SocketServer(), f"/socket.io/{name}")
    kind = "application/json" if name.endswith(".map") else "application/javascript"
    assert response.status == 200
    assert response.header("content-type") == f"{kind}; charset=utf-8"
    assert response.header("etag") == '"4.8.1"'
    assert response.header("cache-control") == "public, max-age=0"
    assert response.text.startswith(f"/* {name} */")


def test_query_is_ignored() -> None:
    assert fetch(SocketServer(), "/socket.io/socket.io.js?buster=1").status == 200


def test_bundle_is_served_below_the_path_of_the_server() -> None:
    io = SocketServer(path="/live")
    assert fetch(io, "/live/socket.io.js").status == 200
    assert fetch(io, "/socket.io/socket.io.js").status == 404


@pytest.mark.parametrize("tag", ['"4.8.1"', 'W/"4.8.1"'])
def test_bundle_is_not_sent_again_when_its_etag_matches(tag: str) -> None:
    response = fetch(SocketServer(), "/socket.io/socket.io.js", {"If-None-Match": tag})
    assert (response.status, response.body) == (304, b"")
    assert fetch(
        SocketServer(), "/socket.io/socket.io.js", {"If-None-Match": '"4.0.0"'}
    ).status == 200  # fmt: skip


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip", "gzip"), ("gzip, deflate", "gzip"), ("deflate", "deflate"), ("compress", None)],
)
def test_bundle_is_compressed_with_an_encoding_that_the_client_accepts(
    accepted: str, encoding: str | None
) -> None:
    io = SocketServer()
    for _ in range(2):
        response = fetch(io, "/socket.io/socket.io.js", {"Accept-Encoding": accepted})
        assert response.header("content-encoding") == encoding
        assert response.header("vary") == "Accept-Encoding"
        body = response.body
        if encoding is not None:
            body = gzip.decompress(body) if encoding == "gzip" else zlib.decompress(body)
        assert body.startswith(b"/* socket.io.js */")
        io = SocketServer()


def test_head_response_has_no_body() -> None:
    response = fetch(SocketServer(), "/socket.io/socket.io.js", method="HEAD")
    assert response.status == 200
    assert int(response.header("content-length") or 0) > 100
    assert response.body == b""


def test_bundle_has_cors_headers_for_allowed_origins() -> None:
    io = SocketServer(cors=Cors(origins=["https://app.example"], credentials=True))
    headers = {"Origin": "https://app.example"}
    response = fetch(io, "/socket.io/socket.io.js", headers)
    assert response.header("access-control-allow-origin") == "https://app.example"
    assert response.header("access-control-allow-credentials") == "true"
    assert "Origin" in (response.header("vary") or "")
    io = SocketServer(cors=Cors(origins=["https://app.example"]))
    response = fetch(io, "/socket.io/socket.io.js", {"Origin": "https://evil.example"})
    assert response.header("access-control-allow-origin") is None


@pytest.mark.parametrize("target", [
    "/socket.io/socket.io.mjs", "/socket.io/../package.json", "/socket.io/package.json",
    "/socket.io/%2e%2e/package.json", "/socket.io/",
])  # fmt: skip
def test_other_file_is_not_served(target: str) -> None:
    response = fetch(SocketServer(), target)
    assert response.status in {400, 404}
    assert b"version" not in response.body


def test_bundle_is_not_served_when_serve_client_is_false() -> None:
    assert fetch(SocketServer(serve_client=False), "/socket.io/socket.io.js").status == 400


def test_post_request_for_a_bundle_is_refused() -> None:
    assert fetch(SocketServer(), "/socket.io/socket.io.js", method="POST").status == 400


def test_response_names_the_install_command_when_the_package_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("SOCKETIO_CLIENT_DIST", str(empty))
    with caplog.at_level("INFO"):
        response = fetch(SocketServer(), "/socket.io/socket.io.js")
    assert response.status == 404
    assert b"npm install socket.io-client" in response.body


def test_bundles_of_the_package_are_served_without_npm(
    bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = bundles.parent / "client_dist"
    bundles.rename(packaged)
    (packaged / "package.json").write_text('{"version": "4.8.4"}')
    monkeypatch.chdir("/")
    monkeypatch.setattr(client_files, "PACKAGED", packaged)
    response = fetch(SocketServer(), "/socket.io/socket.io.esm.min.js.map")
    assert (response.status, response.header("etag")) == (200, '"4.8.4"')
    monkeypatch.setattr(client_files, "PACKAGED", packaged / "none")
    assert fetch(SocketServer(), "/socket.io/socket.io.js").status == 404


def test_folder_is_read_from_the_environment_variable(
    bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("SOCKETIO_CLIENT_DIST", str(bundles))
    assert fetch(SocketServer(), "/socket.io/socket.io.js").status == 200
