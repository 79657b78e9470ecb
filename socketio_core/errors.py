"""Errors of Socket.IO.

    engineio_core.errors.ProtocolError
     +-- PacketError               the peer broke the packet grammar; its connection closes

    SocketError
     +-- ConnectError              raised by a middleware: the client gets a CONNECT_ERROR
     +-- AckError                  raised by a handler: the client's ack is an error
     +-- PayloadValidationError    the arguments of an event do not fit the handler's types
     +-- AckTimeoutError           an awaited ack did not come in time
     +-- DisconnectedError         an awaited ack cannot come any more

    TypeError
     +-- UnsendableResultError     the result of a handler cannot be sent as an ack

Misuse of the API raises `RuntimeError`, `TypeError` or `ValueError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engineio_core.errors import CloseReason, ProtocolError


class PacketError(ProtocolError):
    """A message that is no packet of Socket.IO; `slug` names the broken rule, and stays as it is.

    The slugs are `unknown_packet_type`, `illegal_attachments`, `too_many_attachments`,
    `attachments_too_large`, `invalid_namespace`, `invalid_ack_id`, `invalid_payload`,
    `text_while_reconstructing`, `binary_when_not_reconstructing` and `unexpected_text`.
    """

    def __init__(self, slug: str, description: str) -> None:
        # Node: a decoder's error closes the connection in good order, so the sockets see
        # "forced close"; "parse error" is kept for what is not even Engine.IO.
        super().__init__(description, reason=CloseReason.FORCED_CLOSE)
        self.slug = slug


class SocketError(Exception):
    """The root of what handlers, middlewares and awaited acks raise."""


class ConnectError(SocketError):
    """Refuses a client in a middleware; both parts are sent to it, so they hold no secrets."""

    def __init__(self, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


class AckError(SocketError):
    """Answers an event with a failure: a stable code, a message for people, details at will."""

    def __init__(self, code: str, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class PayloadValidationError(SocketError):
    """What a client sent does not fit; each field is `{"path": …, "message": …}`."""

    def __init__(self, message: str, fields: Sequence[dict[str, str]] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.fields = list(fields)


class AckTimeoutError(SocketError):
    """No ack came in time. A broadcast does not raise it: it tells who is missing."""

    def __init__(self, message: str = "operation has timed out") -> None:
        super().__init__(message)


class DisconnectedError(SocketError):
    """The client left, so what was awaited from it cannot come."""

    def __init__(self, message: str = "socket has been disconnected") -> None:
        super().__init__(message)


class UnsendableResultError(TypeError):
    """The result of a handler cannot be sent as an ack; the text names the value at fault."""
