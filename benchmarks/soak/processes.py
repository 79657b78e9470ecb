"""Processes of one soak: its servers, two programs with clients, and the measuring client."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.peers import memory_bytes
from benchmarks.soak.kinds import Kind, running_shared
from benchmarks.soak.observation import observe
from benchmarks.soak.series import KEPT, Idle, Record
from socketio_core.client import AsyncClient
from socketio_core.errors import SocketError

ROOT: Final = Path(__file__).parents[2]
_OFFICIAL: Final = ROOT / "benchmarks" / "soak" / "official.js"
_PAUSE: Final = 0.02
_LINE: Final = 1 << 22
_START_PATIENCE: Final = 180.0
_DEADLINES: Final = 12.0
"""Seconds in which all other deadlines of the servers end."""
_SETTLE_CHECKS: Final = 30
_SETTLE_INTERVAL: Final = 1.0
_PATIENCE: Final = 180.0
_STARVED_SHARE: Final = 0.5
"""The share of the wait for an answer in which a starved server has no processor."""


def waiting_seconds(pid: int) -> float:
    """Return how long the main thread of a process has waited for a processor; 0.0 if unknown."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


class _Observed(NamedTuple):
    """A server process and its ports."""

    process: Process
    port: int
    observer: int


class Soak:
    """The servers of one kind and their clients.

    Most clients use the first server; the official ones use the last server.
    """

    def __init__(self, kind: Kind, recovery: float, folder: Path) -> None:
        self.record = Record(kind.name)
        self._kind = kind
        self._stack = ExitStack()
        self._servers: list[_Observed] = []
        self._recovery = recovery
        self._folder = folder
        self._processes: list[Process] = []
        self._clients: list[Process] = []
        self._waits: list[float] = []
        self._measuring: asyncio.Task[None] | None = None
        self._event = ("leave-import-room", 1) if kind.is_hub else ("echo", 1)

    async def __aenter__(self) -> Soak:
        shared = running_shared(self._kind, self._folder)
        url = await asyncio.to_thread(self._stack.enter_context, shared)
        try:
            for _ in range(self._kind.servers):
                await self._start_server(url)
            await self._start_clients()
        except BaseException:
            await self.__aexit__()
            raise
        self._measuring = asyncio.create_task(self._measure())
        return self

    async def _start_server(self, url: str) -> None:
        words = [str(self._recovery), *([url] if url else [])]
        if self._kind.is_hub:
            words.insert(0, str(self._folder))
        module = f"benchmarks.soak.{'hub' if self._kind.is_hub else 'core'}_server"
        server = await self._start(sys.executable, "-m", module, *words)
        assert server.stdout is not None, "the output of the server is a pipe"
        async with asyncio.timeout(_START_PATIENCE):
            line = await server.stdout.readline()
        if not line:
            raise RuntimeError(f"the server did not start: {self.read_log()}")
        ports = json.loads(line)
        self._servers.append(_Observed(server, ports["port"], ports["observer"]))
        self._tokens = [value for name, value in ports.items() if name.startswith("token")]

    async def __aexit__(self, *_: object) -> None:
        if self._measuring is not None:
            self._measuring.cancel()
            await asyncio.gather(self._measuring, return_exceptions=True)
        for each in reversed(self._processes):
            assert each.stdin is not None, "the input of each process is a pipe"
            each.stdin.close()
            try:
                await asyncio.wait_for(each.wait(), 20)
            except TimeoutError:
                each.kill()
                await each.wait()
        await asyncio.to_thread(self._stack.close)

    async def _start(self, *command: str) -> Process:
        with (self._folder / "log").open("ab") as log:
            started = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=log, cwd=ROOT, limit=_LINE
            )
        self._processes.append(started)
        return started

    async def _start_clients(self) -> None:
        kind = "hub" if self._kind.is_hub else "core"
        first, last = str(self._servers[0].port), str(self._servers[-1].port)
        churn = (sys.executable, "-m", "benchmarks.soak.churn", kind, first, *self._tokens)
        official = ("node", str(_OFFICIAL), last, self._event[0], *self._tokens[:1])
        for command in (churn, official):
            started = await self._start(*command)
            assert started.stdout is not None, "the output of the clients is a pipe"
            async with asyncio.timeout(_START_PATIENCE):
                await started.stdout.readline()
            self._clients.append(started)

    def read_log(self) -> str:
        """Return the end of the log of the server and of the clients."""
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")[-3000:]

    # -- the clients

    async def go(self) -> None:
        """Let the clients arrive and leave."""
        for each in self._clients:
            assert each.stdin is not None, "the input of the clients is a pipe"
            each.stdin.write(b"go\n")

    async def pause(self) -> None:
        """Let the last clients leave, and note the number of clients since `go`."""
        total: Counter[str] = Counter()
        for each in self._clients:
            assert each.stdin is not None, "the input of the clients is a pipe"
            assert each.stdout is not None, "the output of the clients is a pipe"
            each.stdin.write(b"pause\n")
            total.update(json.loads(await each.stdout.readline()))
        self.record.clients = dict(total)

    # -- measurements

    async def _measure(self) -> None:
        """Send one acked event after the other; one client for the whole time."""
        auth = {"token": self._tokens[0]} if self._tokens else {}
        url = f"http://127.0.0.1:{self._servers[0].port}"
        pid = self._servers[0].process.pid
        ends: list[str] = []
        async with AsyncClient(url, auth=auth, transports=["websocket"]) as client:
            client.on("disconnect", lambda reason, *_: ends.append(str(reason)))
            while True:
                began, waited = time.perf_counter(), waiting_seconds(pid)
                ends.clear()
                try:
                    await client.call(*self._event)
                except SocketError as error:
                    share = (waiting_seconds(pid) - waited) / (time.perf_counter() - began)
                    errors = self.record.starved if share > _STARVED_SHARE else self.record.lost
                    errors[f"{type(error).__name__} ({', '.join(ends) or error})"] += 1
                self._waits.append((time.perf_counter() - began) * 1000)
                await asyncio.sleep(_PAUSE)

    async def sample(self, time_since_start: float) -> None:
        """Add one sample to the record."""
        waits, self._waits = sorted(self._waits), []
        objects, values = await self._observe()
        values["live objects"] = sum(count for name, count in objects.items() if name not in KEPT)
        if waits:
            values["round trip, median"] = waits[len(waits) // 2]
            values["round trip, p99"] = waits[len(waits) * 99 // 100]
        self.record.add(time_since_start, values)

    async def _observe(self) -> Idle:
        """Return the objects of the servers, and the sums of their other values."""
        objects: Counter[str] = Counter()
        values: Counter[str] = Counter()
        for each in self._servers:
            objects.update(await observe(each.observer))
            process = Path(f"/proc/{each.process.pid}")
            values["descriptors"] += len(os.listdir(process / "fd"))
            values["threads"] += len(os.listdir(process / "task"))
        tasks = objects.pop("tasks")
        memory = sum(memory_bytes(each.process.pid) for each in self._servers) / 1e6
        return Idle(dict(objects), {"tasks": tasks, "memory": memory, **values})

    async def note_idle(self) -> None:
        """Wait until recovery and deadlines have ended, and note what the server holds.

        On a busy machine the server may still work for clients that have left, so that objects that
        it did not hold at the first time have `_PATIENCE` seconds to go.
        """
        await asyncio.sleep(self._recovery + _DEADLINES)
        found = await self._observe()
        for _ in range(_SETTLE_CHECKS):
            before, found = found, await self._observe()
            if found.objects == before.objects:
                break
            await asyncio.sleep(_SETTLE_INTERVAL)
        self.record.idle.append(found)
        end = time.monotonic() + _PATIENCE
        while self.record.remaining and time.monotonic() < end:
            await asyncio.sleep(_SETTLE_INTERVAL)
            self.record.idle[-1] = await self._observe()
