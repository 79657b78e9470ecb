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
    """An invalid Socket.IO packet; `slug` is the stable name of the violated rule.

    The slugs are `unknown_packet_type`, `illegal_attachments`, `too_many_attachments`,
    `attachments_too_large`, `invalid_namespace`, `invalid_ack_id`, `invalid_payload`,
    `text_while_reconstructing`, `binary_when_not_reconstructing` and `unexpected_text`.
    """

    def __init__(self, slug: str, description: str) -> None:
        # As with Node, a decoder error closes the connection cleanly, so the reason is
        # "forced close"; "parse error" is the reason of an invalid Engine.IO packet.
        super().__init__(description, reason=CloseReason.FORCED_CLOSE)
        self.slug = slug


class SocketError(Exception):
    """Base class of the errors of handlers, middlewares and awaited acks."""


class ConnectError(SocketError):
    """Raised by a middleware to refuse a client, which receives the message and the data."""

    def __init__(self, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


class AckError(SocketError):
    """Raised by a handler to answer an event with a failure.

    The client receives the stable code, the message for users, and optional data.
    """

    def __init__(self, code: str, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class PayloadValidationError(SocketError):
    """The arguments of an event do not fit the types of its handler.

    Each element of `fields` is `{"path": …, "message": …}`.
    """

    def __init__(self, message: str, fields: Sequence[dict[str, str]] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.fields = list(fields)


class AckTimeoutError(SocketError):
    """An ack did not arrive in time. A broadcast lists the missing sockets instead."""

    def __init__(self, message: str = "operation has timed out") -> None:
        super().__init__(message)


class DisconnectedError(SocketError):
    """The client left before it answered."""

    def __init__(self, message: str = "socket has been disconnected") -> None:
        super().__init__(message)


class UnsendableResultError(TypeError):
    """The result of a handler cannot be sent as an ack; the text names the value at fault."""

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result
