"""What may go wrong in Engine.IO, and what it does on the wire.

Knows: the close reasons, the refusals of a request, the consequence that each error carries.
Does not know: who turns an error into bytes. Two places do: `WebSocketTransport.data_received`
and the HTTP respond path.

    EngineError
     +-- ProtocolError             the peer broke a rule; carries what becomes of it
     |    +-- HandshakeRefusedError     a request that is answered with one of the codes 0 to 5
     +-- SessionClosedError             an await on a session that has ended meanwhile

Misuse by our own side is a `RuntimeError`, `TypeError` or `ValueError`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple


class CloseReason(StrEnum):
    """Why a session ended: the strings that Node's server uses, and one of our own."""

    TRANSPORT_ERROR = "transport error"
    TRANSPORT_CLOSE = "transport close"
    FORCED_CLOSE = "forced close"
    PING_TIMEOUT = "ping timeout"
    PARSE_ERROR = "parse error"
    SLOW_CONSUMER = "slow consumer"


class Refusal(NamedTuple):
    """One row of the table of refusals: the code and message of the body, the HTTP status."""

    code: int
    message: str
    status: int


UNKNOWN_TRANSPORT = Refusal(0, "Transport unknown", 400)
UNKNOWN_SID = Refusal(1, "Session ID unknown", 400)
BAD_HANDSHAKE_METHOD = Refusal(2, "Bad handshake method", 400)
BAD_REQUEST = Refusal(3, "Bad request", 400)
FORBIDDEN = Refusal(4, "Forbidden", 403)
UNSUPPORTED_PROTOCOL_VERSION = Refusal(5, "Unsupported protocol version", 400)


class EngineError(Exception):
    """The root of everything that this package raises on account of others."""


class ProtocolError(EngineError):
    """The peer broke a rule.

    `reason` is why its session closes, `status` answers an HTTP request (an empty body),
    `websocket_code` goes into the close frame (None: the frame is empty).
    """

    def __init__(
        self,
        description: str,
        *,
        reason: CloseReason = CloseReason.TRANSPORT_ERROR,
        status: int = 400,
        websocket_code: int | None = None,
    ) -> None:
        super().__init__(description)
        self.description = description
        self.reason = reason
        self.status = status
        self.websocket_code = websocket_code


class HandshakeRefusedError(ProtocolError):
    """A request that no session will answer; the body is `{"code":…,"message":…}`."""

    def __init__(
        self, refusal: Refusal, context: dict[str, Any] | None = None, *, message: str | None = None
    ) -> None:
        super().__init__(message or refusal.message, status=refusal.status)
        self.refusal = refusal
        self.context = context or {}


class SessionClosedError(EngineError):
    """The session ended while something waited for it; `reason` says why."""

    def __init__(self, reason: CloseReason) -> None:
        super().__init__(f"the session has closed: {reason}")
        self.reason = reason
