"""Workload that the official JavaScript client generates, in a process of its own.

The module runs `official_client.js` and reads its output. The script contains the loops.
"""

from __future__ import annotations

import asyncio
import json
from typing import Literal

from .peers import BENCHMARKS
from .websocket_client import ServerFailedError
from .workloads import Sample, Target

LINE_TIMEOUT = 30.0


class OfficialClient:
    """The workload `echo` (8 in flight), `msg` (in bursts) or `bcast`, sent by socket.io-client."""

    def __init__(self, workload: Literal["echo", "msg", "bcast"], connections: int) -> None:
        self._workload = workload
        self._connections = connections
        self._process: asyncio.subprocess.Process | None = None

    async def prepare(self, server: Target) -> None:
        """Start the clients and wait until they are connected."""
        self._process = await asyncio.create_subprocess_exec(
            "node", str(BENCHMARKS / "official_client.js"),
            str(server.port), self._workload, str(self._connections),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await self._read_line("ready")

    async def measure(self, server: Target, seconds: float) -> Sample:
        """Run the clients for the given time and return the sample of the run."""
        process = self._process
        assert process is not None, "prepare starts the process"
        assert process.stdin is not None, "stdin is a pipe"
        process.stdin.write(b"run %f\n" % seconds)
        await self._read_line("began")
        cpu = server.cpu_seconds()
        result = json.loads((await self._read_line("ended")).partition(" ")[2])
        cpu = server.cpu_seconds() - cpu
        await self._read_line("idle")
        if not result["messages"]:
            raise ServerFailedError("the server answered no message")
        return Sample(result["messages"], result["seconds"], cpu, result["p50"], result["p99"])

    async def _read_line(self, word: str) -> str:
        """Return the next line, which must begin with `word`. Raises ServerFailedError."""
        assert self._process is not None, "prepare starts the process"
        assert self._process.stdout is not None, "stdout is a pipe"
        async with asyncio.timeout(LINE_TIMEOUT):
            line = (await self._process.stdout.readline()).decode().strip()
        if not line.startswith(word):
            raise ServerFailedError(f"the official client printed {line!r} instead of {word!r}")
        return line

    async def finish(self) -> None:
        """Close the input of the clients and wait until their process ends."""
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
            try:
                async with asyncio.timeout(LINE_TIMEOUT):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
