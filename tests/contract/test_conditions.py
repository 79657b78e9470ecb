"""Log lines of conditions that are not bugs: one line each, and a traceback at DEBUG only.

`CONDITIONS` lists each condition with a function that causes it in a running hub.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import shutil
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy.exc import OperationalError

from hextrackr_server.config.producers import IngestToken
from hextrackr_server.errors import (
    DATABASE_LOST,
    DATABASE_UNAVAILABLE,
    FILES_EXHAUSTED,
    STORAGE_FULL,
    STORAGE_REFUSED,
)
from hextrackr_server.findings.export import PAGE_ROWS, FindingExporter
from hextrackr_server.storage import backends
from hextrackr_server.telemetry.failures import (
    DATABASE_BUSY,
    DATABASE_DAMAGED,
    DATABASE_GONE,
    DISK_FULL,
)
from socketio_core import Socket
from socketio_core.testing import settle
from tests.contract.imports import receive_payload, start_import
from tests.contract.support import HubHarness
from tests.hextrackr_server.kev_support import feed, item
from tests.hextrackr_server.telemetry.test_failures import full_file, full_sqlite, lost_postgres

PRODUCER = IngestToken("scanner", frozenset({"progress", "admin"}), b"p" * 32)


class Condition(NamedTuple):
    """A condition: the log lines that it must cause, the reason in them, and its cause.

    `least` is the level of the lines; `lines` is the number of lines with a reason.
    """

    cause: Callable[[HubHarness], Awaitable[None]]
    reason: str
    lines: int = 1
    level: int = logging.ERROR
    settings: dict[str, Any] = {}  # noqa: RUF012 - a default that nothing changes


@contextmanager
def failing(hub: HubHarness, error: Exception, *, reads: bool = False) -> Iterator[None]:
    """Let each transaction of the hub that writes fail, with `reads` also the others."""
    database = hub.application.database
    if not isinstance(error, OSError):
        error = OperationalError("INSERT", {}, error)

    @contextmanager
    def fail(*_: Any, **__: Any) -> Iterator[Any]:
        raise error
        yield

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "writing", fail)
        if reads:
            patch.setattr(database, "reading", fail)
        yield


def headers(hub: HubHarness, role: str = "user", user: str = "7") -> dict[str, str]:
    return {"authorization": f"Bearer {hub.token(user, role)}", "content-type": "text/csv"}


# -- clients and proxies that leave


async def leave_during_an_ack(hub: HubHarness) -> None:
    @hub.io.on("ask-me")
    async def ask(socket: Socket) -> Any:
        return await socket.timeout(60).emit_with_ack("question")

    client = await hub.client()
    client.emit("ask-me")
    await client.receive_event("question")
    client.disconnect()


async def leave_during_a_notification(hub: HubHarness) -> None:
    client = await hub.client()
    hub.application.services.notifications.user("7", "import", "Done", None)
    await client.receive_event("user-notification")
    client.disconnect()
    await hub.advance(60)


@asynccontextmanager
async def open_request(hub: HubHarness, head: str) -> AsyncIterator[asyncio.StreamWriter]:
    """Send a request without its end, and abort the connection afterwards."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    authorization = f"authorization: Bearer {hub.token()}"
    writer.write(f"{head}\r\nhost: x\r\n{authorization}\r\n\r\n".encode())
    await writer.drain()
    yield writer
    writer.transport.abort()
    del reader


async def leave_during_an_upload(hub: HubHarness) -> None:
    head = "POST /api/imports HTTP/1.1\r\ncontent-type: text/csv\r\ncontent-length: 100000"
    async with open_request(hub, head) as writer:
        writer.write(b"hostname,cve\r\n" * 100)
        folder = hub.directory / "hub.db.uploads"
        await hub.wait_until(lambda: list(folder.iterdir()))


async def leave_during_a_query(hub: HubHarness) -> None:
    executor = hub.application.services.statistics._executor
    run, arrived, released = executor.run, asyncio.Event(), asyncio.Event()

    async def wait(*args: Any) -> Any:
        arrived.set()
        await released.wait()
        return await run(*args)

    executor.run = wait  # type: ignore[method-assign]
    async with open_request(hub, "GET /api/findings/export HTTP/1.1"):
        await arrived.wait()
    client = await hub.client()
    client.emit("get-data", {"resource": "vulnerabilities"})
    await settle()
    client.disconnect()
    released.set()


async def close_idle_connections(hub: HubHarness) -> None:
    for text in (b"", b"GET", b"GET / HTTP/1.1\r\nhost: x\r\n"):
        _, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        writer.write(text)
        await writer.drain()
        writer.transport.abort()


# -- the disk and the database


async def fill_during_an_import(hub: HubHarness) -> None:
    client = await hub.client()
    await settle()
    store = hub.application.services.imports._importer
    with pytest.MonkeyPatch.context() as patch:

        def run(*_: Any) -> Any:
            raise OperationalError("INSERT", {}, full_sqlite())

        patch.setattr(store, "run", run)
        await start_import(client)
        failed = await receive_payload(client, "import-failed")
    assert failed["message"] == STORAGE_FULL


async def fill_before_an_import(hub: HubHarness) -> None:
    client = await hub.client()
    with failing(hub, full_sqlite()):
        answer = await start_import(client)
    assert (answer["code"], answer["error"]) == ("UNAVAILABLE", STORAGE_FULL)


async def fill_during_an_upload(hub: HubHarness) -> None:
    def create(_: Path) -> Any:
        return open("/dev/full", "wb", buffering=0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hextrackr_server.imports.uploads._create", create)
        answer = await hub.request("POST", "/api/imports", headers(hub), b"hostname,cve\nh,x\n")
    assert (answer.status, answer.json()["error"]) == (503, STORAGE_FULL)


async def reach_the_limit_of_file_sizes_during_an_upload(hub: HubHarness) -> None:
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 20, former[1]))
    try:
        body = b"hostname,cve\n" + b"h,CVE-2024-1000\n" * 600_000
        answer = await hub.request("POST", "/api/imports", headers(hub), body)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert (answer.status, answer.json()["error"]) == (503, STORAGE_REFUSED)
    assert not list((hub.directory / "hub.db.uploads").iterdir())


async def refuse_files_during_an_upload(hub: HubHarness, number: int, text: str) -> None:
    def create(path: Path) -> Any:
        raise OSError(number, os.strerror(number), str(path))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hextrackr_server.imports.uploads._create", create)
        answer = await hub.request("POST", "/api/imports", headers(hub), b"hostname,cve\nh,x\n")
    assert (answer.status, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert answer.json()["error"] == text


async def mount_read_only_during_an_upload(hub: HubHarness) -> None:
    await refuse_files_during_an_upload(hub, errno.EROFS, STORAGE_REFUSED)


async def exhaust_descriptors_during_an_upload(hub: HubHarness) -> None:
    await refuse_files_during_an_upload(hub, errno.EMFILE, FILES_EXHAUSTED)


async def exhaust_descriptors_during_an_import(hub: HubHarness) -> None:
    client = await hub.client()
    with pytest.MonkeyPatch.context() as patch:

        def start(*_: Any, **__: Any) -> Any:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        # The process that reads the file needs two pipes.
        patch.setattr("hextrackr_server.imports.reading_process.subprocess.Popen", start)
        await start_import(client)
        failed = await receive_payload(client, "import-failed")
    assert failed["message"] == FILES_EXHAUSTED


async def fill_during_a_kev_synchronization(hub: HubHarness) -> None:
    with failing(hub, full_sqlite()):
        admin = headers(hub, "admin") | {"content-type": "application/json"}
        answer = await hub.request("POST", "/api/kev/sync", admin, feed(item()))
    assert answer.status == 503


async def fill_before_a_notification(hub: HubHarness) -> None:
    with failing(hub, full_file()):
        hub.application.services.notifications.user("7", "import", "Done", None)
        writer = hub.application.services.writer
        await hub.wait_until(lambda: not writer.waiting)


async def fill_before_a_report(hub: HubHarness) -> None:
    producer = {"authorization": f"Bearer {PRODUCER.secret.decode()}"}
    with failing(hub, full_sqlite()):
        answer = await hub.request("POST", "/ingest/v1/progress/s", producer, {"op": "create"})
        assert answer.status == 202
        (imports,) = [each for each in hub.application.features if hasattr(each, "_journal_writer")]
        await hub.wait_until(lambda: not imports._journal_writer.waiting)


async def fill_before_a_maintenance(hub: HubHarness) -> None:
    admin = await hub.client("1", "admin", "/admin")
    start = hub.clock.epoch_ms() + 60_000
    with failing(hub, full_sqlite()):
        plan = {"startTime": start, "duration": 60_000}
        await admin.emit_with_ack("system-maintenance", plan)
        writer = hub.application.services.writer
        await hub.wait_until(lambda: not writer.waiting)


async def fill_the_event_log(hub: HubHarness) -> None:
    for _ in range(3):
        (await hub.client()).emit("ping")
    await settle()


async def lock_the_database(hub: HubHarness) -> None:
    client = await hub.client()
    with closing(sqlite3.connect(hub.directory / "hub.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = await start_import(client)
    assert (answer["code"], answer["error"]) == ("UNAVAILABLE", DATABASE_UNAVAILABLE)


async def lose_the_database(hub: HubHarness) -> None:
    with failing(hub, lost_postgres(), reads=True):
        answer = await hub.request("GET", "/api/findings/export", headers(hub))
    assert (answer.status, answer.json()["error"]) == (503, DATABASE_UNAVAILABLE)


async def lose_the_database_during_a_query(hub: HubHarness) -> None:
    client = await hub.client()
    with failing(hub, lost_postgres(), reads=True):
        answer = await client.emit_with_ack("get-data", {"resource": "imports"})
    assert (answer["code"], answer["error"]) == ("UNAVAILABLE", DATABASE_UNAVAILABLE)


async def damage_the_database(hub: HubHarness) -> None:
    file = hub.directory / "not-a-database"
    file.write_bytes(b"x" * 8192)
    connection = sqlite3.connect(file)
    with closing(connection), pytest.raises(sqlite3.DatabaseError) as failure:
        connection.execute("SELECT * FROM t")
    with failing(hub, failure.value, reads=True):
        answer = await hub.request("GET", "/ready")
    assert answer.json()["database"] == DATABASE_DAMAGED


# -- other programs, and values of handlers


async def damage_the_session_store(hub: HubHarness) -> None:
    cookie = hub.session_store.log_in()
    hub.session_store.path.write_bytes(b"x" * 8192)
    refusal = await hub.connect_error(headers=cookie)
    assert refusal["code"] == "UNAVAILABLE"


async def fetch_an_unreachable_catalog(hub: HubHarness) -> None:
    admin = headers(hub, "admin") | {"content-type": "application/json"}
    answer = await hub.request("POST", "/api/kev/sync", admin)
    assert answer.status == 503


async def fetch_a_catalog_without_dns(hub: HubHarness) -> None:
    resolve = socket.getaddrinfo

    def fail(host: Any, *args: Any, **options: Any) -> Any:
        if host == "feeds.example":
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return resolve(host, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", fail)
        await fetch_an_unreachable_catalog(hub)


async def answer_with_an_unsendable_value(hub: HubHarness) -> None:
    @hub.io.on("get-it")
    def get(socket: Socket) -> Any:
        return {"value": object()}

    client = await hub.client()
    answer = await client.emit_with_ack("get-it")
    assert answer["code"] == "HANDLER_ERROR"


CONDITIONS = {
    "ack": Condition(leave_during_an_ack, "did not answer", level=logging.INFO),
    "notification": Condition(
        leave_during_a_notification, "", 0, settings={"notification_acks": True}
    ),
    "upload": Condition(leave_during_an_upload, "", 0, logging.INFO),
    "query": Condition(leave_during_a_query, "", 0),
    "early close": Condition(close_idle_connections, "", 0),
    "full: import": Condition(fill_during_an_import, DISK_FULL),
    "full: start of an import": Condition(fill_before_an_import, DISK_FULL),
    "full: upload": Condition(fill_during_an_upload, DISK_FULL),
    "file size: upload": Condition(
        reach_the_limit_of_file_sizes_during_an_upload, os.strerror(errno.EFBIG)
    ),
    "read-only: upload": Condition(mount_read_only_during_an_upload, os.strerror(errno.EROFS)),
    "descriptors: upload": Condition(
        exhaust_descriptors_during_an_upload, os.strerror(errno.EMFILE)
    ),
    "descriptors: import": Condition(
        exhaust_descriptors_during_an_import, os.strerror(errno.EMFILE)
    ),
    "full: KEV": Condition(fill_during_a_kev_synchronization, DISK_FULL),
    "full: notification": Condition(
        fill_before_a_notification, DISK_FULL, settings={"notification_acks": True}
    ),
    "full: report": Condition(fill_before_a_report, DISK_FULL),
    "full: maintenance": Condition(fill_before_a_maintenance, DISK_FULL),
    "full: event log": Condition(
        fill_the_event_log, DISK_FULL, settings={"event_log": Path("/dev/full")}
    ),
    "locked database": Condition(lock_the_database, DATABASE_BUSY),
    "lost database: HTTP": Condition(lose_the_database, DATABASE_GONE),
    "lost database: socket": Condition(lose_the_database_during_a_query, DATABASE_GONE),
    "damaged database": Condition(damage_the_database, DATABASE_DAMAGED),
    "session store": Condition(damage_the_session_store, "the session store"),
    "KEV source": Condition(
        fetch_an_unreachable_catalog,
        "the source cannot be reached",
        level=logging.WARNING,
        settings={"kev_url": "http://127.0.0.1:9/feed.json", "kev_hosts": ("127.0.0.1",)},
    ),
    "KEV source: DNS": Condition(
        fetch_a_catalog_without_dns,
        "Temporary failure in name resolution",
        level=logging.WARNING,
        settings={"kev_url": "https://feeds.example/feed.json", "kev_hosts": ("feeds.example",)},
    ),
    "unsendable value": Condition(answer_with_an_unsendable_value, "cannot be sent"),
}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for a locked database, or between attempts to fetch the catalog."""
    monkeypatch.setattr(backends, "FOREIGN_LOCK_MS", 50)
    monkeypatch.setattr("hextrackr_server.kev.fetcher.ATTEMPTS", 1)


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
@pytest.mark.parametrize("name", CONDITIONS)
async def test_condition_is_logged_in_one_line_with_a_traceback_at_debug_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, level: int
) -> None:
    condition = CONDITIONS[name]
    defaults: dict[str, Any] = {"ingest_tokens": (PRODUCER,)}
    async with HubHarness(tmp_path, **(defaults | condition.settings)) as hub:
        caplog.set_level(level)
        await condition.cause(hub)
        await settle()
    lines = [
        record
        for record in caplog.records
        if record.levelno >= logging.INFO and "reason" in getattr(record, "fields", {})
        and condition.reason in str(record.__dict__["fields"]["reason"])
    ]  # fmt: skip
    if condition.lines:
        assert [record.levelno for record in lines] == [condition.level] * condition.lines
    traces = [record.getMessage() for record in caplog.records if record.exc_info]
    if level == logging.INFO:
        assert traces == []
        unexpected = [
            record.getMessage()
            for record in caplog.records
            if record.levelno >= logging.ERROR and record not in lines
        ]
        assert unexpected == []
    elif condition.lines:
        assert traces


async def test_bug_in_a_route_is_logged_once_with_its_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> Any:
        raise ValueError("bug")

    async with HubHarness(tmp_path) as hub:
        monkeypatch.setattr(hub.application.services.imports.view, "status", fail)
        answer = await hub.request("GET", "/api/imports/1", headers(hub))
    assert (answer.status, answer.json()["code"]) == (500, "HANDLER_ERROR")
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.getMessage() == "request failed: GET /api/imports/1"


async def test_response_is_cut_when_the_database_is_lost_after_its_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = iter([(b"row\r\n", PAGE_ROWS, 1)])

    def read(*_: Any) -> Any:
        page = next(pages, None)
        if page is None:
            raise OperationalError("SELECT", {}, lost_postgres())
        return page

    monkeypatch.setattr(FindingExporter, "_page", read)
    async with HubHarness(tmp_path) as hub:
        answer = await hub.request("GET", "/api/findings/export", headers(hub))
    assert answer.status == 200
    # The chunked body has no end, so the client detects that it is incomplete.
    assert not answer.body.endswith(b"0\r\n\r\n")
    assert [record for record in caplog.records if record.exc_info] == []
    reasons = [getattr(record, "fields", {}).get("reason") for record in caplog.records]
    assert reasons.count(DATABASE_GONE) == 1


# -- a database file that is gone


@pytest.mark.parametrize("replace", [False, True])
async def test_deleted_database_file_is_reported_by_ready_and_by_imports(
    hub: HubHarness, caplog: pytest.LogCaptureFixture, *, replace: bool
) -> None:
    assert (await hub.request("GET", "/ready")).status == 200
    path = Path(str(hub.application.database))
    moved = path.with_name("moved.db")
    os.rename(path, moved)
    if replace:
        shutil.copy(moved, path)
    ready = await hub.request("GET", "/ready")
    assert ready.status == 503
    assert "deleted or replaced while the server uses it" in ready.json()["database"]
    assert path.name not in ready.json()["database"]
    upload = await hub.request("POST", "/api/imports", headers(hub), b"hostname,cve\n")
    assert upload.status == 503
    assert upload.json()["error"] == DATABASE_LOST
    assert "Traceback" not in caplog.text
    # The same file under its name again
    os.replace(moved, path)
    assert (await hub.request("GET", "/ready")).status == 200
