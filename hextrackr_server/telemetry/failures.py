"""Log lines of failures: one line for a condition, a traceback for a bug.

A condition is a failure that the operator or a client causes, such as a full disk or a client that
left. Its traceback appears at level DEBUG.
"""

from __future__ import annotations

import errno
import logging
from typing import Any

from hextrackr_server.telemetry import log_setup
from socketio_core import AckTimeoutError, DisconnectedError
from socketio_core.errors import UnsendableResultError

DISK_FULL = "the disk of the server is full"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# Appendix A of the PostgreSQL documentation: disk_full.
_POSTGRES_DISK_FULL = "53100"


def log_failure(
    logger: logging.Logger, message: str, error: BaseException, **values: Any
) -> str | None:
    """Log a failure with fields; return the reason of a condition, None for a bug."""
    reason = reason_of(error)
    if reason is None:
        logger.error(message, exc_info=error, extra=log_setup.fields(**values))
    else:
        trace = error if logger.isEnabledFor(logging.DEBUG) else None
        fields = log_setup.fields(**values, reason=reason)
        logger.log(_level_of(error), message, exc_info=trace, extra=fields)
    return reason


def reason_of(error: BaseException) -> str | None:
    """Return the reason of a condition, or None for a bug."""
    if is_disk_full(error):
        return DISK_FULL
    if isinstance(error, DisconnectedError | AckTimeoutError):
        return f"the client did not answer: {error}"
    if isinstance(error, UnsendableResultError):
        return str(error)
    return None


def is_disk_full(error: BaseException) -> bool:
    """Return whether the operating system or a database reports a full disk."""
    driver_error = getattr(error, "orig", None) or error
    if isinstance(driver_error, OSError):
        return driver_error.errno in _FULL
    if getattr(driver_error, "sqlstate", None) == _POSTGRES_DISK_FULL:
        return True
    return getattr(driver_error, "sqlite_errorname", None) == "SQLITE_FULL"


def _level_of(error: BaseException) -> int:
    is_client = isinstance(error, DisconnectedError | AckTimeoutError)
    return logging.INFO if is_client else logging.ERROR
