"""SQLite and PostgreSQL, as far as they differ.

Knows: how each is opened, held for one server, made safe for one writer and many readers.
Does not know: tables, what is stored.  Everything here blocks.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from hextrackr_server.errors import ErrorCode, ServiceError, SettingsError

# Long enough for a writer to wait out the transaction that ends a large import.
BUSY_TIMEOUT_MS = 600_000
#: The execution option of a transaction that writes.
WRITES = "hextrackr_writes"

# Steps of SQLite's machine between two looks at the time: ten milliseconds or so. Each look waits
# for the interpreter, which an import is busy with: looking more often made questions take twice
# as long.
_LOOK_EVERY = 500_000
# Two numbers that nobody else is likely to lock: who serves a database, who writes to it.
_SERVER_LOCK, _WRITER_LOCK = 4_854_201, 4_854_202
_QUERY_CANCELED = "57014"
_POSTGRES_URL = "DATABASE_URL must be a URL such as postgresql://user@host/name"


class Backend(Protocol):
    """One opened database."""

    engine: Engine

    def __str__(self) -> str:
        """Its name for people; without a password."""

    @contextmanager
    def limited(self, connection: Connection, seconds: float) -> Iterator[None]:
        """Stop statements that take longer: ServiceError TIMEOUT."""
        yield

    def close(self) -> None:
        """Close every connection, and let another server have it."""


class SqliteBackend:
    """A file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = _lock_file(path)
        _create_for_us_alone(path)
        self.engine = create_engine(f"sqlite:///{path}", pool_size=8, max_overflow=8)
        event.listen(self.engine, "connect", self._prepare)
        event.listen(self.engine, "begin", self._begin)

    def __str__(self) -> str:
        return str(self._path)

    @staticmethod
    def _prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        # The driver must not begin transactions of its own: `_begin` does, knowingly.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @staticmethod
    def _begin(connection: Connection) -> None:
        # BEGIN IMMEDIATE: a reader that turns writer halfway can fail where no wait helps.
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    @contextmanager
    def limited(self, connection: Connection, seconds: float) -> Iterator[None]:
        """Let SQLite look at the time now and then."""
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        deadline = time.monotonic() + seconds
        driver.set_progress_handler(lambda: time.monotonic() > deadline, _LOOK_EVERY)
        try:
            yield
        except DBAPIError as error:
            if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_INTERRUPT:
                raise
            raise _takes_too_long() from error
        finally:
            driver.set_progress_handler(None, 0)

    def close(self) -> None:
        """Close every connection, and let go of the file."""
        self.engine.dispose()
        os.close(self._lock)


class PostgresBackend:
    """A database of a PostgreSQL server, by its URL."""

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
            if parsed.get_backend_name() not in {"postgresql", "postgres"}:
                raise SettingsError(_POSTGRES_URL)
            parsed = parsed.set(drivername="postgresql+psycopg")
            self._name = parsed.render_as_string(hide_password=True)
            # A reader sees one state from its first statement on.
            self.engine = create_engine(
                parsed, pool_size=8, max_overflow=8, isolation_level="REPEATABLE READ"
            )
        except ArgumentError as error:
            raise SettingsError(_POSTGRES_URL) from error
        except ImportError as error:
            raise SettingsError(
                f"DATABASE_URL requires the driver psycopg ({error}): "
                "run `pip install 'hextrackr-server[postgres]'`"
            ) from error
        event.listen(self.engine, "begin", self._begin)
        self._held = self._hold()

    def __str__(self) -> str:
        return self._name

    def _hold(self) -> Connection:
        """A connection that keeps other servers out for as long as it lives."""
        try:
            held = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            free = held.scalar(text(f"SELECT pg_try_advisory_lock({_SERVER_LOCK})"))
        except DBAPIError as error:
            self.engine.dispose()
            reason = str(error.orig).strip().splitlines()[0]
            raise SettingsError(f"the database {self} cannot be opened: {reason}") from error
        if not free:
            held.close()
            self.engine.dispose()
            raise SettingsError(
                f"the database {self} is in use by another server: stop it, or choose another one"
            )
        return held

    @staticmethod
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get(WRITES, False):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {BUSY_TIMEOUT_MS}")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")

    @contextmanager
    def limited(self, connection: Connection, seconds: float) -> Iterator[None]:
        """Let the server look at the time; each statement has as long."""
        milliseconds = max(1, round(seconds * 1000))
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")
        try:
            yield
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _QUERY_CANCELED:
                raise
            raise _takes_too_long() from error

    def close(self) -> None:
        """Close every connection."""
        # The lock goes with its connection, but not before the server has noticed.
        with contextlib.suppress(DBAPIError):
            self._held.execute(text(f"SELECT pg_advisory_unlock({_SERVER_LOCK})"))
        self._held.close()
        self.engine.dispose()


def open_backend(target: Path | str) -> Backend:
    """The database of a path, or of a URL such as postgresql://user@host/name."""
    return SqliteBackend(target) if isinstance(target, Path) else PostgresBackend(target)


def _takes_too_long() -> ServiceError:
    message = "The answer takes too long to find: narrow the question"
    return ServiceError(ErrorCode.TIMEOUT, message)


def _create_for_us_alone(path: Path) -> None:
    """A new file that no other user of this machine can read; SQLite's others go by it."""
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _lock_file(path: Path) -> int:
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
