"""The official client over WebTransport in Chromium: each case of `webtransport.js` is one test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engineio_core import Cors, HttpRequest, HttpResponse
from engineio_core.webtransport.certificate import DevelopmentCertificate, development_certificate
from socketio_core import Socket, SocketServer
from tests.interop.support import LoopThread

from .support import CLIENT, Browser, find_cases

pytestmark = pytest.mark.timeout(900)

SCRIPT = "webtransport.js"
TRANSPORTS = ("polling", "websocket", "webtransport")


async def serve_page(scope: Any, receive: Any, send: Any) -> None:
    """Serve an empty page."""
    if scope["type"] != "http":
        raise NotImplementedError
    headers = [(b"content-type", b"text/html")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"<link rel=icon href=data:,>"})


def make_server(reasons: dict[str, str]) -> SocketServer:
    io = SocketServer(transports=TRANSPORTS)
    io.mount(serve_page)

    @io.on("echo")
    def echo(socket: Socket, value: Any) -> Any:
        return value

    @io.on("describe")
    def describe(socket: Socket) -> dict[str, Any]:
        return {"transport": socket.session.transport.name, "secure": socket.handshake.secure}

    @io.on("flood and leave")
    def flood(socket: Socket, count: int, text: str) -> None:
        for number in range(count):
            socket.emit("number", number, text)
        socket.disconnect(True)

    @io.on("close")
    def close(socket: Socket) -> None:
        socket.session.close()

    @io.on("disconnect")
    def disconnected(socket: Socket, reason: str) -> None:
        reasons[socket.id] = reason

    return io


def make_refusing_servers() -> dict[str, SocketServer]:
    """Return servers that refuse WebTransport at different checks."""
    with_middleware = SocketServer(transports=TRANSPORTS)

    @with_middleware.engine.use
    def refuse(request: HttpRequest) -> HttpResponse:
        return HttpResponse(401)

    return {
        "middleware": with_middleware,
        "origin": SocketServer(transports=TRANSPORTS, cors=Cors(origins=["https://other.example"])),
        "allow_request": SocketServer(transports=TRANSPORTS, allow_request=lambda request: "no"),
    }


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentCertificate:
    return development_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def given(certificate: DevelopmentCertificate) -> Iterator[dict[str, Any]]:
    assert CLIENT.is_dir(), f"{CLIENT} is missing: run `make setup`"
    reasons: dict[str, str] = {}
    io = make_server(reasons)
    refusing = make_refusing_servers()
    with pytest.MonkeyPatch.context() as patch, LoopThread() as thread:
        patch.setenv("SOCKETIO_CLIENT_DIST", str(CLIENT))
        page = thread.run(io.listen("127.0.0.1", 0))
        port = thread.run(io.listen_webtransport("127.0.0.1", 0, ssl=certificate.tls)).port
        ports = {
            name: thread.run(each.listen_webtransport("127.0.0.1", 0, ssl=certificate.tls)).port
            for name, each in refusing.items()
        }
        try:
            # Another host name than that of WebTransport: the page has another origin.
            yield {
                "url": f"http://localhost:{page.port}", "port": port, "hash": certificate.base64,
                "refusing": ports, "reasons": reasons,
            }  # fmt: skip
        finally:
            for server in (io, *refusing.values()):
                thread.run(server.shutdown())


@pytest.mark.parametrize("case", find_cases(SCRIPT))
def test_case_passes_in_chromium(browser: Browser, given: dict[str, Any], case: str) -> None:
    reasons = given["reasons"]
    values = {name: value for name, value in given.items() if name != "reasons"}
    browser.run(SCRIPT, case, values, reason=reasons.get)
