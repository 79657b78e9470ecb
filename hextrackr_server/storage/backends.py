"""SQLite and PostgreSQL backends: opening, exclusive use by one server, one writer at a time.

All functions block.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from hextrackr_server.errors import (
    DatabaseBusyError,
    DatabaseFileLostError,
    DatabaseInUseError,
    ErrorCode,
    ServiceError,
    SettingsError,
)
from hextrackr_server.storage.server_lock import ServerLock
from hextrackr_server.telemetry.failures import condition_of, log_failure

logger = logging.getLogger(__name__)

# Long enough for a writer to wait for the transaction that ends a large import.
BUSY_TIMEOUT_MS = 600_000
# The time that a writer waits for another program that locks a SQLite file.
FOREIGN_LOCK_MS = 30_000
#: SQLite cuts its write-ahead log to this size after a large transaction.
MAXIMUM_WAL_BYTES = 16 << 20
#: Execution option of transactions that write.
WRITES = "hextrackr_writes"

# SQLite virtual machine steps between two checks of the deadline, about 10 ms. Each check acquires
# the interpreter lock, which a running import holds: more frequent checks doubled the duration of
# queries.
_STEPS_BETWEEN_CHECKS = 500_000
# Arbitrary key of a PostgreSQL advisory lock.
_WRITER_LOCK = 4_854_202
# Settings of libpq, unless the URL has them: a connection whose network was cut ends within half a
# minute. By default, a statement waits for a quarter of an hour, and an idle connection for hours.
_NETWORK = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
#: Folder of the default database.
DEFAULT_FOLDER = Path("data")
#: Below this free space the server is not ready: each write may fail.
MINIMUM_FREE_BYTES = 1 << 20
_QUERY_CANCELED = "57014"
_POSTGRES_URL = "DATABASE_URL must be a URL such as postgresql://user@host/name"


def _shorten(record: logging.LogRecord) -> bool:
    """Replace the traceback of a connection that has ended by its reason.

    The pool logs it when it cannot roll a connection back.
    """
    error = record.exc_info[1] if record.exc_info else None
    condition = None if error is None else condition_of(error)
    if condition is not None and not logger.isEnabledFor(logging.DEBUG):
        record.exc_info = None
        record.msg, record.args = f"{record.getMessage()}: {condition.reason}", ()
    return True


logging.getLogger("sqlalchemy.pool.impl.QueuePool").addFilter(_shorten)


class Backend(Protocol):
    """An open database and its differences from other backends."""

    engine: Engine

    def __str__(self) -> str:
        """Return a printable name without a password."""

    def check_space(self) -> None:
        """Raise OSError (ENOSPC) if the disk of a local file has almost no free space."""

    def check_file(self) -> None:
        """Raise DatabaseFileLostError if a local file was deleted or replaced."""

    def check_lock(self) -> None:
        """Acquire the server lock again if it was lost.

        Raises DatabaseInUseError if another server has it, SettingsError without a connection.
        """

    def write_turn(self) -> AbstractContextManager[None]:
        """Wait until no other thread writes; raise DatabaseBusyError after BUSY_TIMEOUT_MS."""

    @contextmanager
    def limited(self, connection: Connection, seconds: float) -> Iterator[None]:
        """Stop slower statements; raise ServiceError TIMEOUT."""
        yield

    def shrink(self) -> None:
        """Release the disk space that a large transaction needed."""

    def close(self) -> None:
        """Close all connections and release the database for other servers."""


class SqliteBackend:
    """Backend for a SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = _lock_file(path)
        _create_private(path)
        self._file = _identity_of(path)
        self._writer = threading.Lock()
        self.engine = create_engine(f"sqlite:///{path}", pool_size=8, max_overflow=8)
        event.listen(self.engine, "connect", self._prepare)
        event.listen(self.engine, "begin", self._begin)

    def __str__(self) -> str:
        return str(self._path)

    @staticmethod
    def _prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        # The driver must not begin transactions: `_begin` does.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {FOREIGN_LOCK_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute(f"PRAGMA journal_size_limit = {MAXIMUM_WAL_BYTES}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @staticmethod
    def _begin(connection: Connection) -> None:
        # BEGIN IMMEDIATE: a read transaction that begins to write may fail with SQLITE_BUSY, which
        # waiting cannot resolve.
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    @contextmanager
    def write_turn(self) -> Iterator[None]:
        """Wait for the other writers of this process, for longer than for other programs."""
        if not self._writer.acquire(timeout=BUSY_TIMEOUT_MS / 1000):
            raise DatabaseBusyError
        try:
            yield
        finally:
            self._writer.release()

    def check_space(self) -> None:
        """Compare the free space of the file's disk with MINIMUM_FREE_BYTES."""
        if shutil.disk_usage(self._path.parent).free < MINIMUM_FREE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path.parent))

    def check_file(self) -> None:
        """Compare the file of the path with the one that the connections have open."""
        if self._file is not None and _identity_of(self._path) != self._file:
            raise DatabaseFileLostError

    def check_lock(self) -> None:  # noqa: D102 - the system releases the lock at process exit
        pass

    @contextmanager
    def limited(self, connection: Connection, seconds: float) -> Iterator[None]:
        """Check the deadline in SQLite's progress handler."""
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        deadline = time.monotonic() + seconds
        driver.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_CHECKS)
        try:
            yield
        except DBAPIError as error:
            if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_INTERRUPT:
                raise
            raise _timeout_error() from error
        finally:
            driver.set_progress_handler(None, 0)

    def shrink(self) -> None:
        """Empty the write-ahead log, unless a reader needs it; the next transaction then does.

        A failure is logged only: the transaction before is committed.
        """
        try:
            with self.engine.connect() as connection:
                driver = connection.connection.driver_connection
                assert isinstance(driver, sqlite3.Connection)
                driver.execute("PRAGMA busy_timeout = 0")
                try:
                    driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                finally:
                    driver.execute(f"PRAGMA busy_timeout = {FOREIGN_LOCK_MS}")
        except (sqlite3.Error, SQLAlchemyError) as error:
            log_failure(logger, "the log of the database cannot be emptied", error)

    def close(self) -> None:
        """Close all connections and release the lock file."""
        self.engine.dispose()
        os.close(self._lock)


class PostgresBackend:
    """Backend for a PostgreSQL database, given by its URL."""

    def __init__(self, url: str) -> None:
        self.engine = _postgres_engine(url)
        self._name = self.engine.url.render_as_string(hide_password=True)
        event.listen(self.engine, "begin", self._begin)
        try:
            self._lock = ServerLock(self.engine, self._name)
        except SettingsError:
            self.engine.dispose()
            raise

    def __str__(self) -> str:
        return self._name

    def write_turn(self) -> AbstractContextManager[None]:
        """Return an empty context: `_begin` waits for a lock of PostgreSQL."""
        return contextlib.nullcontext()

    def check_space(self) -> None:  # noqa: D102 - the disk belongs to another server
        pass

    def check_file(self) -> None:  # noqa: D102 - the files belong to another server
        pass

    def shrink(self) -> None:  # noqa: D102 - autovacuum belongs to another server
        pass

    def check_lock(self) -> None:
        """Use the connection that holds the lock: a restart of PostgreSQL ends both."""
        self._lock.check()

    def _begin(self, connection: Connection) -> None:
        if connection.get_execution_options().get(WRITES, False):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {BUSY_TIMEOUT_MS}")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")
            self._lock.verify(connection)

    @contextmanager
    def limited(self, connection: Connection, seconds: float) -> Iterator[None]:
        """Set the statement timeout, which applies to each statement separately."""
        milliseconds = max(1, round(seconds * 1000))
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")
        try:
            yield
        except Exception as error:  # COPY raises the error of the driver itself
            if getattr(getattr(error, "orig", error), "sqlstate", None) != _QUERY_CANCELED:
                raise
            raise _timeout_error() from error

    def close(self) -> None:
        """Release the server lock and close all connections."""
        self._lock.release()
        self.engine.dispose()


def open_backend(target: Path | str) -> Backend:
    """Open a path (SQLite) or a URL such as postgresql://user@host/name."""
    return SqliteBackend(target) if isinstance(target, Path) else PostgresBackend(target)


def _postgres_engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() not in {"postgresql", "postgres"}:
            raise SettingsError(_POSTGRES_URL)
        parsed = parsed.set(drivername="postgresql+psycopg")
        network = {name: value for name, value in _NETWORK.items() if name not in parsed.query}
        return create_engine(
            parsed,
            pool_size=8,
            max_overflow=8,
            # A read transaction uses one snapshot from its first statement on.
            isolation_level="REPEATABLE READ",
            connect_args=network,
        )
    except ArgumentError as error:
        raise SettingsError(_POSTGRES_URL) from error
    except ImportError as error:
        raise SettingsError(
            f"DATABASE_URL requires the driver psycopg ({error}): "
            "install the extra 'postgres', `pip install '.[postgres]'` in a clone"
        ) from error


@contextmanager
def read_only_connection(target: Path | str) -> Iterator[Connection | None]:
    """Yield a connection that changes nothing; None for a SQLite file that does not exist yet."""
    if isinstance(target, Path):
        check_path(target)
        if not target.exists():
            yield None
            return
        engine = create_engine(f"sqlite:///file:{quote(str(target.absolute()))}?mode=ro&uri=true")
    else:
        engine = _postgres_engine(target)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def check_path(path: Path) -> None:
    """Raise SettingsError if a path cannot be the file of a database.

    Only DEFAULT_FOLDER may be missing: the server creates it. Another missing folder is probably a
    typing error, or a volume that is not mounted.
    """
    if not path.name or path.is_dir():
        raise SettingsError(
            f"the database must be a file, got the folder {path}: use for example "
            f"{path / 'hextrackr.db'}"
        )
    if path.parent.is_file():
        raise SettingsError(
            f"the database {path} cannot be opened: {path.parent} is not a folder; "
            "choose another --database"
        )
    if path.parent != DEFAULT_FOLDER and not path.parent.is_dir():
        raise SettingsError(
            f"the folder {path.parent} of the database does not exist: create it, "
            "or choose another --database"
        )


def _timeout_error() -> ServiceError:
    message = "The query takes too long: narrow its filters"
    return ServiceError(ErrorCode.TIMEOUT, message)


def _create_private(path: Path) -> None:
    """Create a file that other users cannot read; SQLite copies its permissions to the WAL file."""
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _identity_of(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of a file; None if it does not exist."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _lock_file(path: Path) -> int:
    """Lock the database file for this process; the system releases the lock at process exit."""
    check_path(path)
    try:
        if path.parent == DEFAULT_FOLDER:
            path.parent.mkdir(exist_ok=True)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError(f"the database {path} cannot be opened: {reason}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise DatabaseInUseError(
            f"the database {path} is in use by another server: stop it, "
            "or choose another --database"
        ) from error
    return lock
