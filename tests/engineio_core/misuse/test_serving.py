"""Mount, run and listen reject wrong applications, threads, addresses and certificates."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from pathlib import Path
from ssl import SSLError, create_default_context
from typing import Any

import pytest

from engineio_core import Engine, Tls
from tests.engineio_core.misuse.support import generate
from tests.helpers.client import Server

# -- serving


@pytest.mark.parametrize("app", [None, "app:app", 5])
def test_mount_rejects_an_object_that_is_not_an_application(app: Any) -> None:
    with pytest.raises(TypeError, match="must receive an ASGI application, got"):
        Engine().mount(app)


async def test_mount_is_rejected_while_the_engine_listens() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    async with Engine() as engine:
        await engine.listen()
        with pytest.raises(RuntimeError, match="before listen"):
            engine.mount(app)


async def test_run_is_rejected_inside_a_running_loop() -> None:
    with pytest.raises(RuntimeError, match=r"inside a running event loop: await listen\(\)"):
        Engine().run(port=0)


def test_run_is_rejected_outside_the_main_thread() -> None:
    errors: list[BaseException] = []

    def serve() -> None:
        try:
            Engine().run(port=0)
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join(300)
    assert "must be called in the main thread" in str(errors[0])


async def test_listen_names_the_address_and_the_remedy_when_the_port_is_in_use() -> None:
    async with Engine() as first, Engine() as second:
        port = (await first.listen()).port
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: .*another port"):
            await second.listen(port=port)


async def test_listen_names_the_path_when_its_directory_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "engine.sock"
    async with Engine() as engine:
        with pytest.raises(OSError, match=f"cannot listen on unix:{path}: No such file"):
            await engine.listen(path=path)


async def test_listen_names_the_host_when_it_is_unknown() -> None:
    async with Engine() as engine:
        with pytest.raises(OSError, match=r"cannot listen on no\.such\.host\.invalid:0: .*host"):
            await engine.listen("no.such.host.invalid")
        with pytest.raises(OSError, match="this machine does not have the address"):
            await engine.listen("192.0.2.1")


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"host": 8080}, "host must be a string or None, got 8080: pass a port as port=8080"),
        ({"port": "8080"}, "port must be an integer from 0 to 65535, got '8080'"),
        ({"port": True}, "port must be an integer"),
        ({"port": 70000}, "port must be an integer from 0 to 65535, got 70000"),
        ({"path": 5}, "path must be the file of a Unix socket, got 5"),
        ({"fd": "3"}, "fd must be the descriptor"),
        ({"fd": 3, "path": "/x"}, "path and fd exclude each other"),
        ({"ssl": "cert.pem"}, "ssl must be an ssl.SSLContext, Tls"),
        ({"ssl": True}, "ssl must be an ssl.SSLContext, Tls"),
    ],
)
async def test_listen_rejects_a_wrong_parameter(parameters: dict[str, Any], text: str) -> None:
    async with Engine() as engine:
        with pytest.raises((TypeError, ValueError), match=text):
            await engine.listen(**parameters)


@pytest.mark.parametrize("certificate", [None, 5, "missing.pem"])
def test_certificate_is_rejected_when_it_is_not_a_readable_file(certificate: Any) -> None:
    with pytest.raises(ValueError, match="the TLS certificate must be a readable PEM file, got"):
        Tls(certificate=certificate)


async def test_listen_names_the_files_of_an_invalid_certificate(tmp_path: Path) -> None:
    file = tmp_path / "own.pem"
    file.write_text("nonsense")
    async with Engine() as engine:
        with pytest.raises(SSLError, match=r"certificate '.*own.pem' and key .* must be PEM files"):
            await engine.listen(ssl=Tls(certificate=file))


async def test_context_manager_shuts_down_at_the_end() -> None:
    async with Engine() as engine:
        port = (await engine.listen()).port
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


# -- mounted applications


class Application:
    """ASGI application whose class a user could pass by mistake."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        pass


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    return []


@pytest.mark.parametrize("app", [Application, wsgi, generate, lambda scope: wsgi])
def test_mount_rejects_an_object_that_cannot_be_called_with_three_arguments(app: Any) -> None:
    with pytest.raises(TypeError, match="ASGI application"):
        Engine().mount(app)


def test_mount_rejects_a_wsgi_application_with_the_remedy() -> None:
    with pytest.raises(TypeError, match="wrap a WSGI application in an adapter such as a2wsgi"):
        Engine().mount(wsgi)  # type: ignore[arg-type]


def test_mount_accepts_a_plain_function_that_returns_the_coroutine_of_another_application() -> None:
    application = Application()

    def outer(scope: Any, receive: Any, send: Any) -> Any:
        return application(scope, receive, send)

    Engine().mount(outer)
    Engine().mount(partial(application))


async def test_listen_rejects_a_port_in_place_of_the_host() -> None:
    with pytest.raises(ValueError, match=r"host must be an address or a name, .*: write port=3000"):
        await Engine().listen("3000")


async def test_session_rejects_calls_from_another_thread() -> None:
    server = Server()
    server.open_websocket()
    (session,) = server.engine.sessions.values()
    for name, call in (
        ("send_text", partial(session.send_text, "a")),
        ("send_binary", partial(session.send_binary, b"a")),
        ("close", session.close),
    ):
        with pytest.raises(RuntimeError, match=rf"call_soon_threadsafe\(session.{name}, "):
            await asyncio.to_thread(call)
    assert session.sid in server.engine.sessions


async def test_listen_rejects_an_ssl_context_of_a_client() -> None:
    with pytest.raises(ValueError, match=r"create_default_context\(ssl.Purpose.CLIENT_AUTH\)"):
        await Engine().listen(ssl=create_default_context())
