"""Types of the acknowledgements and errors of all events."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from hextrackr_server.errors import ErrorCode, FieldProblem


class Success(TypedDict):
    """The acknowledgement of an event without a result."""

    success: Literal[True]


class Refusal(TypedDict):
    """The acknowledgement of a failed event."""

    success: Literal[False]
    error: str
    code: ErrorCode
    fields: NotRequired[list[FieldProblem]]
    details: NotRequired[Any]
    retryAfterMs: NotRequired[int]
    errorId: NotRequired[str]


class ApplicationError(TypedDict):
    """An error that no acknowledgement contains."""

    code: ErrorCode
    message: str
    timestamp: int
    event: NotRequired[str]
    fields: NotRequired[list[FieldProblem]]
    details: NotRequired[Any]
    retryAfterMs: NotRequired[int]
    errorId: NotRequired[str]
