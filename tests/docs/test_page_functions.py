"""Functions of the documentation's Python blocks that need a broker, a cluster or a network."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engineio_core.webtransport.certificate import DevelopmentCertificate
from socketio_core import (
    BlockingEmitter,
    InProcessCluster,
    RedisClassic,
    RedisSharded,
    Socket,
    SocketServer,
)
from socketio_core.client import AsyncClient
from socketio_core.testing import TestServer, settle
from tests.docs.blocks import ROOT, blocks_of
from tests.docs.test_documentation import page
from tests.helpers.redis_server import running_redis


def test_first_server_of_the_index_is_that_of_the_readme() -> None:
    index, readme = [
        next(block.text for block in blocks_of(document) if block.language == "python")
        for document in (ROOT / "docs" / "index.md", ROOT / "README.md")
    ]
    assert index == readme


async def test_cluster_page_inspects_the_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    names = page("adapters.md")
    cluster = InProcessCluster()
    first, second = SocketServer(adapter=cluster.join()), SocketServer(adapter=cluster.join())
    names["io"] = first
    second.on_server_event("version", names["version"])
    second.on("connection", lambda socket: socket.join("project:1"))
    async with TestServer(first), TestServer(second) as server:
        await server.connect()
        await settle()
        await names["inspect"]()
    printed = capsys.readouterr().out
    assert "1 sockets; 0 servers did not answer" in printed
    assert "['1.4.2'] of 1 other servers" in printed


@pytest.mark.redis
@pytest.mark.parametrize(
    ("document", "function", "arguments", "room", "event"),
    [
        ("adapters.md", "notify", ("hello",), "project:1", ["hello"]),
        ("hub-scaling.md", "report_change", ("7", 5), "user-7", [{"id": 5}]),
    ],
)
async def test_emitter_of_the_page_reaches_a_server(
    tmp_path: Path, document: str, function: str, arguments: Any, room: str, event: list[Any]
) -> None:
    names = page(document)
    adapter = RedisSharded if document == "adapters.md" else RedisClassic
    with running_redis(tmp_path) as redis:
        # The address of the page is replaced by that of the test.
        names["BlockingEmitter"] = lambda url, **options: BlockingEmitter(redis.url, **options)
        received: list[list[Any]] = []
        async with SocketServer(adapter=adapter(redis.url)) as io:

            @io.on("join")
            async def join(socket: Socket) -> None:
                await socket.join(room)

            listener = await io.listen("127.0.0.1", 0)
            async with AsyncClient(f"http://127.0.0.1:{listener.port}") as client:
                client.on_any(lambda name, *args: received.append(list(args)))
                await client.call("join")
                async with asyncio.timeout(300):
                    while not received:  # the subscription of the room takes effect after a moment
                        await asyncio.to_thread(partial(names[function], *arguments))
                        await asyncio.sleep(0.05)
                assert received[0] == event


async def test_older_clients_page_marks_older_clients() -> None:
    io = page("older-clients.md")["io"]
    async with TestServer(io) as server:
        clients = [await server.connect(eio3=True), await server.connect()]
        assert [io.sockets[each.id].data["is_old"] for each in clients] == [True, False]


async def test_recovery_page_offers_recovery_to_browsers() -> None:
    io = page("recovery.md")["selective"]
    async with TestServer(io) as server:
        agents = ("Mozilla/5.0", "other")
        clients = [await server.connect(headers={"user-agent": agent}) for agent in agents]
        io.emit("x", 1)
        received = [await client.receive_event("x") for client in clients]
        assert [len(args) for args in received] == [2, 1]


async def test_types_page_moves_and_finds_tasks() -> None:
    async with TestServer(page("types.md")["io"]) as server:
        client = await server.connect()
        client.auto_ack = lambda event, args: True
        task = {"id": 7, "column": "done"}
        assert await client.emit_with_ack("task:move", task) == task
        assert await client.receive_event("task:moved") == [task]
        assert await client.emit_with_ack("task:find", {"column": "done"}) == []


async def test_webtransport_page_listens_on_two_ports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = page("webtransport.md")
    assert names["create"](tmp_path)
    certificate: DevelopmentCertificate = names["development_certificate"](tmp_path)
    ports: list[Any] = []
    for name in ("listen", "listen_webtransport"):
        listen = getattr(SocketServer, name)

        async def on_a_free_port(
            io: SocketServer, host: str | None, port: int, listen: Any = listen, **options: Any
        ) -> Any:
            ports.append((host, port))
            return await listen(io, "127.0.0.1", 0, **options)

        monkeypatch.setattr(SocketServer, name, on_a_free_port)
    await names["serve"](str(certificate.tls.certificate), str(certificate.tls.key))
    assert ports == [(None, 443), (None, 443)]
    assert int(capsys.readouterr().out.split()[-1]) > 0
