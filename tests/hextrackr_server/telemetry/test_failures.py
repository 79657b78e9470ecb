"""Tests of the log lines of failures."""

from __future__ import annotations

import errno
import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hextrackr_server.telemetry.failures import DISK_FULL, log_failure
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


class FullPostgres(Exception):
    """An error of psycopg with the code of a full disk."""

    sqlstate = "53100"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (full_file(), DISK_FULL),
        (OSError(errno.EDQUOT, "quota"), DISK_FULL),
        (full_sqlite(), DISK_FULL),
        (FullPostgres(), DISK_FULL),
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
    terse, detailed = caplog.records
    assert (terse.exc_info, terse.getMessage()) == (None, "it failed")
    assert reason in terse.__dict__["fields"]["reason"]
    assert terse.__dict__["fields"]["socket"] == "s"
    assert detailed.exc_info is not None


def test_bug_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    for error in (ValueError("x"), FileNotFoundError(errno.ENOENT, "x", str(tmp_path))):
        assert log_failure(logger, "it failed", error) is None
    assert all(record.exc_info for record in caplog.records)
    assert len(caplog.records) == 2
