"""The playground in Chromium: each case of `playground.js` is one test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from socketio_core import NO_ACK, ConnectError, Recovery, Socket, SocketServer, playground
from tests.interop.support import serving

from .support import CLIENT, Browser, find_cases

pytestmark = pytest.mark.timeout(900)

SCRIPT = "playground.js"


async def serve_embedding(scope: Any, receive: Any, send: Any) -> None:
    """Serve a page that embeds the playground in a frame."""
    if scope["type"] != "http":
        raise NotImplementedError
    headers = [(b"content-type", b"text/html")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"<iframe src='/playground/'></iframe>"})


def make_server() -> SocketServer:
    io = SocketServer(recovery=Recovery(), ping_interval=600)  # no ping gets into the log
    io.mount(playground(serve_embedding))
    private = io.of("/private")

    @private.use
    def require_token(socket: Socket, auth: Any = None) -> None:
        if "token" not in (socket.handshake.auth or {}):
            raise ConnectError("token required", data={"code": "NO_TOKEN"})

    @private.on("handshake")
    def describe_handshake(socket: Socket) -> tuple[Any, ...]:
        query = socket.handshake.query
        return socket.handshake.auth, query["a"], query["b"]

    @io.on("echo")
    def echo(socket: Socket, *values: Any) -> tuple[Any, ...]:
        return values

    @io.on("bytes")
    def send_bytes(socket: Socket) -> bytes:
        return b"\x00\x01\xfe\xff"

    @io.on("silent")
    def stay_silent(socket: Socket) -> Any:
        return NO_ACK

    @io.on("leave")
    def leave(socket: Socket) -> None:
        socket.disconnect()

    @io.on("greet")
    def greet(socket: Socket) -> None:
        socket.emit("greeting")

    @io.on("question")
    async def question(socket: Socket) -> Any:
        return await socket.timeout(60).emit_with_ack("question")

    @io.on("flood")
    def flood(socket: Socket, count: int) -> None:
        for number in range(count):
            socket.emit("number", number)

    return io


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    assert CLIENT.is_dir(), f"{CLIENT} is missing: run `make setup`"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOCKETIO_CLIENT_DIST", str(CLIENT))
        with serving(make_server()) as (address, _):
            yield address


@pytest.mark.parametrize("case", find_cases(SCRIPT))
def test_case_passes_in_chromium(browser: Browser, url: str, case: str) -> None:
    browser.run(SCRIPT, case, {"url": url})


def test_page_explains_a_missing_client_bundle(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOCKETIO_CLIENT_DIST", str(tmp_path))
    io = SocketServer()
    io.mount(playground())
    with serving(io) as (address, _):
        browser.run("playground_setup.js", "a missing bundle is explained", {"url": address})
