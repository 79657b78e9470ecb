"""Servers, clients and hubs that have ended leave nothing in the process.

Each test starts and stops a part several times in event loops of their own, and compares the
objects of our packages, threads, descriptors, processes, tasks, timers, log and signal handlers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from engineio_core.signals import StopSignals
from socketio_core import Recovery, SocketServer
from socketio_core.admin.credentials import BasicAuth
from socketio_core.admin.instrument import instrument
from socketio_core.client import AsyncClient, Client
from socketio_core.opentelemetry import instrument_opentelemetry
from socketio_core.prometheus import instrument_prometheus
from socketio_core.testing import TestServer
from tests.contract.imports import VALID_CSV, run_import
from tests.contract.support import HubHarness
from tests.helpers.live_objects import assert_nothing_remains

# "password" with the lowest cost of bcrypt
HASH = "$2b$04$0ALapAZJff0GqTm6dYpodeKKmHO7M44MXVMAIZl2oFzLHQPU6aDgC"


def in_loop(work: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Return a function that runs `work` in an event loop of its own.

    It fails if tasks or timers remain.
    """

    async def run() -> None:
        await work()
        for _ in range(20):
            await asyncio.sleep(0)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        assert not tasks, f"tasks remain: {tasks}"
        scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        timers = [each for each in scheduled if not each.cancelled()]
        assert not timers, f"timers remain: {timers}"

    return lambda: asyncio.run(run())


def make_server(**options: Any) -> SocketServer:
    io = SocketServer(recovery=Recovery(max_disconnection_duration=60), **options)

    @io.on("connection")
    def connected(socket: Any) -> None:
        socket.join("everyone")

    @io.on("wait")
    async def wait(socket: Any) -> None:
        await asyncio.Event().wait()

    io.on("echo", lambda socket, value: value)
    return io


def test_ended_server_leaves_nothing() -> None:
    async def work() -> None:
        io = make_server()
        registry = CollectorRegistry()
        instrument_prometheus(io, registry)
        instrument_opentelemetry(io)
        instrument(io, auth=BasicAuth("admin", HASH), mode="development")
        listener = await io.listen()
        url = f"http://127.0.0.1:{listener.port}"
        for transports in (["polling"], ["websocket"]):
            async with AsyncClient(url, transports=transports) as client:
                assert await client.call("echo", 1) == 1
                client.emit("wait")
                admin = client.of("/admin", auth={"username": "admin", "password": "password"})
                await admin.connect()
                io.emit("news", "a" * 100)
        async with AsyncClient(url, transports=["websocket"]) as client:
            await client.call("echo", 1)
            await io.shutdown(grace=0.01)
        assert registry.get_sample_value("socketio_handler_errors_total") == 0

    assert_nothing_remains(in_loop(work))


def test_ended_server_with_a_registry_of_its_own_is_freed() -> None:
    """The registry and the server refer to each other, as in an application with /metrics."""

    async def work() -> None:
        io, registry = SocketServer(), CollectorRegistry()
        instrument_prometheus(io, registry)
        io.on("metrics", lambda socket: len(list(registry.collect())))
        async with TestServer(io) as server:
            client = await server.connect()
            await client.emit_with_ack("metrics")

    assert_nothing_remains(in_loop(work))


def test_server_that_serves_again_measures_again() -> None:
    async def work() -> None:
        io, registry = make_server(), CollectorRegistry()
        instrument_prometheus(io, registry)
        instrument(io, auth=False)
        for _ in range(2):
            listener = await io.listen()
            async with AsyncClient(f"http://127.0.0.1:{listener.port}") as client:
                assert await client.call("echo", 1) == 1
                lags = len(asyncio.get_running_loop()._scheduled)  # type: ignore[attr-defined]
                assert lags > 0
                await client.close()
            await io.shutdown()

    assert_nothing_remains(in_loop(work), times=1)


def test_ended_asgi_application_leaves_nothing() -> None:
    async def work() -> None:
        io = make_server()
        instrument(io, auth=False)
        app = io.asgi_app()
        received = asyncio.Queue[dict[str, Any]]()
        sent = asyncio.Queue[dict[str, Any]]()
        received.put_nowait({"type": "lifespan.startup"})
        lifespan = asyncio.ensure_future(
            app({"type": "lifespan", "asgi": {}}, received.get, sent.put)
        )
        assert (await sent.get())["type"] == "lifespan.startup.complete"
        query = b"EIO=4&transport=polling"
        opened = await _request(app, "GET", query)
        sid = json.loads(opened[1:])["sid"].encode()
        await _request(app, "POST", query + b"&sid=" + sid, b"40")
        received.put_nowait({"type": "lifespan.shutdown"})
        assert (await sent.get())["type"] == "lifespan.shutdown.complete"
        await lifespan

    assert_nothing_remains(in_loop(work))


async def _request(app: Any, method: str, query: bytes, body: bytes = b"") -> bytes:
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    parts: list[bytes] = []

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop()

    async def send(message: dict[str, Any]) -> None:
        parts.append(message.get("body", b""))

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": "/socket.io/", "raw_path": b"/socket.io/", "root_path": "",
        "query_string": query, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
        "headers": [(b"host", b"a"), (b"content-length", b"%d" % len(body))],
    }  # fmt: skip
    await app(scope, receive, send)
    return b"".join(parts)


def test_ended_client_leaves_nothing() -> None:
    """Also one whose server never answers, and one with a pending ack."""

    async def work() -> None:
        async with make_server() as io:
            listener = await io.listen()
            url = f"http://127.0.0.1:{listener.port}"
            async with AsyncClient(url) as client:
                client.emit("wait", ack=lambda *args: None)
                call = asyncio.ensure_future(client.call("wait"))
                await client.call("echo", 1)
            await asyncio.gather(call, return_exceptions=True)
            await io.shutdown(grace=0.01)
        gone = AsyncClient(url)
        gone.start()
        await asyncio.sleep(0)
        await gone.close()

    assert_nothing_remains(in_loop(work))


def test_ended_blocking_client_leaves_nothing() -> None:
    async def work() -> None:
        async with make_server() as io:
            listener = await io.listen()

            def use() -> None:
                client = Client(f"http://127.0.0.1:{listener.port}")
                client.on("news", lambda value: None)
                client.connect()
                assert client.call("echo", 1) == 1
                client.close()

            await asyncio.to_thread(use)

    assert_nothing_remains(in_loop(work))


def test_ended_signal_handlers_are_those_from_before() -> None:
    async def work() -> None:
        async with StopSignals(lambda: None):
            pass

    assert_nothing_remains(in_loop(work))


def test_ended_hub_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setattr("sys.stdout", StringIO())
    runs = iter(range(100))

    async def work() -> None:
        number = next(runs)
        folder = tmp_path / str(number)
        folder.mkdir()
        async with HubHarness(
            folder, tracing=True, event_log=folder / "events.jsonl", playground=True,
            import_inbox=folder,
        ) as hub:  # fmt: skip
            headers = hub.session_store.log_in(role="admin")
            client = await hub.server.connect(headers=headers)
            await run_import(client, VALID_CSV)
            await client.emit_with_ack("get-data", {"page": 1})
            await hub.metrics()
            await hub.request("GET", "/metrics", {"authorization": "Bearer " + "m" * 32})

    assert_nothing_remains(in_loop(work), times=2)
