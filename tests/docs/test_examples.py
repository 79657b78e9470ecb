"""The examples behave as their docstrings describe."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import websockets

from engineio_core.webtransport.certificate import development_certificate
from socketio_core import ConnectError
from socketio_core.admin.credentials import hash_password
from socketio_core.testing import TestServer
from tests.helpers.waiting import PATIENT

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def fetch(port: int, target: str, method: str = "GET") -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        "Content-Length: 0\r\n\r\n".encode()
    )
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


COMMANDS = sorted(
    file.stem for file in EXAMPLES.glob("*.py") if "ArgumentParser" in file.read_text()
)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_an_example_keeps_the_lines_of_its_docstring(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = load(name)
    monkeypatch.setattr("sys.argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        asyncio.run(module.main()) if name == "webtransport" else module.main()
    assert module.__doc__ is not None
    assert module.__doc__.strip() in capsys.readouterr().out


async def test_chat_sends_messages_to_the_members_of_a_room() -> None:
    io = load("chat").make_server()
    async with TestServer(io) as server:
        alice, bob, eve = [await server.connect() for _ in range(3)]
        room = {"room": "lobby"}
        assert await alice.emit_with_ack("join", {"name": "alice", **room}) == {
            "members": ["alice"]
        }
        assert await bob.emit_with_ack("join", {"name": "bob", **room}) == {
            "members": ["alice", "bob"]
        }
        taken = await eve.emit_with_ack("join", {"name": "bob", **room})
        assert taken["code"] == "NAME_TAKEN"
        assert (await eve.emit_with_ack("join", {"name": 7}))["code"] == "VALIDATION_ERROR"
        eve.emit("say", "not delivered")
        bob.emit("say", "hello")
        bob.disconnect()
        assert [name for name, _ in alice.received] == ["joined", "message", "left"]
        assert await alice.receive_event("message") == ["bob", "hello"]


async def test_chat_serves_its_page() -> None:
    io = load("chat").make_server()
    listener = await io.listen("127.0.0.1", 0)
    status, body = await fetch(listener.port, "/")
    assert status == 200
    assert b"/socket.io/socket.io.min.js" in body
    assert (await fetch(listener.port, "/other"))[0] == 404
    await io.shutdown()


async def test_playground_example_answers_its_events() -> None:
    io = load("playground").make_server()
    async with TestServer(io) as server:
        client = await server.connect()
        assert await client.emit_with_ack("echo", 1, "two") == [1, "two"]
        assert await client.emit_with_ack("count", 3) == 3
        received = [await client.receive_event("number") for _ in range(3)]
        assert [number for number, _offset in received] == [0, 1, 2]
        client.auto_ack = lambda name, args: "yes"
        assert await client.emit_with_ack("question") == "yes"
        with pytest.raises(ConnectError) as refused:
            await server.connect("/private")
        assert refused.value.data == {"code": "UNAUTHORIZED"}
        await server.connect("/private", auth={"token": "secret"})


async def test_admin_ui_example_shows_a_client_to_an_admin() -> None:
    module = load("admin_ui")
    io = module.make_server(hash_password("secret"), "development", origin="http://localhost:8000")
    assert "http://localhost:8000" in io.engine.options.cors.origins
    async with TestServer(io) as server:
        with pytest.raises(ConnectError, match="invalid credentials"):
            await server.connect("/admin", auth={"username": "admin", "password": "wrong"})
        admin = await server.connect("/admin", auth={"username": "admin", "password": "secret"})
        alice, bob = await server.connect(), await server.connect()
        assert await alice.emit_with_ack("join", "alice", "lobby") == ["alice"]
        assert await bob.emit_with_ack("join", "bob", "lobby") == ["alice", "bob"]
        bob.emit("say", "lobby", "hello")
        await server.advance(1)
        assert alice.received == [("said", ["bob", "hello"])]
        names = [name for name, _ in admin.received]
        assert {"event_received", "event_sent", "room_joined", "socket_updated"} <= set(names)
        admin.emit("_disconnect", "/", False, alice.id)
        await server.advance(0)
        assert not alice.connected


async def test_playground_example_serves_its_page() -> None:
    async with load("playground").make_server() as io:
        listener = await io.listen("127.0.0.1", 0)
        status, body = await fetch(listener.port, "/playground/")
        assert (status, body[:15]) == (200, b"<!doctype html>")
        assert (await fetch(listener.port, "/playground"))[0] == 307
        assert (await fetch(listener.port, "/playground/main.js"))[0] == 200
        assert (await fetch(listener.port, "/"))[0] == 404


async def test_fastapi_application_and_socket_io_share_a_port() -> None:
    # The test fails without fastapi, so that it cannot be skipped by mistake.
    example: Any = load("fastapi_app")
    io = example.io
    listener = await io.listen("127.0.0.1", 0)
    try:
        status, body = await fetch(listener.port, "/orders/7")
        assert (status, json.loads(body)) == (200, {"state": "packed"})
        status, body = await fetch(listener.port, "/socket.io/?EIO=4&transport=polling")
        assert status == 200
        sid = json.loads(body[1:])["sid"]
        assert (await fetch(listener.port, "/orders/9"))[0] == 404
        status, body = await fetch(listener.port, "/orders/7/ship", "POST")
        assert (status, json.loads(body)) == (200, {"watchers": 0})
        assert sid in io.engine.sessions
        url = f"ws://127.0.0.1:{listener.port}/orders"
        async with websockets.connect(f"{url}/7/notes", **PATIENT) as notes:
            await notes.send("fragile")
            assert await notes.recv() == "noted: fragile"
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"{url}/9/notes", **PATIENT)
        response = refused.value.response
        assert response.status_code == 404
        assert json.loads(response.body or b"") == {"detail": "unknown order"}
    finally:
        await io.shutdown()
    assert not example.orders, "the application runs its shutdown code"


async def test_webtransport_example_serves_a_page_with_the_hash_of_its_certificate(
    tmp_path: Path,
) -> None:
    certificate = development_certificate(tmp_path)
    async with load("webtransport").make_server(certificate.base64) as io:
        listener = await io.listen("127.0.0.1", 0)
        assert (await io.listen_webtransport("127.0.0.1", listener.port, ssl=certificate.tls)).port
        status, body = await fetch(listener.port, "/")
        assert status == 200
        assert certificate.base64.encode() in body
        status, body = await fetch(listener.port, "/socket.io/?EIO=4&transport=polling")
        assert json.loads(body[1:])["upgrades"] == ["websocket", "webtransport"]


async def test_fastapi_application_contains_the_server() -> None:
    example: Any = load("fastapi_mounted")
    transport = httpx.ASGITransport(app=example.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
        path = "/live/socket.io/?EIO=4&transport=polling"
        sid = json.loads((await client.get(path)).text[1:])["sid"]
        assert (await client.post(f"{path}&sid={sid}", content=b"40")).text == "ok"
        assert (await client.post("/announcements/hello")).json() == {"receivers": 1}
        assert '42["announcement","hello"]' in (await client.get(f"{path}&sid={sid}")).text
        assert (await client.get("/socket.io/")).status_code == 404
        async with example.lifespan(example.app):
            pass
        assert not example.io.engine.sessions


async def test_echo_server_answers_in_both_namespaces() -> None:
    example = load("socketio_echo")
    io = example.SocketServer()
    for name in ("/", "/custom"):
        example.echo(io.of(name))
    async with TestServer(io) as server:
        for name, auth in (("/", None), ("/custom", {"token": 1})):
            client = await server.connect(name, auth=auth)
            assert await client.receive_event("auth") == [auth or {}]
            client.emit("message", 1, b"\x01")
            assert await client.receive_event("message-back") == [1, b"\x01"]
            assert await client.emit_with_ack("message-with-ack", 1) == 1
            client.auto_ack = lambda event, args: args[0]
            client.emit("emit-with-ack", 5)
            assert await client.receive_event("emit-with-ack") == [5]
            assert await client.receive_event("emit-with-ack") == [5]


async def test_chat_clients_exchange_messages_and_survive_a_restart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chat, terminal, script = load("chat"), load("client_async"), load("client_blocking")
    io = chat.make_server()
    listener = await io.listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.port}"
    shown: asyncio.Queue[str] = asyncio.Queue()
    lines: asyncio.Queue[str | None] = asyncio.Queue()

    async def typed() -> AsyncIterator[str]:
        while (line := await lines.get()) is not None:
            yield line

    client = terminal.make_client(url, "alice", "lobby", shown.put_nowait)
    chatting = asyncio.ensure_future(terminal.chat(client, typed()))
    async with asyncio.timeout(300):
        assert await shown.get() == "members: alice"
        lines.put_nowait("hello")
        assert await shown.get() == "alice: hello"
        assert await asyncio.to_thread(script.say, url, "backup", "lobby", ["started", "ended"])
        seen = [await shown.get() for _ in range(4)]
        assert seen == ["backup joined", "backup: started", "backup: ended", "backup left"]
        assert not await asyncio.to_thread(script.say, url, "alice", "lobby", ["x"])
        assert capsys.readouterr().err == "the name alice is in use\n"
        await io.shutdown()
        assert await shown.get() == "disconnected: transport close"
        io = chat.make_server()
        await io.listen("127.0.0.1", listener.port)
        assert await shown.get() == "members: alice"
        lines.put_nowait(None)
        await chatting
    await io.shutdown()
