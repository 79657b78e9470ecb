"""Reports of failed events: to the client and to the log.

A client that requested an acknowledgement receives the error there; other clients receive
`application-error`. Texts of expected errors are sent. For an unexpected error, the client
receives an error ID that the log contains too.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Annotated, Any, NamedTuple

from hextrackr_server.clock import Clock
from hextrackr_server.errors import ErrorCode, ServiceError
from hextrackr_server.security.rate_limiter import RateLimiter
from hextrackr_server.sockets.authenticator import namespaces
from hextrackr_server.sockets.payloads.common import Refusal
from hextrackr_server.telemetry.failures import answer_of, log_failure
from hextrackr_server.telemetry.metrics import Metrics
from socketio_core import AckError, DocumentedAs, PayloadValidationError, Socket, SocketServer

logger = logging.getLogger(__name__)

MAXIMUM_NAME = 64
INTERNAL_ERROR = "An error occurred processing your request"


class _Failure(NamedTuple):
    """A failed event; holding `error` keeps its `id()` unique."""

    error: BaseException
    socket: Any
    event: str
    error_id: str


class ErrorReporter:
    """Converter of exceptions of handlers to acknowledgements and events."""

    def __init__(self, clock: Clock, limiter: RateLimiter, metrics: Metrics) -> None:
        self._clock = clock
        self._limiter = limiter
        self._metrics = metrics
        self._unanswered: dict[int, _Failure] = {}

    def register(self, io: SocketServer) -> None:
        """Receive all errors of handlers, and events without a handler."""
        io.on_error(self.report)
        for namespace in namespaces(io):
            namespace.on_unhandled(_unknown)

    def ack(self, error: BaseException) -> Annotated[dict[str, Any], DocumentedAs(Refusal)]:
        """Return the acknowledgement of a failed event: `{success: false, error, code, ...}`."""
        failure = self._unanswered.pop(id(error), None)
        body = _body_of(error)
        body["error"] = body.pop("message")
        if failure is not None and failure.error_id:
            body["errorId"] = failure.error_id
        return {"success": False} | body

    def report(self, error: BaseException, socket: Any, event: str) -> None:
        """Log an error, and send it as an event unless an acknowledgement contains it."""
        is_answer = isinstance(error, AckError | PayloadValidationError | ServiceError)
        error_id = "" if is_answer else secrets.token_hex(4)
        if not is_answer:
            self._metrics.error("handler")
            log_failure(
                logger,
                "event handler failed",
                error,
                event=event,
                socket=socket.id,
                **_client_of(socket),
                errorId=error_id,
            )
        self._unanswered[id(error)] = _Failure(error, socket, event, error_id)
        # The caller sends a requested acknowledgement synchronously after this call, and `ack` then
        # removes the entry. Otherwise it is still there in the next loop iteration.
        asyncio.get_running_loop().call_soon(self._emit_error, id(error))

    def _emit_error(self, key: int) -> None:
        failure = self._unanswered.pop(key, None)
        if failure is None or not isinstance(failure.socket, Socket):
            return
        socket, body = failure.socket, _body_of(failure.error)
        if not socket.connected:
            return
        limits = socket.data["limits"]
        if body["code"] == ErrorCode.RATE_LIMITED and not self._limiter.is_answered(limits):
            return
        body |= {"event": failure.event[:MAXIMUM_NAME], "timestamp": self._clock.epoch_ms()}
        if failure.error_id:
            body["errorId"] = failure.error_id
        socket.emit("application-error", body)


def _client_of(socket: Any) -> dict[str, str]:
    """Return the user, once logged in, and the address of a socket, as fields of a log line."""
    if not isinstance(socket, Socket):
        return {}
    principal = socket.data.get("principal")
    user = {} if principal is None else {"user": principal.user_id}
    return user | {"address": socket.handshake.address}


def _unknown(socket: Socket, event: Any) -> None:
    raise AckError(str(ErrorCode.UNKNOWN_EVENT), "Unknown event")


def _body_of(error: BaseException) -> dict[str, Any]:
    """Return `{code, message, fields?, details?}` with texts that clients may read."""
    body: dict[str, Any] = {"code": str(ErrorCode.HANDLER_ERROR), "message": INTERNAL_ERROR}
    if isinstance(error, AckError):
        more = error.data if isinstance(error.data, dict) else {"details": error.data}
        body = {"code": error.code, "message": error.message} | more
    elif isinstance(error, ServiceError):
        body = {"code": str(error.code), "message": error.message, "fields": error.fields}
    elif answer := answer_of(error):
        body = {"code": str(ErrorCode.UNAVAILABLE), "message": answer}
    elif isinstance(error, PayloadValidationError):
        body = {
            "code": str(ErrorCode.VALIDATION_ERROR),
            "message": error.message,
            "fields": error.fields,
        }
    if body["code"] == ErrorCode.VALIDATION_ERROR:
        body["fields"] = body.get("fields") or []
    return {name: value for name, value in body.items() if value is not None}
