"""AsyncClient through 50 lost connections: each of 1,000 events arrives once, in both directions.

The server recovers the session of the client, and the client sends its events until they are
acknowledged. The handler of the server ignores repeated numbers.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from socketio_core.client import AsyncClient

from .cutting_proxy import CuttingProxy, Ending

HERE = Path(__file__).parent
SEED = int(os.environ.get("SEED", "20261128"))
EVENTS = 1000
CUTS = 50
LIMIT = 300.0


class Server:
    """A counting server in a process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.port = port

    async def report(self) -> dict[str, Any]:
        """Return the numbers that the server has received and sent."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        report: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return report


@asynccontextmanager
async def counting_server(name: str) -> AsyncIterator[Server]:
    """Run the counting server of this project or of Node."""
    if name == "node":
        node = shutil.which("node")
        if node is None or not (HERE.parent / "targets/node_modules/socket.io").is_dir():
            pytest.fail("Node or its packages are missing, but this test needs them: make peers")
        command = [node, str(HERE / "counting_server.js")]
    else:
        command = [sys.executable, str(HERE / "counting_server.py")]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
        cwd=HERE.parents[1],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Server(process, json.loads(await process.stdout.readline())["port"])
    finally:
        process.stdin.close()
        await process.wait()


@pytest.mark.parametrize("transports", ["polling", "websocket", "polling,websocket"])
@pytest.mark.parametrize("name", ["ours", pytest.param("node", marks=pytest.mark.node)])
async def test_all_events_arrive_once_after_many_lost_connections(
    name: str, transports: str
) -> None:
    print(f"SEED={SEED}")
    # Node cannot restore a session whose lost connection it has not noticed yet.
    endings = list(Ending) if name == "ours" else [Ending.FIN, Ending.RST]
    async with asyncio.timeout(LIMIT), counting_server(name) as server, AsyncExitStack() as stack:
        proxy = CuttingProxy(server.port)
        url = f"http://127.0.0.1:{await proxy.listen()}"
        stack.push_async_callback(proxy.close)
        client = AsyncClient(
            url,
            transports=transports.split(","),
            reconnection_delay=0.01,
            reconnection_delay_max=0.03,
            retries=CUTS * 10,
            ack_timeout=5,
        )
        stack.push_async_callback(client.close)
        numbers: list[int] = []
        acked: list[Any] = []
        recovered: list[bool] = []
        everything = asyncio.Event()

        @client.on("number")
        def number(value: int) -> None:
            numbers.append(value)
            if value == EVENTS:
                everything.set()

        client.on("connect", lambda: recovered.append(client.recovered))
        await client.connect()
        await client.call("count")
        while not numbers:  # noqa: ASYNC110 - Node cannot restore a session without an offset
            await asyncio.sleep(0.005)

        async def send() -> None:
            for value in range(1, EVENTS + 1):
                client.emit("up", value, ack=lambda error, answer=None: acked.append(answer))
                await asyncio.sleep(0.006)

        cutting = proxy.cut_often(
            random.Random(SEED), endings, CUTS, lambda: len(recovered) > CUTS / 10
        )
        await asyncio.gather(send(), cutting)
        await everything.wait()
        while len(acked) < EVENTS:  # noqa: ASYNC110 - the server acknowledges the last events
            await asyncio.sleep(0.005)
        report = await server.report()
    expected = list(range(1, EVENTS + 1))
    assert numbers == expected
    assert report["applied"] == expected
    assert acked == expected
    assert proxy.cuts >= CUTS
    assert len(recovered) > CUTS / 10
    assert recovered == [False] + [True] * (len(recovered) - 1)
