"""Errors of the client, and the reasons of its disconnections.

SocketError
+-- ConnectError              the server refused a namespace
|    +-- ConnectionFailedError    the connection could not be established
+-- BufferFullError           too many bytes wait to be sent
"""

from __future__ import annotations

from enum import StrEnum

from engineio_core.client.errors import TransportError
from socketio_core.errors import ConnectError, SocketError


class ConnectionFailedError(ConnectError):
    """The connection could not be established; `__cause__` is the error of the transport.

    `status` is the HTTP status of a refusal, else None.
    """

    def __init__(self, message: str, cause: Exception | None) -> None:
        super().__init__(message)
        self.status: int | None = None
        if isinstance(cause, TransportError | ConnectionFailedError):
            self.status = cause.status
        self.__cause__ = cause


class BufferFullError(SocketError):
    """The unsent packets have reached `max_buffer_size`; the event was not queued."""


class ClientDisconnectReason(StrEnum):
    """The first argument of "disconnect" handlers: the strings of the official client."""

    IO_SERVER_DISCONNECT = "io server disconnect"
    """The server disconnected the socket; the client does not reconnect by itself."""
    IO_CLIENT_DISCONNECT = "io client disconnect"
    """The program called `disconnect` or `close`."""
    PING_TIMEOUT = "ping timeout"
    """The server sent no heartbeat in time."""
    TRANSPORT_CLOSE = "transport close"
    """The connection was closed, by the server or the network."""
    TRANSPORT_ERROR = "transport error"
    """A request of polling failed."""
    PARSE_ERROR = "parse error"
    """The server sent an invalid packet."""
    FORCED_CLOSE = "forced close"
