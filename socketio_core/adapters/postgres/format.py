"""The notifications of the PostgreSQL adapter: `server:number:receiver:content`.

`server` identifies the sending process; `number` counts its notifications, so that receivers detect
repeated and lost ones. `receiver` is the uid of the only receiver, or empty. `content` is one of

- a message as JSON, which starts with a brace, if it is ASCII,
- `=` and the base64 form of a message as JSON or MessagePack,
- `#` and the id of the row whose payload is the message, because it is too long for a notification,
- nothing, for a check of the connection.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from typing import Final, NamedTuple

from socketio_core.adapters.cluster.message import MessageError

MAX_NOTIFICATION: Final = 7999
"""The bytes of a notification (PostgreSQL, NOTIFY: "shorter than 8000 bytes")."""
_LONGEST_NUMBER: Final = 18


class Notification(NamedTuple):
    """A received notification; either `message` or `row` is set, or neither."""

    server: str
    number: int
    receiver: str
    message: bytes | None
    row: int | None


def encode_content(message: bytes) -> str:
    """Return the content of a message, as long as it may be.

    Only ASCII is sent, because a database need not have the encoding UTF-8.
    """
    if message.startswith(b"{") and message.isascii():
        return message.decode()
    return "=" + b2a_base64(message, newline=False).decode()


def encode_head(server: str, number: int, receiver: str) -> str:
    """Return the part of a notification before its content."""
    return f"{server}:{number}:{receiver}:"


def fits(head: str, content: str) -> bool:
    """Return whether a notification is short enough; both parts are ASCII."""
    return len(head) + len(content) <= MAX_NOTIFICATION


def parse_notification(payload: str) -> Notification:
    """Return the parts of a notification. Raises MessageError."""
    parts = payload.split(":", 3)
    if len(parts) != 4 or not _is_number(parts[1]):
        raise MessageError("a notification must have the form server:number:receiver:content")
    server, number, receiver, content = parts
    message, row = None, None
    if content.startswith("{"):
        message = content.encode()
    elif content.startswith("="):
        try:
            message = a2b_base64(content[1:].encode())
        except ValueError as error:
            raise MessageError("the content of a notification must be base64") from error
    elif content.startswith("#") and _is_number(content[1:]):
        row = int(content[1:])
    elif content:
        raise MessageError("the content of a notification has an unknown form")
    return Notification(server, int(number), receiver, message, row)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER


class Senders:
    """The last numbers of other servers: each notification is accepted once, and gaps counted."""

    __slots__ = ("_last", "lost")

    MAX_SENDERS: Final = 10_000

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self.lost = 0
        """The number of notifications that other servers sent and this one did not receive."""

    def accept(self, server: str, number: int) -> bool:
        """Return whether a notification is new."""
        last = self._last.pop(server, None)
        if last is not None and number <= last:
            self._last[server] = last
            return False
        if last is not None:
            self.lost += number - last - 1
        elif len(self._last) >= self.MAX_SENDERS:
            del self._last[next(iter(self._last))]  # the one that has been silent the longest
        self._last[server] = number
        return True
