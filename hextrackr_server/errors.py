"""What a service refuses, in words that a client may read.

Knows: the error codes of the contract and the HTTP status that each one has.
Does not know: how a refusal travels; the handlers turn it into an ack, `http_api` into a response.

    HexTrackrError
     +-- ServiceError        the caller asked for something that is not given; safe to show
     +-- SettingsError       the configuration cannot be used; one line that says what to do
     +-- ImportInterrupted   an import is told to stop: cancelled, or the server ends
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, TypedDict


class ErrorCode(StrEnum):
    """The codes that clients see in acks, in events and in HTTP bodies."""

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


class FieldProblem(TypedDict):
    """One field of a payload or file, and what is wrong with it."""

    path: str
    message: str


class HexTrackrError(Exception):
    """The root of everything that this package raises on purpose."""


class ServiceError(HexTrackrError):
    """A refusal whose code, message and fields may be shown to the client."""

    def __init__(
        self, code: ErrorCode, message: str, *, fields: Sequence[FieldProblem] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fields = list(fields) if fields else None

    def body(self) -> dict[str, Any]:
        """The refusal as clients read it: `{success, error, code, fields?}`."""
        body: dict[str, Any] = {"success": False, "error": self.message, "code": str(self.code)}
        if self.fields is not None:
            body["fields"] = self.fields
        return body


def invalid(message: str, problems: Iterable[tuple[str, str]] = ()) -> ServiceError:
    """A VALIDATION_ERROR with its fields, as (path, message) pairs."""
    fields = [FieldProblem(path=path, message=text) for path, text in problems]
    return ServiceError(ErrorCode.VALIDATION_ERROR, message, fields=fields)


class SettingsError(HexTrackrError):
    """The configuration cannot be used; the text is one line and says what to do."""


class ImportInterrupted(HexTrackrError):
    """The import is told to stop: it gives up and leaves the findings as they were."""
