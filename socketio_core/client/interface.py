"""The interface between the manager of a client and its sockets."""

from __future__ import annotations

from typing import Any, Protocol

from engineio_core.clock import Clock
from engineio_core.codec.encoded_packet import EncodedPacket
from socketio_core.client.errors import ConnectionFailedError
from socketio_core.client.options import ClientOptions
from socketio_core.codec.packet import Decoded
from socketio_core.handlers.dispatch import Dispatch


class ManagedSocket(Protocol):
    """A socket, as its manager uses it."""

    @property
    def active(self) -> bool:
        """Whether the socket is connected, or connects by itself."""

    def disconnect(self) -> None:
        """Leave the namespace, and do not connect again."""

    def _connection_opened(self) -> None:
        """Send CONNECT over the new session."""

    def _connection_failed(self, error: ConnectionFailedError) -> None:
        """Report an attempt that failed."""

    def _connection_lost(self, reason: str, error: Exception | None) -> None:
        """Report the end of the session."""

    def _connection_ended(self) -> None:
        """Become inactive: no attempt to reconnect follows."""

    def _packet_received(self, packet: Decoded) -> None:
        """Handle a packet of the namespace."""

    def _waiting_amount(self) -> int:
        """Return the size of the events that wait for the connection, in bytes."""


class SocketManager(Protocol):
    """The manager, as its sockets use it."""

    options: ClientOptions
    dispatch: Dispatch
    sockets: dict[str, ManagedSocket]

    @property
    def _clock(self) -> Clock:
        """The clock of all timers."""

    @property
    def amount(self) -> int:
        """The size of all unsent packets in bytes."""

    @property
    def _buffer_size(self) -> int:
        """The maximum size of all unsent packets in bytes."""

    @property
    def received(self) -> int:
        """The number of bytes that the client has received in messages."""

    @property
    def _early_limit(self) -> int:
        """The maximum size of events that arrive before a CONNECT packet, in bytes."""

    @property
    def _connect_timeout(self) -> float:
        """The time for one attempt to connect, in seconds."""

    @property
    def is_open(self) -> bool:
        """Whether the session to the server is open."""

    @property
    def is_writable(self) -> bool:
        """Whether a packet would leave at once."""

    def _start(self) -> None:
        """Open the connection, unless it is open or being opened."""

    def _send(self, packets: tuple[EncodedPacket, ...]) -> None:
        """Send packets over the open session."""

    def _socket_left(self) -> None:
        """Close the connection if no socket is active any more."""

    def _refuse(self, error: Exception) -> None:
        """End the session: the server violates the protocol."""

    def _handler_suspended(self) -> None:
        """Count a handler that continues later."""

    def _handler_ended(self) -> None:
        """Count the end of a handler that had suspended."""

    async def _drain(self) -> None:
        """Wait until the session has no unsent packet."""


class Emitting(Protocol):
    """A socket, as its operator uses it."""

    def _emit(self, data: list[Any], ack: Any, timeout: float | None, volatile: bool) -> None:
        """Send an event, and call `ack` with its ack."""

    async def _request(
        self, data: list[Any], timeout: float | None, total: float | None, volatile: bool
    ) -> list[Any]:
        """Send an event, and return the arguments of its ack.

        `timeout` limits each attempt, `total` all attempts together.
        """
