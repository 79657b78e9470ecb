"""The tables of habits on the migration pages hold for the other servers and for this one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import websockets

from socketio_core import AckTimeoutError, ConnectError, Cors, Socket, SocketServer, event
from socketio_core.testing import TestServer, settle
from tests.docs.tables import read_rows
from tests.docs.test_migration_pairs import connecting, serving_node, serving_ours, serving_python
from tests.helpers.waiting import PATIENT

NODE, PYTHON = "migration-node.md", "migration-python-socketio.md"
HEADING = "Habits that open or close a server"
#: The other server and this one: True if the habit leaves it open.
Habit = Callable[[], Awaitable[tuple[bool | None, bool]]]
HABITS: dict[tuple[str, str], Habit] = {}
FOREIGN = {"origin": "https://other.example"}


def habit(page: str, beginning: str) -> Callable[[Habit], Habit]:
    """Register the check of the row whose first cell begins with a text."""

    def register(check: Habit) -> Habit:
        HABITS[page, beginning] = check
        return check

    return register


async def can_connect(url: str, namespace: str = "/", wait: float = 60) -> bool:
    """Return whether a client can connect to a namespace."""
    async with connecting(url) as connect:
        try:
            await asyncio.wait_for(connect(namespace), wait)
        except (ConnectError, TimeoutError):
            return False
        return True


async def accepts(io: SocketServer, *namespaces: str) -> bool:
    """Return whether this server accepts a client in all these namespaces."""
    async with TestServer(io) as server:
        for name in namespaces or ("/",):
            try:
                await server.connect(name)
            except ConnectError:
                return False
    return True


async def accepts_foreign_pages(url: str) -> bool:
    """Return whether a server accepts a WebSocket of another origin."""
    address = url.replace("http:", "ws:") + "/socket.io/?EIO=4&transport=websocket"
    try:
        async with websockets.connect(address, additional_headers=FOREIGN, **PATIENT):
            return True
    except websockets.InvalidStatus:
        return False


@habit(NODE, "a middleware ends without")
async def node_next() -> tuple[bool, bool]:
    async with serving_node("io.use(() => {})") as url:
        other = await can_connect(url, wait=0.5)
    io = SocketServer()
    io.use(lambda socket: None)
    return other, await accepts(io)


@habit(NODE, "a middleware returns an error")
async def node_return_error() -> tuple[bool, bool]:
    async with serving_node('io.use(() => new Error("no"))') as url:
        other = await can_connect(url, wait=0.5)
    io = SocketServer()
    io.use(lambda socket: ConnectError("no"))  # type: ignore[arg-type,return-value]
    return other, await accepts(io)


@habit(NODE, "`allowRequest`, or a middleware of")
async def node_allow_request() -> tuple[bool, bool]:
    others = []
    for code in ("io.engine.opts.allowRequest = () => {};", "io.engine.use(() => {});"):
        async with serving_node(code) as url:
            others.append(await can_connect(url, wait=0.5))
    code = (
        "from socketio_core import SocketServer\n"
        "io = SocketServer(allow_request=lambda request: None)\n"
        "io.engine.use(lambda request: None)"
    )
    async with serving_ours(code) as url:
        return any(others), await can_connect(url)


@habit(NODE, '`io.on("x", f)` for an event that other')
async def node_server_event() -> tuple[bool, bool]:
    async with serving_node('io.on("x", (callback) => callback("reached"));') as url:
        other = await reaches_handler(url)
    code = "from socketio_core import SocketServer\nio = SocketServer()\n"
    async with serving_ours(f'{code}io.on_server_event("x", lambda: "reached")') as url:
        assert not await reaches_handler(url)
    async with serving_ours(f'{code}io.on("x", lambda socket: "reached")') as url:
        return other, await reaches_handler(url, wait=60)


async def reaches_handler(url: str, wait: float = 0.5) -> bool:
    """Return whether an event of a client reaches the handler of `x`."""
    async with connecting(url) as connect:
        try:
            return bool(await (await connect()).call("x", timeout=wait) == "reached")
        except AckTimeoutError:
            return False


@habit(NODE, "a middleware throws")
async def node_throw() -> tuple[None, bool]:
    io = SocketServer()
    io.use(lambda socket: socket.handshake.auth["missing"])
    return None, await accepts(io)


@habit(NODE, "a check in the `connection` handler")
async def node_connection() -> tuple[bool, bool]:
    async with serving_node('io.on("connection", (socket) => socket.disconnect())') as url:
        other = await can_connect(url)
    io = SocketServer()
    io.on("connection", lambda socket: socket.disconnect())
    return other, await accepts(io)


@habit(NODE, "a middleware of `/`")
async def node_main_middleware() -> tuple[bool, bool]:
    code = 'io.use((socket, next) => next(new Error("no"))); io.of("/admin");'
    async with serving_node(code) as url:
        other = await can_connect(url, "/admin")
    return other, await accepts(with_main_middleware(), "/admin")


def with_main_middleware() -> SocketServer:
    """Return a server that refuses all clients of its main namespace."""
    io = SocketServer()
    io.use(lambda socket: False)
    io.of("/admin")
    return io


@habit(NODE, "a check of `auth` in")
async def node_function() -> tuple[bool, bool]:
    code = "let calls = 0; io.of((name, auth, next) => next(null, calls++ === 0));"
    async with serving_node(code) as url, connecting(url) as connect:
        await connect("/a")
        other = (await connect("/a")).connected
    calls: list[str] = []

    def is_first(name: str, auth: dict[str, Any]) -> bool:
        calls.append(name)
        return len(calls) == 1

    io = SocketServer()
    io.of(is_first)
    return other, await accepts(io, "/a", "/a")


@habit(NODE, "a handler uses an argument")
async def node_argument() -> tuple[bool, bool]:
    code = 'io.on("connection", (s) => s.on("x", (value, callback) => callback(typeof value)))'
    async with serving_node(code) as url, connecting(url) as connect:
        other = await (await connect()).call("x", 7) == "number"
    return other, await is_argument_unchecked()


async def is_argument_unchecked() -> bool:
    """Return whether a handler without annotations receives any value; one with refuses some."""
    io = SocketServer()
    io.on("x", lambda socket, value: type(value).__name__)

    @io.on("y")
    def annotated(socket: Socket, value: str) -> str:
        return value

    async with TestServer(io) as server:
        client = await server.connect()
        assert (await client.emit_with_ack("y", 7))["code"] == "VALIDATION_ERROR"
        return bool(await client.emit_with_ack("x", 7) == "int")


@habit(NODE, "`io.to(rooms)` with an empty list")
async def node_empty_list() -> tuple[bool, bool]:
    code = 'io.on("connection", (socket) => socket.on("x", () => io.to([]).emit("y")))'
    async with serving_node(code) as url, connecting(url) as connect:
        client = await connect()
        received = asyncio.Event()
        client.on("y", received.set)
        client.emit("x")
        await received.wait()
    with pytest.raises(ValueError, match="room"):
        SocketServer().to([])
    return True, False


@habit(NODE, "a pattern without")
async def node_pattern() -> tuple[bool, bool]:
    async with serving_node(r"io.of(/\/org-\d+/)") as url:
        other = await can_connect(url, "/org-1-other")
    io = SocketServer()
    io.of(re.compile(r"/org-\d+"))
    return other, await accepts(io, "/org-1-other")


@habit(NODE, "no option `cors`")
async def node_cors() -> tuple[bool, bool]:
    async with serving_node("") as url:
        other = await accepts_foreign_pages(url)
    return other, await is_open_without_cors()


async def is_open_without_cors() -> bool:
    """Return whether this server accepts foreign pages by default; with `cors`, it must not."""
    code = "from socketio_core import Cors, SocketServer\n"
    async with serving_ours(f"{code}io = SocketServer(cors=Cors(origins=[]))") as url:
        assert not await accepts_foreign_pages(url)
    async with serving_ours(f"{code}io = SocketServer()") as url:
        return await accepts_foreign_pages(url)


@habit(NODE, '`cors: { origin: "*", credentials')
async def node_any_origin() -> tuple[None, bool]:
    with pytest.raises(ValueError, match="credentials"):
        SocketServer(cors=Cors(origins="*", credentials=True))
    return None, False


SIO = "import socketio\nsio = socketio.AsyncServer()\n"


@habit(PYTHON, "the default of `cors_allowed_origins`")
async def python_cors() -> tuple[bool, bool]:
    async with serving_python(SIO) as url:
        other = await accepts_foreign_pages(url)
    return other, await is_open_without_cors()


@habit(PYTHON, "a check in the `connect` handler")
async def python_connect() -> tuple[bool, bool]:
    code = "@sio.event\nasync def connect(sid, environ):\n    raise ConnectionRefusedError('no')\n"
    async with serving_python(SIO + code) as url:
        other = await can_connect(url)
    io = SocketServer()

    @io.on("connection")
    def connected(socket: Socket) -> None:
        raise RuntimeError("no")

    async with TestServer(io) as server:
        client = await server.connect()
        await settle()
        return other, client.connected


@habit(PYTHON, "`return False` for")
async def python_false() -> tuple[bool, bool]:
    code = "@sio.event\nasync def connect(sid, environ):\n    return False\n"
    async with serving_python(SIO + code) as url:
        other = await can_connect(url)
    io = SocketServer()
    io.use(lambda socket: False)
    return other, await accepts(io)


@habit(PYTHON, "a check that returns None")
async def python_none() -> tuple[bool, bool]:
    async with serving_python(f"{SIO}@sio.event\nasync def connect(sid, environ): pass\n") as url:
        other = await can_connect(url)
    io = SocketServer()
    io.use(lambda socket: None)
    return other, await accepts(io)


@habit(PYTHON, "a check in the method `on_connect`")
async def python_on_connect() -> tuple[bool, bool]:
    code = (
        "class Chat(socketio.AsyncNamespace):\n    async def on_connect(self, sid, environ):\n"
        "        return False\nsio.register_namespace(Chat('/chat'))\n"
    )
    async with serving_python(SIO + code) as url:
        other = await can_connect(url, "/chat")

    class Chat:
        def on_connect(self, sid: str, environ: dict[str, Any]) -> bool:
            return False

        @event("say")
        def say(self, socket: Socket) -> None:
            pass

    with pytest.raises(TypeError, match="on_connect has no mark"):
        SocketServer().of("/chat").register(Chat())
    return other, False


@habit(PYTHON, "a check in `/` for all")
async def python_main_connect() -> tuple[bool, bool]:
    code = (
        "@sio.event\nasync def connect(sid, environ):\n    return False\n"
        "@sio.on('x', namespace='/admin')\nasync def x(sid): pass\n"
    )
    async with serving_python(SIO + code) as url:
        other = await can_connect(url, "/admin")
    return other, await accepts(with_main_middleware(), "/admin")


@habit(PYTHON, "`to=recipient` with")
async def python_to_none() -> tuple[bool, bool]:
    code = "@sio.event\nasync def x(sid):\n    await sio.emit('y', to=None)\n"
    async with serving_python(SIO + code) as url, connecting(url) as connect:
        first, second = await connect(), await connect()
        received = asyncio.Event()
        second.on("y", received.set)
        first.emit("x")
        await received.wait()
    with pytest.raises(TypeError):
        SocketServer().to(None)  # type: ignore[arg-type]
    return True, False


@habit(PYTHON, "a handler uses an argument")
async def python_argument() -> tuple[bool, bool]:
    code = "@sio.event\nasync def x(sid, value):\n    return type(value).__name__\n"
    async with serving_python(SIO + code) as url, connecting(url) as connect:
        other = await (await connect()).call("x", 7) == "int"
    return other, await is_argument_unchecked()


@habit(PYTHON, "a handler raises")
async def python_raise() -> tuple[bool, bool]:
    code = "@sio.event\nasync def x(sid):\n    raise RuntimeError('internal')\n"
    async with serving_python(SIO + code) as url, connecting(url) as connect:
        with pytest.raises(AckTimeoutError):
            await (await connect()).call("x", timeout=0.5)
    io = SocketServer()
    io.on("x", lambda socket: 1 / 0)
    async with TestServer(io) as server:
        answer = await (await server.connect()).emit_with_ack("x")
        assert answer["code"] == "HANDLER_ERROR"
        assert "division" not in answer["error"]
    return False, False


def rows() -> list[tuple[str, list[str]]]:
    """Return the rows of both tables with their pages."""
    return [(page, cells) for page in (NODE, PYTHON) for cells in read_rows(page, HEADING)]


@pytest.mark.node
@pytest.mark.interop
@pytest.mark.parametrize(("page", "cells"), rows(), ids=lambda value: str(value)[:60])
async def test_habit_has_the_documented_effect(page: str, cells: list[str]) -> None:
    (check,) = [
        check for key, check in HABITS.items() if key[0] == page and cells[0].startswith(key[1])
    ]
    async with asyncio.timeout(300):
        results = await check()
    for cell, is_open in zip(cells[1:], results, strict=True):
        if re.match(r"\**(open|closed)", cell) and is_open is not None:
            assert ("open" in cell[:6]) == is_open, cell


def test_every_check_of_a_habit_has_a_row() -> None:
    assert len(HABITS) == len(rows())
