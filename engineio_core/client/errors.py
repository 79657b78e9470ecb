"""The error of a client whose connection fails."""

from __future__ import annotations

from typing import Final

import orjson

from engineio_core.errors import EngineError

#: Bytes of the body of a refusal that the error keeps.
_BODY: Final = 1000
#: Characters of a plain text that the message of the error contains.
_LINE: Final = 200
#: The first characters of HTML and of JSON that was cut off.
_MARKUP: Final = ("", "<", "{", "[")


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
    """Return the error of a request that the server refused, with the message in its body.

    The message is that of Engine.IO, or the first line of a text that is neither JSON nor HTML.
    """
    text, body = f"the server answered {request} with status {status}", body[:_BODY]
    try:
        answer = orjson.loads(body)
    except ValueError:
        line = body.decode("utf-8", "replace").strip().partition("\n")[0].rstrip()[:_LINE]
        message = None if line[:1] in _MARKUP or not line.isprintable() else line
    else:
        message = answer.get("message") if isinstance(answer, dict) else None
    if isinstance(message, str):
        text += f": {message!r}"
    return TransportError(text, status=status, body=body)
