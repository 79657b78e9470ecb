"""Faults of the database of a running hub, while a client measures and another one imports.

The measuring client sends an acked event that needs no database. Each function starts a hub of its
own on the loopback interface, and is bounded in requests and seconds.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.faults.live import Outcome, p99_of
from benchmarks.hostile.places import hub_process
from benchmarks.hostile.sending import open_tcp, request
from benchmarks.hostile.victim import Victim
from benchmarks.wire import HOST
from tests.helpers.stalling_proxy import stalling_proxy
from tests.hextrackr_server.postgres.server import running_postgres
from tests.interop import program

#: A user of the hub may send 600 events per minute.
_PAUSE: Final = 0.12
_FAULT_SECONDS: Final = 5.0
_AFTER_SECONDS: Final = 60.0
_IMPORTS: Final = 8
#: A hub below this figure serves the others during a fault of its database.
_P99_MS: Final = 100.0
_CSV: Final = b"Host,IP Address,CVE,Severity\n" + b"".join(
    b"h-%d,192.0.2.%d,CVE-2030-1000,High\n" % (number, number) for number in range(1, 200)
)


class _Hub(NamedTuple):
    port: int
    folder: Path
    token: str


@asynccontextmanager
async def _hub(values: dict[str, str]) -> AsyncIterator[tuple[_Hub, Victim]]:
    """Run a hub with these settings and a measuring client."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        log = stack.enter_context((folder / "log").open("wb"))
        _, url = stack.enter_context(hub_process(folder, log, values))
        port = int(url.rpartition(":")[2])
        victim = Victim(port, "ping", program.token(folder, "victim"), _PAUSE)
        await victim.start()
        yield _Hub(port, folder, program.token(folder, "other")), victim


async def _request(
    hub: _Hub, method: str, path: str, body: bytes = b""
) -> tuple[int, dict[str, Any]]:
    """Send a request of the importing user; return the status and the JSON of the response."""
    head = (
        f"{method} {path} HTTP/1.1\r\nAuthorization: Bearer {hub.token}\r\n"
        f"Content-Type: text/csv\r\nContent-Length: {len(body)}\r\n"
    )
    streams = await open_tcp(hub.port)
    try:
        status, answer = await request(streams, head.encode() + HOST + b"\r\n" + body)
        return status, json.loads(answer or b"{}")
    finally:
        streams[1].close()


async def _complete_an_import(hub: _Hub) -> None:
    """Import a file until an import is completed."""
    while True:
        status, answer = await _request(hub, "POST", "/api/imports", _CSV)
        while status == 202:
            _, found = await _request(hub, "GET", f"/api/imports/{answer['importId']}")
            state = found.get("status", {"status": "failed"})
            if state["status"] == "completed":
                return
            status = 0 if state["status"] in {"failed", "cancelled"} else 202
            await asyncio.sleep(0.2)
        await asyncio.sleep(0.5)


async def _measure(
    hub: _Hub, victim: Victim, begin: Callable[[], object], end: Callable[[], object]
) -> Outcome:
    """Begin a fault, import during it, end it, and import again until an import is completed."""
    victim.waits.clear()
    begin()
    posts = [
        asyncio.create_task(_request(hub, "POST", "/api/imports", _CSV)) for _ in range(_IMPORTS)
    ]
    await asyncio.sleep(_FAULT_SECONDS)
    end()
    await asyncio.gather(*posts, return_exceptions=True)
    p99, problem = p99_of(victim.waits), ""
    try:
        async with asyncio.timeout(_AFTER_SECONDS):
            await _complete_an_import(hub)
    except TimeoutError:
        problem = "no import is completed afterwards"
    await victim.stop()
    is_held = not victim.lost and not problem and p99 <= _P99_MS
    return Outcome(_IMPORTS, is_held, victim.lost, p99, problem)


async def lock_sqlite() -> Outcome:
    """Lock the database file by another program."""
    async with _hub({}) as (hub, victim):
        with closing(sqlite3.connect(hub.folder / "hub.db", isolation_level=None)) as other:
            return await _measure(
                hub, victim,
                lambda: other.execute("BEGIN IMMEDIATE"), lambda: other.execute("ROLLBACK"),
            )  # fmt: skip


async def stall_postgres() -> Outcome:
    """Let PostgreSQL answer nothing for some seconds."""
    with ExitStack() as stack:
        url = stack.enter_context(running_postgres())
        folder = url.partition("host=")[2]
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="hextrackr-"))
        path = str(Path(directory, ".s.PGSQL.5432"))
        proxy, _ = stack.enter_context(stalling_proxy(f"{folder}/.s.PGSQL.5432", path))
        async with _hub({"DATABASE_URL": url.replace(folder, directory)}) as (hub, victim):
            return await _measure(hub, victim, proxy.stall, proxy.resume)
