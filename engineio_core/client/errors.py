"""The error of a client whose connection fails."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import orjson

from engineio_core.errors import EngineError

#: Bytes of the body of a refusal that the error keeps.
_BODY: Final = 1000


class TransportError(EngineError):
    """A connection that failed or was refused.

    `status` is the HTTP status of a refusal, else None. `body` is the start of its body: Engine.IO
    servers send `{"code":…,"message":…}`.
    """

    def __init__(self, message: str, *, status: int | None = None, body: bytes = b"") -> None:
        super().__init__(message)
        self.status = status
        self.body = body


def refused(request: str, status: int, body: bytes) -> TransportError:
    """Return the error of a request that the server refused, with the message in its body."""
    text, body = f"the server answered {request} with status {status}", body[:_BODY]
    with suppress(ValueError):
        answer = orjson.loads(body)
        if isinstance(answer, dict) and isinstance(answer.get("message"), str):
            text += f": {answer['message']!r}"
    return TransportError(text, status=status, body=body)
