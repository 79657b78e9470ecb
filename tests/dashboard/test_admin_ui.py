"""The official admin UI in Chromium: each case of `admin_ui.js` is one test.

The page is the build in the npm package `@socket.io/admin-ui`, served below /admin-ui/ with the
Content-Security-Policy of docs/admin-ui.md.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from socketio_core import BasicAuth, RedisClassic, Socket, SocketServer, instrument
from socketio_core.admin.credentials import load_bcrypt
from socketio_core.client import AsyncClient
from tests.helpers.redis_server import running_redis
from tests.interop.support import LoopThread, serving

from .support import HERE, ROOT, Browser, find_cases

pytestmark = pytest.mark.timeout(900)

SCRIPT = "admin_ui.js"
PAGE = HERE / "node_modules" / "@socket.io" / "admin-ui" / "ui" / "dist"
POLICY = re.findall(
    r'add_header Content-Security-Policy "(.+?)";', (ROOT / "docs" / "admin-ui.md").read_text()
)
CLUSTER = "an admin of one server sees and disconnects the clients of another"
OPTIONS: dict[str, dict[str, Any]] = {
    "a read-only server shows no buttons": {"read_only": True},
    "production mode shows statistics only": {"mode": "production"},
}


class Page(StaticFiles):
    """The files of the page with the documented policy."""

    def file_response(self, *args: Any, **options: Any) -> Any:
        response = super().file_response(*args, **options)
        response.headers["content-security-policy"] = POLICY[0]
        return response


def make_server(number: int = 0, *, adapter: Any = None, **options: Any) -> SocketServer:
    assert PAGE.is_dir(), f"{PAGE} is missing: run `make setup`"
    io = SocketServer(adapter=adapter)
    io.mount(Starlette(routes=[Mount("/admin-ui", Page(directory=PAGE, html=True))]))
    bcrypt = load_bcrypt()
    hashed = bcrypt.hashpw(b"changeit", bcrypt.gensalt(4)).decode()
    options = {"mode": "development", "server_id": f"server-{number}", **options}
    instrument(io, auth=BasicAuth("admin", hashed), **options)

    @io.on("join")
    async def join(socket: Socket, room: str) -> None:
        await socket.join(room)

    @io.on("rename")
    def rename(socket: Socket, name: str) -> None:
        socket.data["name"] = name
        socket.emit("welcome", name)

    return io


class ClientOfCase:
    """The client of a case, whose methods the case calls."""

    def __init__(self, io: SocketServer, url: str, thread: LoopThread) -> None:
        self._io = io
        self._url = url
        self._thread = thread
        self._client: AsyncClient | None = None
        self._reason: asyncio.Future[str]

    def functions(self) -> dict[str, Any]:
        """Return the functions of a case."""
        return {
            "connect": lambda: self._thread.run(self._connect()),
            "emit": lambda *event: self._thread.run(self._emit(*event)),
            "rooms": lambda: self._thread.run(self._rooms()),
            "reason": lambda: self._thread.run(self._wait()),
            "stop": lambda: self._thread.run(self._io.shutdown()),
        }

    async def _connect(self) -> str:
        client = self._client = AsyncClient(self._url, transports=["websocket"])
        self._reason = asyncio.get_running_loop().create_future()
        reason = self._reason

        @client.on("disconnect")
        def left(why: str, *details: Any) -> None:
            if not reason.done():
                reason.set_result(why)

        await client.connect()
        return client.main.id or ""

    async def _emit(self, *event: Any) -> None:
        assert self._client is not None
        await self._client.call(*event)

    async def _rooms(self) -> list[str]:
        assert self._client is not None
        return sorted(self._io.sockets[self._client.main.id or ""].rooms)

    async def _wait(self) -> str:
        return await self._reason

    async def _close(self) -> None:
        if self._client is not None:
            await self._client.close()

    def close(self) -> None:
        """Close the connection of the client, if there is one."""
        self._thread.run(self._close())


@contextmanager
def running_servers(case: str, folder: Path) -> Iterator[tuple[str, ClientOfCase]]:
    """Run the servers of a case; yield the address of the page, and the client."""
    with ExitStack() as stack:
        adapters: list[Any] = [None]
        if case == CLUSTER:
            redis = stack.enter_context(running_redis(folder))
            adapters = [RedisClassic(redis.url), RedisClassic(redis.url)]
        found = []
        for number, adapter in enumerate(adapters):
            io = make_server(number, adapter=adapter, **OPTIONS.get(case, {}))
            url, thread = stack.enter_context(serving(io))
            found.append((io, url, thread))
        client = ClientOfCase(*found[-1])  # in a cluster, of the server without the admin
        stack.callback(client.close)
        yield found[0][1], client


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[pytest.mark.redis] if case == CLUSTER else [])
        for case in find_cases(SCRIPT)
    ],
)
def test_case_passes_in_chromium(browser: Browser, tmp_path: Path, case: str) -> None:
    with running_servers(case, tmp_path) as (url, client):
        given = {"url": url, "name": "admin", "password": "changeit"}
        browser.run(SCRIPT, case, given, **client.functions())
