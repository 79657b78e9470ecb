"""Methods listen and run, and the context manager of a Socket.IO server."""

from __future__ import annotations

import asyncio
import socket as sockets
import threading
from pathlib import Path

import pytest

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


def test_run_is_rejected_outside_the_main_thread() -> None:
    errors: list[BaseException] = []

    def serve() -> None:
        try:
            SocketServer().run(port=0)
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join(10)
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
