"""The error of a client whose connection fails."""

from __future__ import annotations

from engineio_core.errors import EngineError


class TransportError(EngineError):
    """A connection that failed or was refused.

    `status` is the HTTP status of a refusal, else None. `body` is the start of its body: Engine.IO
    servers send `{"code":…,"message":…}`.
    """

    def __init__(self, message: str, *, status: int | None = None, body: bytes = b"") -> None:
        super().__init__(message)
        self.status = status
        self.body = body
