"""The pairs of code on the migration pages have the same effect on both servers."""

from __future__ import annotations

import asyncio
import inspect
import re
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import socketio
from aiohttp import web

from socketio_core import ConnectError, SocketServer
from socketio_core.client import AsyncClient, ClientSocket
from tests.docs.blocks import ROOT
from tests.interop.support import find_node

NODE = ROOT / "docs" / "migration-node.md"
PYTHON = ROOT / "docs" / "migration-python-socketio.md"
PAIR = re.compile(
    r"^### ([^\n]+)\n(?:(?!^###).)*?^```(?:js|python)\n(.*?)^```\n\n^```python\n(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
#: Connects a client: `connect(namespace="/", auth=None)`.
Connect = Callable[..., Awaitable[ClientSocket]]
#: Uses a server, and returns the values that clients observed.
Scenario = Callable[[Connect], Awaitable[Any]]
SCENARIOS: dict[str, tuple[Scenario, Any]] = {}


def pairs(page: Path) -> dict[str, tuple[str, str]]:
    """Return the pairs of a page by their titles: the other server's code, and ours."""
    text = page.read_text("utf-8").partition("## Side by side\n")[2].partition("\n## ")[0]
    return {title: (theirs, ours) for title, theirs, ours in PAIR.findall(text)}


def setup_of(page: Path) -> str:
    """Return the imports and servers of the pairs of a page."""
    text = page.read_text("utf-8").partition("## Side by side\n")[2]
    found = re.search(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def scenario(title: str, expected: Any) -> Callable[[Scenario], Scenario]:
    """Register the scenario of the pairs with a title, and the observed values."""

    def register(function: Scenario) -> Scenario:
        SCENARIOS[title] = function, expected
        return function

    return register


async def event_of(client: ClientSocket, name: str) -> list[Any]:
    """Return the arguments of the next event of a client."""
    received: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
    client.once(name, lambda *args: received.set_result(list(args)))
    return await received


@scenario("Log in clients", [True, "Unauthorized", "Unauthorized"])
async def log_in(connect: Connect) -> list[Any]:
    results: list[Any] = [(await connect(auth={"token": "secret"})).connected]
    for auth in ({"token": "wrong"}, None):
        with pytest.raises(ConnectError) as refused:
            await connect(auth=auth)
        results.append(str(refused.value))
    return results


@scenario("Answer events", [3, "VALIDATION_ERROR"])
async def answer(connect: Connect) -> list[Any]:
    client = await connect()
    refused = await client.call("add", "1", 2)
    return [await client.call("add", 1, 2), refused["code"]]


@scenario("Use rooms", ["a"])
async def rooms(connect: Connect) -> list[Any]:
    first, second = await connect(), await connect()
    await first.call("join", "a")
    joined = asyncio.ensure_future(event_of(first, "joined"))
    await asyncio.sleep(0)
    await second.call("join", "b")
    await second.call("join", "a")
    return await joined


@scenario("Protect a namespace", [True, "Forbidden"])
async def namespace(connect: Connect) -> list[Any]:
    admin = await connect("/admin", auth={"role": "admin"})
    with pytest.raises(ConnectError) as refused:
        await connect("/admin", auth={"role": "user"})
    return [admin.connected, str(refused.value)]


@scenario("Request an answer of a client", "the client answered yes")
async def request(connect: Connect) -> Any:
    client = await connect()
    client.on("confirm", lambda question: "yes")
    return await client.call("start")


@scenario("Collect the answers of a room", 1)
async def collect(connect: Connect) -> Any:
    first, second = await connect(), await connect()
    first.on("question", lambda: "yes")
    waiting = asyncio.get_running_loop().create_future()

    @second.on("question")
    async def never() -> None:
        await waiting

    votes = await first.call("vote")
    waiting.cancel()
    return votes


@scenario("Check each event of a socket", "done")
async def check_event(connect: Connect) -> Any:
    client = await connect()
    client.emit("forbidden")
    return await client.call("allowed")


@scenario("Notice that a client leaves", 1)
async def leave(connect: Connect) -> Any:
    first, second = await connect(), await connect()
    left = asyncio.ensure_future(event_of(first, "left"))
    await asyncio.sleep(0)
    second.disconnect()
    return len(await left)


@scenario("Write a namespace as a class", [5, ["hello"]])
async def namespace_class(connect: Connect) -> list[Any]:
    client = await connect("/chat")
    said = asyncio.ensure_future(event_of(client, "said"))
    await asyncio.sleep(0)
    return [await client.call("say", "hello"), await said]


@scenario("Keep data of a client", "hello Ada")
async def data(connect: Connect) -> Any:
    client = await connect()
    await client.call("name", "Ada")
    return await client.call("greet")


@scenario("Handle events without a handler", "unknown event nothing")
async def unhandled(connect: Connect) -> Any:
    return await (await connect()).call("nothing", 1)


# -- servers


@asynccontextmanager
async def connecting(url: str) -> AsyncIterator[Connect]:
    """Return a function that connects clients; the end closes them."""
    async with AsyncExitStack() as stack:

        async def connect(namespace: str = "/", auth: Any = None) -> ClientSocket:
            client = AsyncClient(url, auth=auth, reconnection=False)
            stack.push_async_callback(client.close)
            socket = client.of(namespace, auth=auth) if namespace != "/" else client.main
            await socket.connect()
            return socket

        yield connect


@asynccontextmanager
async def serving_ours(code: str) -> AsyncIterator[str]:
    """Serve code of a page, whose server is `io`."""
    names: dict[str, Any] = {"__name__": "pair"}
    exec(compile(code, "pair", "exec", dont_inherit=True), names)
    io: SocketServer = names["io"]
    async with io:
        listener = await io.listen("127.0.0.1", 0)
        yield f"http://127.0.0.1:{listener.port}"


@asynccontextmanager
async def serving_python(code: str) -> AsyncIterator[str]:
    """Serve code of a page with python-socketio, whose server is `sio`."""
    names: dict[str, Any] = {"__name__": "pair"}
    exec(compile(code, "pair", "exec", dont_inherit=True), names)
    application = web.Application()
    names["sio"].attach(application)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}"
        await names["sio"].shutdown()
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving_node(code: str) -> AsyncIterator[str]:
    """Serve code of a page with socket.io on Node, whose server is `io`."""
    script = ROOT / "tests" / "interop" / "pair_server.js"
    process = await asyncio.create_subprocess_exec(
        find_node(), script, code, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        yield f"http://127.0.0.1:{int(line)}"
    finally:
        process.stdin.close()
        await process.wait()


async def play(title: str, url: str) -> Any:
    """Play the scenario of a pair on a server."""
    async with asyncio.timeout(300), connecting(url) as connect:
        return await SCENARIOS[title][0](connect)


@pytest.mark.node
@pytest.mark.interop
@pytest.mark.parametrize("title", pairs(NODE))
async def test_pair_has_the_same_effect_on_node(title: str) -> None:
    theirs, ours = pairs(NODE)[title]
    async with serving_node(theirs) as url:
        assert await play(title, url) == SCENARIOS[title][1]
    async with serving_ours(f"{setup_of(NODE)}\n{ours}") as url:
        assert await play(title, url) == SCENARIOS[title][1]


@pytest.mark.interop
@pytest.mark.parametrize("title", pairs(PYTHON))
async def test_pair_has_the_same_effect_with_python_socketio(title: str) -> None:
    theirs, ours = pairs(PYTHON)[title]
    async with serving_python(f"{setup_of(PYTHON)}\n{theirs}") as url:
        assert await play(title, url) == SCENARIOS[title][1]
    async with serving_ours(f"{setup_of(PYTHON)}\n{ours}") as url:
        assert await play(title, url) == SCENARIOS[title][1]


def test_every_pair_has_a_scenario() -> None:
    titles = [*pairs(NODE), *pairs(PYTHON)]
    assert set(titles) == set(SCENARIOS)
    for page in (NODE, PYTHON):
        assert page.read_text("utf-8").count('<div class="pair" markdown>') == len(pairs(page))


# -- completeness of the tables


def methods_of_python_socketio() -> set[str]:
    """Return the public methods of the asynchronous server and of its namespace class."""
    return {
        name
        for kind in (socketio.AsyncServer, socketio.AsyncNamespace)
        for name, _ in inspect.getmembers(kind, callable)
        if not name.startswith("_")
    }


def members_of_node() -> set[str]:
    """Return the public members of the classes of socket.io, from their type declarations."""
    folder = ROOT / "tests" / "cluster" / "node_modules" / "socket.io" / "dist"
    found: set[str] = set()
    for file, kind in (
        ("index", "Server"), ("namespace", "Namespace"), ("socket", "Socket"),
        ("broadcast-operator", "BroadcastOperator"), ("broadcast-operator", "RemoteSocket"),
    ):  # fmt: skip
        text = (folder / f"{file}.d.ts").read_text("utf-8")
        body = re.search(rf"export declare class {kind}\b.*?\n}}", text, re.DOTALL)
        assert body is not None, kind
        code = re.sub(r"/\*.*?\*/", "", body[0], flags=re.DOTALL)
        found |= set(
            re.findall(
                r"^    (?!private|protected)(?:readonly |get |set |static )*([a-z]\w*)[<(:?]",
                code,
                re.MULTILINE,
            )
        )
    return found - {"constructor", "get", "set"}


@pytest.mark.node
@pytest.mark.parametrize(
    ("page", "members"), [(NODE, members_of_node), (PYTHON, methods_of_python_socketio)]
)
def test_table_names_every_public_member(page: Path, members: Callable[[], set[str]]) -> None:
    text = page.read_text("utf-8")
    found = members()
    assert len(found) > 20
    missing = {name for name in found if not re.search(rf"\b{name}\b", text)}
    assert not missing
