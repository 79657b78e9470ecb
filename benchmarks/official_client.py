"""A work that the official JavaScript client does, in a process of its own.

Knows: what `official_client.js` says.  Does not know: the wire, what is compared.
"""

from __future__ import annotations

import asyncio
import json
from typing import Literal

from .peers import BENCHMARKS, Server
from .websocket_client import ServerFailed
from .workloads import Sample

PATIENCE = 30.0


class OfficialClient:
    """`echo` (8 in flight), `msg` (in bursts) or `bcast`, by clients of socket.io-client."""

    def __init__(self, work: Literal["echo", "msg", "bcast"], connections: int) -> None:
        self._work = work
        self._connections = connections
        self._process: asyncio.subprocess.Process | None = None

    async def prepare(self, server: Server) -> None:
        """Start the clients."""
        self._process = await asyncio.create_subprocess_exec(
            "node", str(BENCHMARKS / "official_client.js"),
            str(server.port), self._work, str(self._connections),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await self._hear("ready")

    async def measure(self, server: Server, seconds: float) -> Sample:
        """Let them work for that long."""
        process = self._process
        assert process is not None, "it is prepared"
        assert process.stdin is not None, "it is a pipe"
        process.stdin.write(b"run %f\n" % seconds)
        await self._hear("began")
        cpu = server.cpu_seconds()
        result = json.loads((await self._hear("ended")).partition(" ")[2])
        cpu = server.cpu_seconds() - cpu
        await self._hear("idle")
        if not result["messages"]:
            raise ServerFailed("nothing was answered")
        return Sample(result["messages"], result["seconds"], cpu, result["p50"], result["p99"])

    async def _hear(self, word: str) -> str:
        assert self._process is not None, "it is prepared"
        assert self._process.stdout is not None, "it is a pipe"
        async with asyncio.timeout(PATIENCE):
            line = (await self._process.stdout.readline()).decode().strip()
        if not line.startswith(word):
            raise ServerFailed(f"the official client said {line!r} instead of {word!r}")
        return line

    async def finish(self) -> None:
        """End the clients."""
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
            try:
                async with asyncio.timeout(PATIENCE):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
