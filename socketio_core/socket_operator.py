"""An event for one socket, with flags.

Knows: the flags.  Does not know: how the event goes out: the socket does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from socketio_core.socket import Socket


class SocketOperator:
    """An event for one socket, with flags; each method returns a new one."""

    __slots__ = ("_compress", "_socket", "_timeout", "_volatile")

    def __init__(
        self,
        socket: Socket,
        *,
        volatile: bool = False,
        compress: bool = True,
        timeout: float | None = None,
    ) -> None:
        self._socket = socket
        self._volatile = volatile
        self._compress = compress
        self._timeout = timeout

    @property
    def volatile(self) -> SocketOperator:
        """Drop the event if it can't leave at once."""
        return self._with(volatile=True)

    def compress(self, compress: bool) -> SocketOperator:
        """Say whether the transport may compress the event."""
        return self._with(compress=compress)

    def timeout(self, seconds: float) -> SocketOperator:
        """Give the ack this long."""
        return self._with(timeout=seconds)

    def _with(self, **changes: Any) -> SocketOperator:
        flags = {"volatile": self._volatile, "compress": self._compress, "timeout": self._timeout}
        return SocketOperator(self._socket, **{**flags, **changes})

    def emit(self, event: str, *args: Any) -> None:
        """Send the event."""
        socket, data = self._socket, [event, *args]
        socket.namespace.adapter.send_direct(
            socket, data, volatile=self._volatile, compress=self._compress
        )
        socket.notify_outgoing(data)

    async def emit_with_ack(self, event: str, *args: Any) -> Any:
        """Send the event and await the first argument of its ack. Raises AckTimeoutError."""
        return await self._socket.ask(event, args, self._timeout)
