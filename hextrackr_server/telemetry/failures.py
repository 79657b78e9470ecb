"""Log lines of failures: one line for a condition, a traceback for a bug.

A condition is a failure that the operator, a client or the environment causes, such as a full disk,
a client that left, or a database that does not answer. Its traceback appears at level DEBUG.
"""

from __future__ import annotations

import errno
import logging
import sqlite3
from typing import Any, NamedTuple

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.requests import ClientDisconnect

from engineio_core.http.asgi_response import ClientLeftError
from hextrackr_server.errors import (
    DATABASE_LOST,
    DATABASE_UNAVAILABLE,
    FILES_EXHAUSTED,
    STORAGE_FULL,
    STORAGE_REFUSED,
    DatabaseBusyError,
    DatabaseFileLostError,
    SettingsError,
    UnavailableError,
)
from hextrackr_server.telemetry import log_setup
from socketio_core import AckTimeoutError, DisconnectedError
from socketio_core.errors import UnsendableResultError

DISK_FULL = "the disk of the server is full"
DATABASE_BUSY = "the database is locked by another program, or by a long write"
DATABASE_GONE = "the database does not answer"
DATABASE_DAMAGED = "the database cannot be read or written"
DATABASE_CANCELED = "the database canceled a statement (statement_timeout, or an administrator)"
DATABASE_DENIED = "the database denies access to a table"


class Condition(NamedTuple):
    """A failure that is not a bug: the reason for the log, and the answer for clients, if any."""

    reason: str
    level: int = logging.ERROR
    answer: str | None = None


_FULL = Condition(DISK_FULL, answer=STORAGE_FULL)
_BUSY = Condition(DATABASE_BUSY, answer=DATABASE_UNAVAILABLE)
_GONE = Condition(DATABASE_GONE, answer=DATABASE_UNAVAILABLE)
_DAMAGED = Condition(DATABASE_DAMAGED, answer=DATABASE_UNAVAILABLE)
_CANCELED = Condition(DATABASE_CANCELED, answer=DATABASE_UNAVAILABLE)
_DENIED = Condition(DATABASE_DENIED, answer=DATABASE_UNAVAILABLE)

_DISK_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})
# Other errors of files and sockets may be bugs.
_ENVIRONMENT = {
    errno.EACCES: STORAGE_REFUSED,
    errno.EFBIG: STORAGE_REFUSED,  # the limit of the process, such as LimitFSIZE of systemd
    errno.EIO: STORAGE_REFUSED,
    errno.EPERM: STORAGE_REFUSED,
    errno.EROFS: STORAGE_REFUSED,
    errno.EMFILE: FILES_EXHAUSTED,
    errno.ENFILE: FILES_EXHAUSTED,
}
# Primary result codes of SQLite (https://www.sqlite.org/rescode.html).
_SQLITE = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_CANTOPEN: _DAMAGED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_IOERR: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_READONLY: _DAMAGED,
}
# Appendix A of the PostgreSQL documentation; two characters are a class.
_POSTGRES = {
    "08": _GONE,  # connection_exception
    "25006": _DAMAGED,  # read_only_sql_transaction
    "25P03": _GONE,  # idle_in_transaction_session_timeout
    "25P04": _GONE,  # transaction_timeout
    "40001": _BUSY,  # serialization_failure
    "40P01": _BUSY,  # deadlock_detected
    "42501": _DENIED,  # insufficient_privilege
    "53": _GONE,  # insufficient_resources
    "53100": _FULL,  # disk_full
    "55P03": _BUSY,  # lock_not_available
    "57014": _CANCELED,  # query_canceled
    "57P01": _GONE,  # admin_shutdown
    "57P02": _GONE,  # crash_shutdown
    "57P03": _GONE,  # cannot_connect_now
    "57P04": _GONE,  # database_dropped
    "57P05": _GONE,  # idle_session_timeout
    "58": _DAMAGED,  # system_error
    "XX001": _DAMAGED,  # data_corrupted
    "XX002": _DAMAGED,  # index_corrupted
}


def log_failure(
    logger: logging.Logger, message: str, error: BaseException, **values: Any
) -> str | None:
    """Log a failure with fields; return the reason of a condition, None for a bug."""
    condition = condition_of(error)
    if condition is None:
        logger.error(message, exc_info=error, extra=log_setup.fields(**values), stacklevel=2)
        return None
    trace = error if logger.isEnabledFor(logging.DEBUG) else None
    fields = log_setup.fields(**values, reason=condition.reason)
    # The limit of log lines counts per caller.
    logger.log(condition.level, message, exc_info=trace, extra=fields, stacklevel=2)
    return condition.reason


def condition_of(error: BaseException) -> Condition | None:
    """Return the condition that caused an error, or None for a bug."""
    if isinstance(error, DisconnectedError | AckTimeoutError):
        return Condition(f"the client did not answer: {error}", logging.INFO)
    if isinstance(error, ClientDisconnect | ClientLeftError):
        return Condition("the client left", logging.INFO)
    if isinstance(error, DatabaseFileLostError):
        return Condition(str(error), answer=DATABASE_LOST)
    if isinstance(error, SettingsError):  # of a database that was lost while the server runs
        return Condition(str(error), answer=DATABASE_UNAVAILABLE)
    if isinstance(error, PoolTimeoutError | DatabaseBusyError):
        return _BUSY
    if isinstance(error, UnsendableResultError | UnavailableError):
        return Condition(str(error))
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return _GONE
    driver_error = getattr(error, "orig", None) or error
    if isinstance(driver_error, OSError):
        return _condition_of_system_error(driver_error)
    if isinstance(driver_error, sqlite3.Error):
        return _SQLITE.get(getattr(driver_error, "sqlite_errorcode", 0) & 0xFF)
    return _condition_of_postgres_error(driver_error)


def is_database_gone(error: BaseException) -> bool:
    """Return whether the connection to the database was lost: a commit may have succeeded."""
    return condition_of(error) is _GONE


def answer_of(error: BaseException) -> str | None:
    """Return the text for clients if the database or the files of the server do not work."""
    condition = condition_of(error)
    return None if condition is None else condition.answer


def _condition_of_system_error(error: OSError) -> Condition | None:
    if error.errno in _DISK_FULL_ERRNOS:
        return _FULL
    if isinstance(error, BrokenPipeError | ConnectionAbortedError | ConnectionResetError):
        return Condition("the connection was lost", logging.INFO)
    if isinstance(error, TimeoutError):
        return Condition("no answer in time")
    if error.errno in _ENVIRONMENT:
        return Condition(str(error), answer=_ENVIRONMENT[error.errno])
    return None


def _condition_of_postgres_error(error: BaseException) -> Condition | None:
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return _POSTGRES.get(state) or _POSTGRES.get(state[:2])
    # psycopg is an extra. Its errors of lost and refused connections have no SQLSTATE.
    names = {f"{each.__module__}.{each.__name__}" for each in type(error).__mro__}
    return _GONE if "psycopg.OperationalError" in names else None
