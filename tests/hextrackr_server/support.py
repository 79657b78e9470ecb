"""Shared test doubles and fixtures of the hub: a manual clock, recorders, an import harness.

Nothing here opens a socket.
"""

from __future__ import annotations

import asyncio
import csv
import io
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from sqlalchemy import select

from hextrackr_server.clock import LoopClock
from hextrackr_server.imports.options import ImportOptions
from hextrackr_server.imports.pipeline import STAGE_SUFFIX, Importer, Progress, ReadOptions
from hextrackr_server.imports.progress_record import FINAL
from hextrackr_server.imports.progress_tracker import ProgressTracker
from hextrackr_server.imports.service import ImportService
from hextrackr_server.imports.store import ImportJob, ImportStore
from hextrackr_server.imports.uploads import Upload, UploadStore
from hextrackr_server.security.principal import Principal, TokenAuthority
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.finding_tables import vulnerabilities_current

SECRET = b"0123456789abcdef0123456789abcdef"
ALICE = Principal("7", "alice", "user")
BOB = Principal("8", "bob", "user")
ADMIN = Principal("1", "root", "admin")

HEADER = ("asset.name", "asset.display_ipv4_address", "definition.id", "definition.cve", "severity")


class FakeTimer:
    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class FakeClock:
    """Time that stands still until it is advanced."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[FakeTimer] = []

    def monotonic(self) -> float:
        return self.now

    def epoch_ms(self) -> int:
        return 1_759_000_000_000 + round(self.now * 1000)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(self.now + seconds, callback)
        self.timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for timer in [each for each in self.timers if each.due <= self.now]:
            self.timers.remove(timer)
            if timer.callback is not None:
                timer.callback()


class Recorder:
    """Rooms that record the sent events; a tuple of rooms is recorded joined by a plus."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self.kept_only: list[tuple[str, tuple[str, ...]]] = []

    def emit(self, room: str | tuple[str, ...], event: str, payload: dict[str, Any]) -> None:
        name = room if isinstance(room, str) else "+".join(room)
        self.sent.append((name, event, payload))

    def keep_only(self, room: str, rooms: tuple[str, ...]) -> None:
        self.kept_only.append((room, rooms))

    def payloads(self, event: str) -> list[dict[str, Any]]:
        return [payload for _, name, payload in self.sent if name == event]

    def events(self) -> list[tuple[str, str]]:
        """Return the recorded events of the guide's contract as (room, event)."""
        return [(room, event) for room, event, _ in self.sent if not event.startswith("progress-")]

    def progress_events(self) -> list[tuple[str, str]]:
        """Return the recorded events of the front end's contract as (room, event)."""
        return [(room, event) for room, event, _ in self.sent if event.startswith("progress-")]


class NullAnnouncer:
    """Announcer that discards all events."""

    def to_user(self, user_id: str, event: str, payload: dict[str, Any]) -> None: ...

    def to_all(self, event: str, payload: dict[str, Any]) -> None: ...

    def to_others(
        self, socket_id: str, event: str, payload: dict[str, Any], room: str | None = None
    ) -> None: ...

    def everywhere(self, event: str, payload: dict[str, Any]) -> None: ...


def csv_text(rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def finding_row(
    host: str = "web-1", cve: str = "CVE-2024-1000", severity: str = "High"
) -> list[str]:
    return [host, "", "1001", cve, severity]


class Workbench:
    """A database and an importer, without a server."""

    def __init__(self, directory: Path, url: Path | str | None = None) -> None:
        self.directory = directory
        self.database = Database(url or directory / "test.db")
        self.store = ImportStore(self.database)
        self.importer = Importer(self.database)
        self.progress: list[Progress] = []

    def file(self, content: str | bytes, name: str = "export.csv") -> Path:
        path = self.directory / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def job(self, **values: Any) -> ImportJob:
        number = len(list(self.directory.glob("job-*")))
        (self.directory / f"job-{number}").touch()
        defaults: dict[str, Any] = {
            "session_id": f"session-{number}",
            "user_id": ALICE.user_id,
            "filename": "export.csv",
            "vendor": None,
            "scan_date": "2025-09-30",
            "created_at": 0,
        }
        return self.store.create_job(**(defaults | values))

    def run(
        self,
        content: str | bytes,
        stopping: Callable[[], bool] = lambda: False,
        **job_values: Any,
    ) -> dict[str, Any]:
        path = self.file(content)
        return self.run_file(path, stopping, **job_values)

    def run_file(
        self, path: Path, stopping: Callable[[], bool] = lambda: False, **values: Any
    ) -> dict[str, Any]:
        """Import a file; `values` are those of the job and of ReadOptions."""
        names = {each.name for each in fields(ReadOptions)}
        options = ReadOptions(**{name: values.pop(name) for name in names & values.keys()})
        return self.importer.run(self.job(**values), path, self.progress.append, stopping, options)

    def import_rows(
        self, rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER, **job_values: Any
    ) -> dict[str, Any]:
        return self.run(csv_text(rows, header), **job_values)

    def findings(self) -> list[dict[str, Any]]:
        with self.database.reading() as connection:
            query = select(vulnerabilities_current).order_by(vulnerabilities_current.c.id)
            return [dict(row) for row in connection.execute(query).mappings()]

    def finding(self, cve: str) -> dict[str, Any]:
        (found,) = [each for each in self.findings() if each["cve"] == cve]
        return found

    def staged(self) -> int:
        """Return the number of stage files, which imports delete at their end."""
        return len(list(self.directory.glob("**/*" + STAGE_SUFFIX)))


class Response:
    """The response of an ASGI application."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""


async def request(
    app: Any,
    method: str,
    path: str,
    *,
    headers: dict[str, str] | None = None,
    chunks: Sequence[bytes] = (b"",),
) -> Response:
    """Send a request to an ASGI application and return its response."""
    response = Response()
    pending = list(chunks)

    async def receive() -> dict[str, Any]:
        if not pending:
            await asyncio.Event().wait()
        body = pending.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(pending)}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            response.status = message["status"]
            response.headers = {
                name.decode().lower(): value.decode() for name, value in message["headers"]
            }
        else:
            response.body += message.get("body", b"")

    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(n.encode(), v.encode()) for n, v in (headers or {}).items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    await app(scope, receive, send)
    return response


class ImportHarness:
    """The services that an import needs, without sockets."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.sent = Recorder()
        self.authority = TokenAuthority(SECRET)
        self.tracker = ProgressTracker(self.sent, LoopClock())
        self.uploads = UploadStore(bench.directory / "uploads", time.monotonic, maximum=100_000)
        self.commits: list[tuple[int, dict[str, Any], dict[str, Any]]] = []
        self.imports = ImportService(
            bench.store,
            bench.importer,
            self.tracker,
            lambda *committed: self.commits.append(committed),
        )

    async def upload(self, content: str, owner: Principal = ALICE) -> Upload:
        async def chunks() -> AsyncIterator[bytes]:
            yield content.encode()

        return await self.uploads.receive(chunks(), "scan.csv", owner)

    async def submit(
        self, content: str, owner: Principal = ALICE, **options: Any
    ) -> dict[str, Any]:
        upload = await self.upload(content, owner)
        return await self.imports.submit(upload, owner, ImportOptions(**options))

    async def ended(self, import_id: int) -> dict[str, Any]:
        """Wait for the end of an import and return its state."""
        while True:
            state = await self.imports.status(import_id, ADMIN)
            if state["status"] in FINAL:
                return state
            await asyncio.sleep(0.005)
