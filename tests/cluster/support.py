"""Processes of a mixed cluster, and official clients that a test drives."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PATIENCE = 300.0


def node_program() -> str:
    """Return the path of Node. Raises FileNotFoundError without it or without the packages."""
    node = shutil.which("node")
    packages = [HERE / "node_modules" / name for name in ("socket.io", "socket.io-client-2")]
    if node is None or not all(package.is_dir() for package in packages):
        raise FileNotFoundError("the Node packages of tests/cluster are missing: run make setup")
    return node


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a process with pipes, and kill it at the end."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, limit=16 * 1024 * 1024
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def start_server(stack: AsyncExitStack, *command: str) -> str:
    """Start a server of the cluster and return its URL."""
    _, url = await start_process(stack, *command)
    return url


async def start_process(
    stack: AsyncExitStack, *command: str
) -> tuple[asyncio.subprocess.Process, str]:
    """Start a server of the cluster and return its process and its URL."""
    process = await stack.enter_async_context(running(*command))
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        line = (await process.stdout.readline()).decode()
    assert "listens on" in line, f"{command}: {line!r}"
    return process, line.split()[-1]


def python_node(*options: str) -> tuple[str, ...]:
    """Return the command of examples/cluster_node.py."""
    return (sys.executable, "examples/cluster_node.py", *options)


def node_node(*options: str) -> tuple[str, ...]:
    """Return the command of cluster_node.js."""
    return (node_program(), str(HERE / "cluster_node.js"), *options)


class Clients:
    """Official clients in one Node process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ids = count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reader = asyncio.create_task(self._read())
        self.ids: dict[str, str] = {}

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            answer = json.loads(line)
            future = self._waiting.pop(answer["id"])
            if "error" in answer:
                future.set_exception(RuntimeError(answer["error"]))
            else:
                future.set_result(decode(answer["result"]))

    async def _do(self, action: str, client: str, **values: Any) -> Any:
        number = next(self._ids)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        line = json.dumps({"id": number, "do": action, "client": client, **encode(values)})
        self._process.stdin.write(line.encode() + b"\n")
        async with asyncio.timeout(PATIENCE):
            return await future

    async def connect(self, client: str, url: str, namespace: str = "/", **values: Any) -> str:
        """Connect a client and return its socket id."""
        self.ids[client] = await self._do(
            "connect", client, url=url, namespace=namespace, auth={"name": client}, **values
        )
        return self.ids[client]

    async def ask(self, client: str, event: str, *args: Any) -> Any:
        """Send an event to the server of a client and return the ack."""
        return await self._do("ask", client, event=event, args=list(args))

    async def events(self, client: str) -> list[list[Any]]:
        """Return the events that a client has received since the last call."""
        found: list[list[Any]] = await self._do("events", client)
        return found

    async def state(self, client: str) -> dict[str, Any]:
        """Return the id of a client, and whether it is connected and was recovered."""
        found: dict[str, Any] = await self._do("state", client)
        return found

    async def close(self, client: str) -> None:
        """Disconnect a client from its server."""
        await self._do("close", client)

    async def use_emitter(self, redis: str, *calls: list[Any]) -> None:
        """Run a chain of calls, `[method, *args]`, on an official emitter."""
        await self._do("emitter", redis, calls=list(calls))

    async def events_until(self, client: str, last: str) -> list[list[Any]]:
        """Return the events of a client up to one with this name, which is left out."""
        found: list[list[Any]] = []

        async def is_last() -> bool:
            found.extend(await self.events(client))
            return any(event[0] == last for event in found)

        await until(is_last)
        return [event for event in found if event[0] != last]


async def until(condition: Callable[[], Any]) -> Any:
    """Wait until an asynchronous condition holds, and return its value."""
    end = time.monotonic() + PATIENCE
    while True:
        value = await condition()
        if value:
            return value
        assert time.monotonic() < end, "the condition did not hold in time"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def clients() -> AsyncIterator[Clients]:
    """Run the process of the official clients."""
    async with running(node_program(), str(HERE / "cluster_client.js")) as process:
        driver = Clients(process)
        try:
            yield driver
        finally:
            driver._reader.cancel()


def encode(value: Any) -> Any:
    """Return a value with its bytes as `{"$bytes": base64}`."""
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    return value


def decode(value: Any) -> Any:
    """Return a value whose bytes were encoded by `encode`."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict):
        if "$bytes" in value:
            return base64.b64decode(value["$bytes"])
        return {key: decode(item) for key, item in value.items()}
    return value
