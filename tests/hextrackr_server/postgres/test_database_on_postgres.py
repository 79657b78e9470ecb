"""Tests of the PostgreSQL database: schema, migrations, locking and transactions."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, create_engine, event, insert, select, text
from sqlalchemy.exc import DBAPIError

from hextrackr_server.errors import (
    DATABASE_UNAVAILABLE,
    ErrorCode,
    ServiceError,
    SettingsError,
)
from hextrackr_server.storage import finding_tables, schema
from hextrackr_server.storage.backends import PostgresBackend
from hextrackr_server.storage.database import Database
from hextrackr_server.storage.former_tables import former
from hextrackr_server.storage.metadata import metadata
from hextrackr_server.storage.migrations import MIGRATIONS
from hextrackr_server.storage.schema import meta
from hextrackr_server.telemetry.failures import (
    DATABASE_CANCELED,
    DATABASE_DAMAGED,
    DATABASE_DENIED,
    DATABASE_GONE,
    condition_of,
)
from tests.contract.imports import run_import
from tests.contract.support import HubHarness
from tests.hextrackr_server.kev_support import feed, item
from tests.hextrackr_server.storage.former_databases import load_version_6
from tests.hextrackr_server.support import Workbench, finding_row

VALUE = select(meta.c.value).where(meta.c.name == "a")


def version_of(database: Database) -> str:
    with database.reading() as connection:
        return str(connection.scalar(select(meta.c.value).where(meta.c.name == "schema_version")))


def test_new_database_has_the_newest_schema(empty_postgres: str) -> None:
    database = Database(empty_postgres)
    assert version_of(database) == str(1 + len(MIGRATIONS))
    database.close()


def test_first_import_creates_the_indexes_of_findings(empty_postgres: str, tmp_path: Path) -> None:
    bench = Workbench(tmp_path, empty_postgres)
    query = text("SELECT indexname FROM pg_indexes WHERE tablename = 'findings' ORDER BY 1")
    with bench.database.reading() as connection:
        assert list(connection.scalars(query)) == ["findings_pkey"]
    for number in range(2):
        bench.import_rows([finding_row(host=f"h-{number}")])
        with bench.database.reading() as connection:
            found = list(connection.scalars(query))
            assert found == ["findings_pkey", "ix_findings_identity", "ix_findings_key"]
    bench.database.close()


def write_version_6(url: str, file: Path) -> list[tuple[Any, ...]]:
    """Copy the database of schema 6 in a SQLite file to PostgreSQL; return its findings."""
    load_version_6(file)
    tables = (schema.import_jobs, schema.meta, *former.sorted_tables)
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with closing(sqlite3.connect(file)) as source, engine.begin() as connection:
        later = set(finding_tables.FINDING_TABLES)
        kept = [each for each in metadata.sorted_tables if each not in later]
        metadata.create_all(connection, tables=kept)
        former.create_all(connection)
        connection.execute(text("ALTER TABLE import_jobs DROP COLUMN undone_at"))
        for table in tables:
            names = [column.name for column in table.c if column.name != "undone_at"]
            rows = source.execute(f"SELECT {', '.join(names)} FROM {table.name}").fetchall()
            connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])
        connection.execute(text("SELECT setval('import_jobs_import_id_seq', 4)"))
    engine.dispose()
    return rows_of_findings(source=file)


def rows_of_findings(source: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(source)) as connection:
        return connection.execute(f"{FINDINGS} ORDER BY id").fetchall()


FINDINGS = "SELECT {} FROM vulnerabilities_current".format(
    ", ".join(column.name for column in finding_tables.vulnerabilities_current.c)
)


def test_findings_of_an_earlier_version_are_migrated(empty_postgres: str, tmp_path: Path) -> None:
    former_rows = write_version_6(empty_postgres, tmp_path / "former.db")
    database = Database(empty_postgres)
    assert version_of(database) == str(1 + len(MIGRATIONS))
    with database.reading() as connection:
        found = [tuple(row) for row in connection.execute(text(f"{FINDINGS} ORDER BY id"))]
        assert found == former_rows
        snapshots = connection.scalar(text("SELECT count(*) FROM vulnerability_snapshots"))
        assert snapshots == 10
    database.close()
    bench = Workbench(tmp_path, empty_postgres)
    header = ("asset.name", "asset.display_ipv4_address", "definition.cve", "severity")
    rows = [["web-1", "192.0.2.10", "CVE-2030-1001", "Low"], ["new", "", "CVE-2030-1009", "Low"]]
    summary = bench.import_rows(rows, header, session_id="later")["summary"]
    assert (summary["inserted"], summary["updated"]) == (1, 1)
    assert max(each["id"] for each in bench.findings()) == len(former_rows) + 1
    bench.database.close()


def test_failed_migration_leaves_the_database_unchanged(empty_postgres: str) -> None:
    Database(empty_postgres, migrations=()).close()

    def broken(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE half (id INTEGER)"))
        raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        Database(empty_postgres, migrations=(broken,))
    database = Database(empty_postgres, migrations=())
    assert version_of(database) == "1"
    with database.reading() as connection:
        assert not connection.dialect.has_table(connection, "half")
    database.close()


def test_second_server_is_refused_until_the_first_closes(empty_postgres: str) -> None:
    first = Database(empty_postgres)
    with pytest.raises(SettingsError, match="in use by another server"):
        Database(empty_postgres)
    first.close()
    Database(empty_postgres).close()


def test_unreachable_server_is_reported_without_the_password() -> None:
    with pytest.raises(SettingsError, match="cannot be opened") as refusal:
        Database("postgresql://user:secret@127.0.0.1:9/none")
    assert "secret" not in str(refusal.value)


def test_reader_sees_one_state_while_a_writer_writes(empty_postgres: str) -> None:
    database = Database(empty_postgres)
    with database.reading() as reader:
        assert reader.scalar(VALUE) is None
        with database.writing() as writer:
            writer.execute(insert(meta).values(name="a", value="b"))
        assert reader.scalar(VALUE) is None
    with database.reading() as reader:
        assert reader.scalar(VALUE) == "b"
    database.close()


def test_second_writer_waits_and_sees_the_writes_of_the_first(empty_postgres: str) -> None:
    database = Database(empty_postgres)
    seen: list[str | None] = []

    def write() -> None:
        with database.writing() as connection:
            seen.append(connection.scalar(VALUE))

    with database.writing() as connection:
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(0.03)
        connection.execute(insert(meta).values(name="a", value="b"))
    thread.join()
    assert seen == ["b"]
    database.close()


def test_statement_times_out_when_it_takes_too_long(empty_postgres: str) -> None:
    database = Database(empty_postgres)
    with pytest.raises(ServiceError) as refusal, database.reading(0.01) as connection:
        connection.execute(text("SELECT pg_sleep(5)"))
    assert refusal.value.code is ErrorCode.TIMEOUT
    with database.reading() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    database.close()


def test_url_of_another_database_is_refused() -> None:
    with pytest.raises(SettingsError, match="must be a URL such as postgresql://"):
        Database("mysql://user@host/name")


async def test_complete_server_works_on_postgresql(empty_postgres: str, tmp_path: Path) -> None:
    async with HubHarness(tmp_path, database_url=empty_postgres) as hub:
        client = await hub.client()
        assert (await run_import(client))["summary"]["inserted"] == 20
        statistics = await client.emit_with_ack("get-vulnerability-stats")
        assert statistics["data"]["totals"]["findings"] == 20
        for resource in ("vulnerabilities", "devices", "imports", "trends", "kev", "tickets"):
            answer = await client.emit_with_ack("get-data", {"resource": resource})
            numbers = [v for row in answer["data"] for k, v in row.items() if k.endswith("Count")]
            assert all(isinstance(number, int) for number in numbers), resource
        headers = {"authorization": f"Bearer {hub.token('1', 'admin')}"}
        synced = await hub.request("POST", "/api/kev/sync", headers, feed(item("CVE-2024-1000")))
        assert synced.json()["matchedCount"] == 1
        assert (await hub.request("GET", "/ready")).status == 200
    assert not (tmp_path / "hub.db").exists()


async def test_lost_connections_are_logged_in_one_line_and_opened_again(
    tmp_path: Path, empty_postgres: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with HubHarness(tmp_path, database_url=empty_postgres) as hub:
        client = await hub.client()
        request = {"resource": "imports"}
        assert (await client.emit_with_ack("get-data", request))["success"]
        with psycopg.connect(empty_postgres, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        caplog.set_level("INFO")
        lost = await client.emit_with_ack("get-data", request)
        assert (lost["code"], lost["error"]) == ("UNAVAILABLE", DATABASE_UNAVAILABLE)
        assert (await client.emit_with_ack("get-data", request))["success"]
    (line,) = [each for each in caplog.records if each.getMessage() == "event handler failed"]
    assert line.__dict__["fields"]["reason"] == DATABASE_GONE
    assert [each for each in caplog.records if each.exc_info] == []


def execute(connection: Connection, statements: tuple[str, ...]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize(("statements", "reason"), [
    (("SET LOCAL statement_timeout = 1", "SELECT pg_sleep(600)"), DATABASE_CANCELED),
    (("SET LOCAL ROLE pg_monitor", "SELECT * FROM pg_authid"), DATABASE_DENIED),
    (("SET TRANSACTION READ ONLY", "CREATE TABLE x (y int)"), DATABASE_DAMAGED),
    (("SELECT pg_terminate_backend(pg_backend_pid())",), DATABASE_GONE),
], ids=["statement timeout", "denied", "read-only", "terminated"])  # fmt: skip
def test_error_of_an_operator_is_a_condition_and_the_next_statement_succeeds(
    empty_postgres: str,
    caplog: pytest.LogCaptureFixture,
    statements: tuple[str, ...],
    reason: str,
) -> None:
    backend = PostgresBackend(empty_postgres)
    with pytest.raises(DBAPIError) as failure, backend.engine.begin() as connection:
        execute(connection, statements)
    condition = condition_of(failure.value)
    assert condition is not None
    assert condition.reason == reason
    with backend.engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    backend.close()
    assert [each for each in caplog.records if each.exc_info] == []


def test_connection_that_cannot_be_rolled_back_is_logged_in_one_line(
    empty_postgres: str, caplog: pytest.LogCaptureFixture
) -> None:
    backend = PostgresBackend(empty_postgres)

    def fail(connection: Connection) -> None:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with psycopg.connect(empty_postgres, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 300000)", (pid,))
        raise SettingsError("the database cannot be opened")

    event.listen(backend.engine, "begin", fail)
    with pytest.raises(SettingsError), backend.engine.begin():
        pass
    event.remove(backend.engine, "begin", fail)
    backend.close()
    (line,) = [each for each in caplog.records if each.name.startswith("sqlalchemy.pool")]
    assert line.getMessage().endswith(DATABASE_GONE)
    assert line.exc_info is None
