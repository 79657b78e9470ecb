"""docs/client.md: its functions run against a server, and the rows of its tables are true."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from engineio_core.client.options import EngineClientOptions
from socketio_core import AckTimeoutError, ConnectError, Socket, SocketServer
from socketio_core.client import (
    AsyncClient,
    Client,
    ClientDisconnectReason,
    ClientTls,
    ConnectionFailedError,
)
from socketio_core.client.manager import MANAGER_EVENTS
from tests.docs.blocks import ROOT
from tests.docs.tables import read_rows
from tests.docs.test_documentation import execute
from tests.interop.support import serving
from tests.socketio_core.client.support import URL, World, settle, world

DOCUMENT = ROOT / "docs" / "client.md"
Check = Callable[[World], Awaitable[None]]
PYTHON: dict[str, Check] = {}
NODE: dict[str, Check] = {}
SECTIONS = (("Coming from python-socketio", PYTHON), ("Coming from socket.io-client", NODE))


def row(table: dict[str, Check], text: str) -> Callable[[Check], Check]:
    """Register the check of the table row with this text in its first cell."""

    def register(check: Check) -> Check:
        assert text not in table, text
        table[text] = check
        return check

    return register


def make_server() -> SocketServer:
    io = SocketServer()
    io.on("hello", lambda socket, name: f"hello {name}")
    io.on("sum", lambda socket, a, b: a + b)
    io.on("echo", lambda socket, *args: args)
    io.on("subscribe", lambda socket: socket.emit("news", 1))
    io.on("measure", lambda socket, number: number)

    @io.on("never")
    async def never(socket: Socket) -> None:
        await asyncio.get_running_loop().create_future()

    io.of("/admin").on("whoami", lambda socket: socket.handshake.auth)
    io.of("/a")
    return io


# -- the functions of the guide


async def test_functions_of_the_guide_run() -> None:
    io = make_server()
    guide = execute(DOCUMENT)
    listener = await io.listen("127.0.0.1", 0)
    guide["URL"] = f"http://127.0.0.1:{listener.port}"
    try:
        assert await guide["greet"]() == "hello Ada"
        assert await guide["send_events"]() == [3, 7, "no answer"]
        assert await guide["use_namespaces"]() == {"token": "admin"}
        assert await guide["first_event"]() == ("news", 1)
        assert await guide["deliver"](range(20)) == [None] * 20
    finally:
        await io.shutdown()


def test_blocking_function_of_the_guide_runs() -> None:
    guide = execute(DOCUMENT)
    with serving(make_server()) as (url, _):
        guide["URL"] = url
        assert guide["sum_blocking"]() == 3


async def test_handlers_of_the_guide_are_called(capsys: pytest.CaptureFixture[str]) -> None:
    guide = execute(DOCUMENT)
    registry = guide["client"].main._listeners
    async with world() as w:
        client = await w.connect()
        client.main._listeners.copy_from(registry)
        (socket,) = w.io.sockets.values()
        answer = await socket.emit_with_ack("task:moved", {"id": 7, "column": "done"})
        assert answer == "task 7 is in done"
        assert (await socket.emit_with_ack("task:moved", {"id": "7"}))["success"] is False
    guide["connected"]()
    guide["disconnected"]("ping timeout")
    guide["failed"](ConnectError("no"))
    assert capsys.readouterr().out == (
        "connected as None, recovered: False\ndisconnected: ping timeout\nno connection: no\n"
    )


def test_guide_lists_all_reasons_and_events() -> None:
    text = DOCUMENT.read_text("utf-8")
    documented = set(ClientDisconnectReason) - {ClientDisconnectReason.FORCED_CLOSE}
    assert all(f"`{reason}`" in text for reason in documented)
    assert all(f"`{event}`" in text for event in MANAGER_EVENTS)
    defaults = EngineClientOptions()
    assert defaults.trust_env
    assert "`trust_env=False`" in text


# -- rows


@row(PYTHON, "`sio = socketio.AsyncClient()` and `await sio.connect(url)`")
async def connect(w: World) -> None:
    client = w.client()
    await client.connect()
    assert client.connected


@row(PYTHON, "`sio = socketio.Client()`")
async def blocking(w: World) -> None:
    assert not inspect.iscoroutinefunction(Client.call)
    Client(URL).close()


@row(PYTHON, "`await sio.connect(url, auth=auth, headers=headers)`")
async def auth_and_headers(w: World) -> None:
    await w.connect(auth={"a": 1}, extra_headers={"X-A": "b"})
    (socket,) = w.io.sockets.values()
    assert socket.handshake.auth == {"a": 1}
    assert socket.handshake.headers["x-a"] == "b"


@row(PYTHON, '`await sio.connect(url, transports=["websocket"])`')
async def transports(w: World) -> None:
    client = w.client(transports=["websocket"])
    await client.connect()
    assert client.transport == "websocket"


@row(PYTHON, '`await sio.connect(url, socketio_path="x")`')
async def path(w: World) -> None:
    other = World(path="/x")
    client = await other.connect(path="/x")
    assert client.connected
    with pytest.raises(TypeError, match="use path"):
        w.client(socketio_path="x")
    await other.end()


@row(PYTHON, '`await sio.connect(url, namespaces=["/a"])`')
async def namespaces(w: World) -> None:
    client = await w.connect()
    a = client.of("/a")
    await a.connect()
    assert a.connected


@row(PYTHON, "`await sio.connect(url, retry=True)`")
async def retry(w: World) -> None:
    w.network.is_refusing = True
    connecting = asyncio.ensure_future(w.client(randomization_factor=0).connect(retry=True))
    await w.advance(0.5)
    w.network.is_refusing = False
    await w.run(connecting)


@row(PYTHON, "`@sio.event`")
async def named(w: World) -> None:
    client = await w.connect()
    received: list[Any] = []

    @client.on("x")
    def handle(value: int) -> None:
        received.append(value)

    w.io.emit("x", 1)
    await settle()
    assert received == [1]


@row(PYTHON, '`@sio.on("x", namespace="/a")`')
async def on_namespace(w: World) -> None:
    client = await w.connect()
    received: list[Any] = []

    @client.of("/a").on("x")
    def handle() -> None:
        received.append("x")

    await client.of("/a").connect()
    w.io.of("/a").emit("x")
    await settle()
    assert received == ["x"]


@row(PYTHON, '`@sio.on("*")`')
async def catch_all(w: World) -> None:
    client = await w.connect()
    received: list[Any] = []
    with pytest.raises(ValueError, match="no pattern"):
        client.on("*", received.append)
    client.on_any(lambda *event: received.append(("any", *event)))
    client.on_unhandled(lambda *event: received.append(("unhandled", *event)))
    w.io.emit("x", 1)
    await settle()
    assert received == [("any", "x", 1), ("unhandled", "x", 1)]


@row(PYTHON, "`async def connect_error(data)`")
async def connect_error(w: World) -> None:
    @w.io.use
    def refuse(socket: Socket) -> None:
        raise ConnectError("no", data={"a": 1})

    client = w.client()
    seen: list[Any] = []

    @client.on("connect_error")
    async def failed(error: ConnectError) -> None:
        seen.append(error.data)

    with pytest.raises(ConnectError):
        await client.connect()
    assert seen == [{"a": 1}]


@row(PYTHON, "`async def disconnect(reason)`")
async def disconnect_reason(w: World) -> None:
    client = await w.connect()
    seen: list[str] = []
    client.on("disconnect", seen.append)
    client.main.disconnect()
    assert seen == ["io client disconnect"]


@row(PYTHON, '`await sio.emit("x", data)`')
async def emit(w: World) -> None:
    client = await w.connect()
    client.emit("x", 1)
    with pytest.raises(TypeError, match="must not be awaited"):
        await client.emit("x", 1)  # type: ignore[func-returns-value]  # the mistake


@row(PYTHON, '`await sio.emit("x", ("a", "b"))`')
async def emit_several(w: World) -> None:
    client = await w.connect()
    assert await client.call("echo", "a", "b") == ("a", "b")
    assert await client.call("echo", ("a", "b")) == ["a", "b"]


@row(PYTHON, '`await sio.emit("x", data, callback=f)`')
async def emit_callback(w: World) -> None:
    client = await w.connect()
    answers: list[Any] = []

    async def called(answer: Any) -> None:
        answers.append(answer)

    client.emit("echo", 1, ack=called)
    await settle()
    assert answers == [1]


@row(PYTHON, '`await sio.call("x", data, timeout=5)`')
async def call(w: World) -> None:
    client = await w.connect()
    assert await client.call("echo", 1, timeout=5) == 1
    with pytest.raises(AckTimeoutError):
        await w.run(client.call("missing", timeout=5))


@row(PYTHON, "`await sio.wait()`")
async def wait(w: World) -> None:
    client = await w.connect()
    waiting = asyncio.ensure_future(client.wait())
    await settle()
    assert not waiting.done()
    w.io.disconnect_sockets()
    await w.run(waiting)


@row(PYTHON, "`await sio.disconnect()`")
async def close(w: World) -> None:
    client = await w.connect()
    await client.close()
    assert not w.io.engine.sessions


@row(PYTHON, '`sio.sid`, `sio.get_sid("/a")`')
async def ids(w: World) -> None:
    client = await w.connect()
    await client.of("/a").connect()
    assert client.id in w.io.sockets
    assert client.of("/a").id in w.io.of("/a").sockets


@row(PYTHON, "`sio.transport()`")
async def transport_name(w: World) -> None:
    client = await w.connect(upgrade=False)
    assert client.transport == "polling"


@row(PYTHON, "`ssl_verify=False`")
async def tls(w: World) -> None:
    AsyncClient("https://a", tls=ClientTls(verify=False))
    with pytest.raises(TypeError, match="ClientTls"):
        w.client(ssl_verify=False)


@row(PYTHON, "`socketio.AsyncSimpleClient()` and `await sio.receive()`")
async def receive(w: World) -> None:
    client = await w.connect()
    w.io.on("go", lambda socket: socket.emit("x", 1, 2))
    events = client.events()
    client.emit("go")
    async for name, *args in events:
        assert (name, args) == ("x", [1, 2])
        break


@row(PYTHON, "an event is lost without a connection")
async def buffered(w: World) -> None:
    received: list[Any] = []
    w.io.on("x", lambda socket, value: received.append(value))
    client = w.client()
    client.emit("x", 1)
    await client.connect()
    await settle()
    assert received == [1]


@row(NODE, "`io(url)`")
async def start(w: World) -> None:
    client = w.client()
    client.start()
    await settle()
    assert client.connected


@row(NODE, "`io(url, { auth: (done) => done({ token }) })`")
async def auth_function(w: World) -> None:
    async def later() -> dict[str, str]:
        return {"token": "b"}

    await w.connect(auth=lambda: {"token": "a"})
    await w.connect(auth=later)
    assert [s.handshake.auth["token"] for s in w.io.sockets.values()] == ["a", "b"]


@row(NODE, "`io(url, { reconnectionDelayMax: 10000 })`")
async def delay(w: World) -> None:
    assert w.client(reconnection_delay_max=10).manager.options.reconnection_delay_max == 10
    with pytest.raises(TypeError, match="reconnection_delay_max"):
        w.client(reconnectionDelayMax=10)


@row(NODE, '`io(url + "/admin")`')
async def namespace_of_url(w: World) -> None:
    client = await w.connect("/admin")
    assert client.main.namespace == "/admin"
    other = await w.connect()
    await other.of("/admin").connect()
    assert len(w.io.engine.sessions) == 2


@row(NODE, '`socket.on("x", (data, callback) => callback(data))`')
async def handler_ack(w: World) -> None:
    client = await w.connect()

    @client.on("x")
    def x(data: int) -> int:
        return data

    (socket,) = w.io.sockets.values()
    assert await socket.emit_with_ack("x", 1) == 1


@row(NODE, '`socket.timeout(5000).emit("x", (err, answer) => ...)`')
async def timeout(w: World) -> None:
    client = await w.connect()
    answers: list[Any] = []

    def f(error: Any, answer: Any = None) -> None:
        answers.append((error, answer))

    client.timeout(5).emit("echo", 1, ack=f)
    await settle()
    client.timeout(5).emit("missing", ack=f)
    await w.advance(5.1)
    assert answers[0] == (None, 1)
    assert isinstance(answers[1][0], AckTimeoutError)


@row(NODE, '`await socket.emitWithAck("x")`')
async def emit_with_ack(w: World) -> None:
    client = await w.connect()
    assert await client.emit_with_ack("echo", 1, 2) == 1


@row(NODE, '`socket.volatile.emit("x")`')
async def volatile(w: World) -> None:
    client = await w.connect()
    client.emit("x")
    client.volatile.emit("x")
    assert not client.manager.is_writable


@row(NODE, '`socket.io.on("reconnect_attempt", f)`')
async def reconnect_attempt(w: World) -> None:
    client = await w.connect(randomization_factor=0)
    attempts: list[int] = []
    client.manager.on("reconnect_attempt", attempts.append)
    w.network.cut()
    await w.advance(1.1)
    assert attempts == [1]


@row(NODE, "`socket.recovered`")
async def recovered(w: World) -> None:
    client = await w.connect()
    assert client.recovered is False


@row(NODE, "`socket.disconnect()`")
async def disconnect(w: World) -> None:
    client = await w.connect()
    await client.of("/a").connect()
    client.main.disconnect()
    await settle()
    assert client.of("/a").connected


async def test_failed_connection_of_the_guide_has_its_cause(unused_tcp_port: int) -> None:
    client = AsyncClient(f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(ConnectionFailedError) as caught:
        await client.connect()
    assert caught.value.status is None
    assert isinstance(caught.value.__cause__, OSError)
    await client.close()


# -- the tables


@pytest.mark.parametrize(("heading", "checks"), SECTIONS, ids=["python-socketio", "node"])
def test_each_row_has_a_check_and_each_check_a_row(heading: str, checks: dict[str, Check]) -> None:
    cells = [cells[0] for cells in read_rows("client.md", heading)]
    assert len(set(cells)) == len(cells)
    assert set(cells) == set(checks)


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, id=f"{heading.rpartition(' ')[2]}: {text}")
        for heading, table in SECTIONS
        for text, check in table.items()
    ],
)
async def test_row_is_true(check: Check) -> None:
    created = World()
    created.io.on("echo", lambda socket, *args: args)
    created.io.of("/a")
    created.io.of("/admin")
    await check(created)
    await created.end()
