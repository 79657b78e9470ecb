"""The database: connections, transactions, the version of its schema.

Knows: SQLAlchemy's engine, how SQLite is made safe for one writer and many readers.
Does not know: what is stored.  Everything here blocks: call it from a thread, never from the loop.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, Table, create_engine, event, insert, select, update
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.dialects.sqlite import insert as insert_or_update
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from hextrackr_server import schema
from hextrackr_server.errors import ErrorCode, ServiceError, SettingsError
from hextrackr_server.migrations import MIGRATIONS, Migration

# Long enough for a writer to wait out the transaction that ends a large import.
BUSY_TIMEOUT_MS = 600_000

# Steps of SQLite's machine between two looks at the time: a millisecond or so.
_LOOK_EVERY = 50_000
_WRITES = "hextrackr_writes"


class Database:
    """One SQLite file, opened by one server at a time.

    `reading()` and `writing()` give a connection within a transaction: it is committed at the
    end of the block, rolled back when the block raises.
    """

    def __init__(self, path: Path, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
        """Open the file, create or migrate its tables; SettingsError where that cannot be."""
        self.path = path
        self._migrations = migrations
        self._lock = _lock(path)
        self._engine = _engine(path)
        try:
            with self.writing() as connection:
                self._migrate(connection)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self, seconds: float | None = None) -> Iterator[Connection]:
        """A transaction that sees one state of the database, whatever is written meanwhile.

        With a limit it raises ServiceError TIMEOUT when its statements take longer than that.
        """
        with self._engine.connect() as connection, connection.begin():
            if seconds is None:
                yield connection
            else:
                with _limited(connection, seconds):
                    yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is the only writer from its first moment."""
        with self._engine.connect() as connection:
            # BEGIN IMMEDIATE: a reader that turns writer halfway can fail where no wait helps.
            connection = connection.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close every connection and let another server open the file."""
        self._engine.dispose()
        os.close(self._lock)

    def _migrate(self, connection: Connection) -> None:
        newest = 1 + len(self._migrations)
        found = self._version(connection)
        if found is None:
            schema.metadata.create_all(connection)
            connection.execute(insert(schema.meta).values(name="schema_version", value=str(newest)))
            return
        if found > newest:
            raise SettingsError(
                f"{self.path} was written by a newer server (schema {found}, this one knows "
                f"{newest}): install that one, or choose another --database"
            )
        for migration in self._migrations[found - 1 :]:
            migration(connection)
        connection.execute(
            update(schema.meta)
            .where(schema.meta.c.name == "schema_version")
            .values(value=str(newest))
        )

    def _version(self, connection: Connection) -> int | None:
        if not connection.dialect.has_table(connection, schema.meta.name):
            return None
        query = select(schema.meta.c.value).where(schema.meta.c.name == "schema_version")
        value = connection.execute(query).scalar()
        return None if value is None else int(value)


def upsert(connection: Connection, table: Table) -> Insert:
    """An INSERT that can say `on_conflict_do_update`, in the dialect of the connection."""
    return insert_or_update(table)


@contextmanager
def _limited(connection: Connection, seconds: float) -> Iterator[None]:
    """Stop statements that go on for too long."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    deadline = time.monotonic() + seconds
    driver.set_progress_handler(lambda: time.monotonic() > deadline, _LOOK_EVERY)
    try:
        yield
    except OperationalError as error:
        if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_INTERRUPT:
            raise
        raise ServiceError(
            ErrorCode.TIMEOUT, "The answer takes too long to find: narrow the question"
        ) from error
    finally:
        driver.set_progress_handler(None, 0)


def _lock(path: Path) -> int:
    """Hold the file for this process; the system lets go of it when the process ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError(f"the database {path} cannot be opened: {reason}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise SettingsError(
            f"the database {path} is in use by another server: stop it, "
            "or choose another --database"
        ) from error
    return lock


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", pool_size=8, max_overflow=8)

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        # The driver must not begin transactions of its own: `begin` below does, knowingly.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
