"""Clients of the hub, orderly and hostile ones: each function is one client."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

from benchmarks.soak.raw_client import connect, open_polling, random_text, websocket
from benchmarks.wire import HOST, polling_get, polling_post
from socketio_core.client import AsyncClient
from socketio_core.errors import ConnectError

HEADER = "asset.name,asset.display_ipv4_address,definition.id,definition.cve,severity"
TOKENS: list[str] = []
"""Tokens of admins, which the server prints at its start."""


def make_csv(rows: int = 40) -> str:
    """Return one of few files, so that the database has an upper bound."""
    host = random.randrange(10)
    lines = [f"h-{host},,10{row},CVE-2024-1{row:03},High" for row in range(rows)]
    return "\n".join((HEADER, *random.sample(lines, len(lines) - 2))) + "\n"


def _client(port: int, **options: Any) -> AsyncClient:
    token = random.choice(TOKENS)
    transports = random.choice((["polling"], ["websocket"], ["polling", "websocket"]))
    return AsyncClient(
        f"http://127.0.0.1:{port}", auth={"token": token}, transports=transports, **options
    )


async def queries(port: int) -> None:
    async with _client(port) as client:
        await client.call("get-vulnerability-stats", {})
        await client.call("get-data", {"page": 1, "search": random_text(4).decode()})


async def editing(port: int) -> None:
    async with _client(port) as client:
        target = ("ticket", str(random.randrange(10**6)))
        await client.call("start-editing", *target)
        if random.random() < 0.5:
            await client.call("stop-editing", *target)


async def progress_rooms(port: int) -> None:
    async with _client(port) as client:
        for _ in range(5):
            await client.call("leave-import-room", random.randrange(10**6))
            client.emit("join-progress", random_text(16).decode())


async def inline_import(port: int) -> None:
    """Import a file; half of the clients leave before its end."""
    async with _client(port) as client:
        finished = asyncio.Event()
        client.on("import-finished", lambda *args: finished.set())
        client.on("import-failed", lambda *args: finished.set())
        payload = {"source": "inline", "filename": "scan.csv", "csv": make_csv(), "confirm": True}
        answer = await client.call("start-import", payload)
        if answer.get("success") and random.random() < 0.5:
            await finished.wait()
        elif random.random() < 0.3:
            await client.call("cancel-import", answer.get("importId"))


def _request(method: str, path: str, body: bytes, token: str = "") -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nAuthorization: Bearer {token or random.choice(TOKENS)}\r\n"
        "Content-Type: text/csv\r\nConnection: close\r\nX-Filename: scan.csv\r\n"
        f"Content-Length: {len(body)}\r\n"
    )
    return head.encode() + HOST + b"\r\n" + body


async def aborted_upload(port: int) -> None:
    async with connect(port) as raw:
        request = _request("POST", "/api/imports/upload?filename=scan.csv", b"x" * 200_000)
        raw.send(request[: random.randrange(100, 150_000)])
        await asyncio.sleep(0.02)


async def kept_upload(port: int) -> None:
    """Store a file; most are never imported, some are inspected."""
    async with connect(port) as raw:
        path = random.choice(("/api/imports/upload", "/api/imports/inspect"))
        raw.send(_request("POST", f"{path}?filename=scan.csv", make_csv().encode()))
        await raw.reader.read()


async def pages(port: int) -> None:
    paths = ("/ready", "/health", "/api/session", "/api/imports/undoable", "/api/none", "/")
    for path in paths:
        async with connect(port) as raw:
            raw.send(_request("GET", path, b""))
            await raw.reader.read()


async def scrape(port: int) -> None:
    async with connect(port) as raw:
        raw.send(_request("GET", "/metrics", b"", "m" * 32))
        await raw.reader.read()


async def invalid_token(port: int) -> None:
    client = AsyncClient(
        f"http://127.0.0.1:{port}", auth={"token": random_text(40).decode()}, reconnection=False
    )
    try:
        await client.connect()
    except ConnectError:
        pass
    finally:
        await client.close()


async def aborted_poll(port: int) -> None:
    async with connect(port) as raw:
        raw.send(polling_get())
        opened = (await raw.until(b"}")).partition(b"\r\n\r\n")[2]
        sid = json.loads(opened[1:])["sid"]
        auth = json.dumps({"token": random.choice(TOKENS)}).encode()
        raw.send(polling_post(sid, b"40" + auth))
        await raw.until(b"ok")
        raw.send(polling_get(sid))
        await asyncio.sleep(0.02)


async def aborted_upgrade(port: int) -> None:
    async with connect(port) as raw:
        sid = await open_polling(raw)
        async with websocket(port, sid) as candidate:
            candidate.packet(b"2probe")
            await candidate.until(b"3probe")


ACTS = (
    queries, editing, progress_rooms, inline_import, aborted_upload, kept_upload, pages, scrape,
    invalid_token, aborted_poll, aborted_upgrade,
)  # fmt: skip
