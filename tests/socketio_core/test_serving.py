"""Methods listen and run, and the context manager of a Socket.IO server."""

from __future__ import annotations

import asyncio
import re
import socket as sockets
import threading
from pathlib import Path

import pytest

from engineio_core import Engine
from engineio_core.signals import StopSignals
from engineio_core.webtransport.certificate import development_certificate
from socketio_core import SocketServer


async def test_context_manager_shuts_the_server_down() -> None:
    async with SocketServer() as io:
        port = (await io.listen()).port
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_context_manager_shuts_down_after_an_exception() -> None:
    ports: list[int] = []

    async def fail() -> None:
        async with SocketServer() as io:
            ports.append((await io.listen()).port)
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", ports[0])


async def test_listen_accepts_a_path_and_a_descriptor(tmp_path: Path) -> None:
    inherited = sockets.create_server(("127.0.0.1", 0))
    port = inherited.getsockname()[1]
    async with SocketServer() as io:
        unix = await io.listen(path=tmp_path / "io.sock")
        tcp = await io.listen(fd=inherited.detach())
        assert unix.addresses == (f"unix:{tmp_path / 'io.sock'}",)
        assert tcp.port == port


async def test_run_is_rejected_inside_a_running_loop() -> None:
    with pytest.raises(RuntimeError, match=r"must not be called inside a running event loop"):
        SocketServer().run(port=0)


@pytest.mark.parametrize("server", [SocketServer, Engine])
def test_run_accepts_webtransport(
    server: type[SocketServer] | type[Engine],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    tls = development_certificate(tmp_path).tls
    io = server(transports=["polling", "webtransport"])
    seen: list[tuple[str, ...]] = []

    async def stop(_: StopSignals) -> None:
        engine = io.engine if isinstance(io, SocketServer) else io
        seen.append(engine._webtransport[0].addresses)

    monkeypatch.setattr(StopSignals, "wait", stop)
    io.run(port=0, ssl=tls, webtransport_port=0)
    ((address,),) = seen
    assert re.fullmatch(r"https://127.0.0.1:\d+ \(WebTransport\)", address)


@pytest.mark.parametrize("server", [SocketServer, Engine])
def test_run_with_webtransport_requires_a_certificate(
    server: type[SocketServer] | type[Engine],
) -> None:
    io = server(transports=["polling", "webtransport"])
    with pytest.raises(TypeError, match=r"ssl must be Tls\(certificate=..., key=...\), got None"):
        io.run(port=0, webtransport_port=0)


def test_run_is_rejected_outside_the_main_thread() -> None:
    errors: list[BaseException] = []

    def serve() -> None:
        try:
            SocketServer().run(port=0)
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join(300)
    assert "must be called in the main thread" in str(errors[0])


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("cors_allowed_origins", "use cors=Cors(origins=...)"),
        ("async_mode", "the server always uses asyncio"),
        ("logger", 'configure logging.getLogger("socketio_core")'),
        ("engineio_logger", 'configure logging.getLogger("engineio_core")'),
        ("connectionStateRecovery", "use recovery=Recovery(...)"),
        ("namespaces", "register handlers with io.of(name)"),
        ("client_manager", "use adapter=RedisClassic(url)"),
    ],
)
def test_option_of_another_server_is_rejected_with_its_replacement(name: str, remedy: str) -> None:
    with pytest.raises(TypeError, match=f"unknown option {name}: ") as raised:
        SocketServer(**{name: True})  # type: ignore[arg-type]
    assert remedy in str(raised.value)
