"""Tests of the log lines of failures."""

from __future__ import annotations

import errno
import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy.exc
from sqlalchemy.exc import OperationalError
from starlette.requests import ClientDisconnect

from engineio_core.http.asgi_response import ClientLeftError
from hextrackr_server.errors import (
    FILES_EXHAUSTED,
    STORAGE_FULL,
    STORAGE_REFUSED,
    DatabaseInUseError,
)
from hextrackr_server.security.session_store import StoreUnavailableError
from hextrackr_server.telemetry.failures import (
    DATABASE_BUSY,
    DATABASE_CANCELED,
    DATABASE_DAMAGED,
    DATABASE_DENIED,
    DATABASE_GONE,
    DISK_FULL,
    answer_of,
    log_failure,
)
from socketio_core import AckTimeoutError, DisconnectedError
from socketio_core.errors import UnsendableResultError

logger = logging.getLogger("hextrackr_server.test")


def full_file() -> OSError:
    """Return the error of a write to a full device."""
    with pytest.raises(OSError) as failure, open("/dev/full", "wb", buffering=0) as file:
        file.write(b"x")
    return failure.value


def full_sqlite() -> sqlite3.Error:
    """Return SQLite's error for a database that cannot grow."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("PRAGMA max_page_count = 2")
        with pytest.raises(sqlite3.OperationalError) as failure:
            connection.execute("INSERT INTO t VALUES (?)", ("x" * 100_000,))
    return failure.value


class PostgresError(Exception):
    """An error of psycopg with a SQLSTATE."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


def lost_postgres() -> Exception:
    """Return psycopg's error for a server that does not answer."""
    with pytest.raises(psycopg.OperationalError) as failure:
        psycopg.connect("postgresql://127.0.0.1:9/x", connect_timeout=2)
    return failure.value


def sqlite_error(code: int) -> sqlite3.Error:
    """Return an error of SQLite with a result code."""
    error = sqlite3.OperationalError("failed")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (full_file(), DISK_FULL),
        (OSError(errno.EDQUOT, "quota"), DISK_FULL),
        (full_sqlite(), DISK_FULL),
        (PostgresError("53100"), DISK_FULL),
        (OperationalError("INSERT", {}, full_sqlite()), DISK_FULL),
        (sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT), DATABASE_BUSY),
        (sqlite_error(sqlite3.SQLITE_LOCKED), DATABASE_BUSY),
        (PostgresError("55P03"), DATABASE_BUSY),
        (PostgresError("40P01"), DATABASE_BUSY),
        (sqlalchemy.exc.TimeoutError(), DATABASE_BUSY),
        (lost_postgres(), DATABASE_GONE),
        (PostgresError("57P01"), DATABASE_GONE),
        (PostgresError("08006"), DATABASE_GONE),
        (PostgresError("53300"), DATABASE_GONE),
        (OperationalError("SELECT", {}, Exception(), connection_invalidated=True), DATABASE_GONE),
        (sqlite_error(sqlite3.SQLITE_IOERR_WRITE), DATABASE_DAMAGED),
        (sqlite_error(sqlite3.SQLITE_CANTOPEN_ISDIR), DATABASE_DAMAGED),
        (sqlite_error(sqlite3.SQLITE_READONLY_DBMOVED), DATABASE_DAMAGED),
        (PostgresError("25006"), DATABASE_DAMAGED),
        (PostgresError("58030"), DATABASE_DAMAGED),
        (PostgresError("XX002"), DATABASE_DAMAGED),
        (PostgresError("57014"), DATABASE_CANCELED),
        (PostgresError("42501"), DATABASE_DENIED),
        (PostgresError("25P03"), DATABASE_GONE),
        (PostgresError("57P05"), DATABASE_GONE),
        (DatabaseInUseError("in use by another server"), "another server"),
        (OSError(errno.EROFS, "read-only"), "read-only"),
        (PermissionError(errno.EACCES, "denied", "x.csv"), "x.csv"),
        (OSError(errno.EFBIG, "File too large"), "too large"),
        (ConnectionResetError(), "connection was lost"),
        (BrokenPipeError(), "connection was lost"),
        (TimeoutError(), "in time"),
        (ClientDisconnect(), "left"),
        (ClientLeftError("x"), "left"),
        (StoreUnavailableError("the session store x cannot be read"), "store x"),
        (DisconnectedError(), "socket has been disconnected"),
        (AckTimeoutError(), ""),
        (UnsendableResultError("a set cannot be sent"), "a set cannot be sent"),
    ],
)
def test_condition_is_logged_in_one_line_with_a_traceback_at_debug(
    caplog: pytest.LogCaptureFixture, error: Exception, reason: str
) -> None:
    caplog.set_level(logging.INFO)
    assert reason in str(log_failure(logger, "it failed", error, socket="s"))
    caplog.set_level(logging.DEBUG)
    log_failure(logger, "it failed", error)
    terse, detailed = [each for each in caplog.records if each.name == logger.name]
    assert (terse.exc_info, terse.getMessage()) == (None, "it failed")
    assert reason in terse.__dict__["fields"]["reason"]
    assert terse.__dict__["fields"]["socket"] == "s"
    assert detailed.exc_info is not None


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("ENOSPC", STORAGE_FULL),
        ("EROFS", STORAGE_REFUSED),
        ("EACCES", STORAGE_REFUSED),
        ("EFBIG", STORAGE_REFUSED),
        ("EIO", STORAGE_REFUSED),
        ("EMFILE", FILES_EXHAUSTED),
        ("ENFILE", FILES_EXHAUSTED),
        ("ENOENT", None),
        ("ECONNRESET", None),
    ],
)
def test_error_of_a_file_has_an_answer_for_users_unless_it_may_be_a_bug(
    number: str, answer: str | None
) -> None:
    error = OSError(getattr(errno, number), "it failed", "/secret/path")
    assert answer_of(error) == answer


def test_bug_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    errors = (
        ValueError("x"),
        FileNotFoundError(errno.ENOENT, "x", str(tmp_path)),
        sqlite_error(sqlite3.SQLITE_CONSTRAINT_UNIQUE),
        PostgresError("23505"),
        OperationalError("SELECT", {}, sqlite_error(sqlite3.SQLITE_ERROR)),
        sqlite3.ProgrammingError("closed"),
    )
    for error in errors:
        assert log_failure(logger, "it failed", error) is None
    assert all(record.exc_info for record in caplog.records)
    assert len(caplog.records) == len(errors)
