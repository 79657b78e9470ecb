"""Engine.IO errors and their effect on the connection.

    EngineError
     +-- ProtocolError                  the peer broke a rule of the protocol
     |    +-- HandshakeRefusedError     the server refuses a request with one of the codes 0 to 5
     +-- SessionClosedError             the session ended during an await

A ProtocolError carries its effect: HTTP status, WebSocket close code, close reason. Two places turn
errors into bytes: `WebSocketTransport.data_received` and the response path of HTTP. Misuse by the
program raises RuntimeError, TypeError or ValueError.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple


class CloseReason(StrEnum):
    """The reason why a session ended: the strings of Node's server, and `SLOW_CONSUMER`."""

    TRANSPORT_ERROR = "transport error"
    TRANSPORT_CLOSE = "transport close"
    FORCED_CLOSE = "forced close"
    PING_TIMEOUT = "ping timeout"
    PARSE_ERROR = "parse error"
    SLOW_CONSUMER = "slow consumer"


class Refusal(NamedTuple):
    """A refusal of a request: the code and message of its body, and the HTTP status."""

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
    """Base class of the errors that clients and connections cause."""


class ProtocolError(EngineError):
    """A violation of the protocol by the peer.

    `reason` is the close reason of the session. `status` is the status of the HTTP response, whose
    body is empty. `websocket_code` is the code of the close frame; None sends an empty frame.
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
    """A refused request; the body of the response is `{"code":…,"message":…}`."""

    def __init__(
        self, refusal: Refusal, context: dict[str, Any] | None = None, *, message: str | None = None
    ) -> None:
        super().__init__(message or refusal.message, status=refusal.status)
        self.refusal = refusal
        self.context = context or {}


class SessionClosedError(EngineError):
    """The session ended during an await; `reason` is its close reason."""

    def __init__(self, reason: CloseReason) -> None:
        super().__init__(f"the session has closed: {reason}")
        self.reason = reason
