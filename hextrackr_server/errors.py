"""Errors of the services, with texts that clients may read, and their HTTP status.

HexTrackrError
 +-- ServiceError            a rejected request; the text is safe to show
 +-- UnavailableError        a program or file outside of the hub that does not work at the moment
 |    +-- DatabaseBusyError
 |    +-- DatabaseFileLostError
 +-- SettingsError           an unusable configuration; one line that names the remedy
 |    +-- DatabaseInUseError
 +-- ImportInterruptedError  a request to stop the running import
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, TypedDict


class ErrorCode(StrEnum):
    """Error codes in acknowledgements, in events and in HTTP bodies."""

    VALIDATION_ERROR = "VALIDATION_ERROR"
    UNAUTHORIZED = "UNAUTHORIZED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    CONFLICT = "CONFLICT"
    TOO_LARGE = "TOO_LARGE"
    IMPORT_FAILED = "IMPORT_FAILED"
    INTERRUPTED = "INTERRUPTED"
    CANCELLED = "CANCELLED"
    STALLED = "STALLED"
    TIMEOUT = "TIMEOUT"
    HANDLER_ERROR = "HANDLER_ERROR"
    SESSION_EXPIRED = "SESSION_EXPIRED"
    RATE_LIMITED = "RATE_LIMITED"
    UNKNOWN_EVENT = "UNKNOWN_EVENT"
    MAINTENANCE = "MAINTENANCE"
    UNAVAILABLE = "UNAVAILABLE"


HTTP_STATUS: dict[ErrorCode, int] = {
    ErrorCode.VALIDATION_ERROR: 400,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.CONFLICT: 409,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.IMPORT_FAILED: 422,
    ErrorCode.INTERRUPTED: 503,
    ErrorCode.CANCELLED: 409,
    ErrorCode.STALLED: 503,
    ErrorCode.TIMEOUT: 503,
    ErrorCode.HANDLER_ERROR: 500,
    ErrorCode.SESSION_EXPIRED: 401,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.UNKNOWN_EVENT: 400,
    ErrorCode.MAINTENANCE: 503,
    ErrorCode.UNAVAILABLE: 503,
}


#: Fields that the error of a request names; a client can send tens of thousands.
MAXIMUM_PROBLEMS = 20

#: The answer to a request that needs space, while the disk of the server is full.
STORAGE_FULL = "The disk of the server is full: ask its operator to free space, then try again"

#: The answer to a request that needs a file that the operating system refuses to open or to write.
STORAGE_REFUSED = (
    "The server cannot read or write its files: ask its operator for the reason in its log, "
    "then try again"
)

#: The answer to a request that needs a file, while the server has as many as it may open.
FILES_EXHAUSTED = "The server has too many open files and connections: try again later"

#: The answer to a request that needs the database, while the database does not work.
DATABASE_UNAVAILABLE = "The database of the server is not available: try again later"

#: The answer to a request that writes, after the file of the database was deleted or replaced.
DATABASE_LOST = (
    "The database file of the server is missing: ask its operator to restore the file, "
    "then try again"
)


class FieldProblem(TypedDict):
    """A field of a payload or file, and the problem with its value."""

    path: str
    message: str


class HexTrackrError(Exception):
    """Base class of the exceptions of this package."""


class ServiceError(HexTrackrError):
    """A rejected request; its code, message and fields may be shown to the client."""

    def __init__(
        self, code: ErrorCode, message: str, *, fields: Sequence[FieldProblem] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fields = list(fields) if fields else None

    def body(self) -> dict[str, Any]:
        """Return the error as clients receive it: `{success, error, code, fields?}`."""
        body: dict[str, Any] = {"success": False, "error": self.message, "code": str(self.code)}
        if self.fields is not None:
            body["fields"] = self.fields
        return body


def invalid(message: str, problems: Iterable[tuple[str, str]] = ()) -> ServiceError:
    """Return a VALIDATION_ERROR with fields, given as (path, message) pairs."""
    fields = [FieldProblem(path=path, message=text) for path, text in problems]
    return ServiceError(ErrorCode.VALIDATION_ERROR, message, fields=fields)


class UnavailableError(HexTrackrError):
    """A program or file outside of the hub that does not work; the text is one line for the log."""


class DatabaseBusyError(UnavailableError):
    """Another write of this server to the database does not end."""

    def __init__(self) -> None:
        super().__init__("another write to the database does not end")


class DatabaseFileLostError(UnavailableError):
    """The file of the database was deleted or replaced while the server uses it.

    SQLite continues to write the file that has no name any more: the data ends with the process.
    """

    def __init__(self) -> None:
        super().__init__(
            "the database file was deleted or replaced while the server uses it: stop the server, "
            "restore the file from a backup, then start the server"
        )


class SettingsError(HexTrackrError):
    """An unusable configuration; the text is one line and names the remedy."""


class DatabaseInUseError(SettingsError):
    """Another server uses the database."""


class ImportInterruptedError(HexTrackrError):
    """A request to stop the running import, which leaves the findings unchanged."""
