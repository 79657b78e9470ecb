"""An event of a client with flags: volatile, timeout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from socketio_core.client.interface import Emitting
from socketio_core.misuse import EMITTED, check_duration


@final
class ClientOperator:
    """An event with flags; each method that sets a flag returns a new operator."""

    __slots__ = ("_is_volatile", "_socket", "_timeout")

    def __init__(
        self, socket: Emitting, *, volatile: bool = False, timeout: float | None = None
    ) -> None:
        self._socket = socket
        self._is_volatile = volatile
        self._timeout = timeout

    @property
    def volatile(self) -> ClientOperator:
        """An operator that drops the event if it cannot leave at once."""
        return ClientOperator(self._socket, volatile=True, timeout=self._timeout)

    def timeout(self, seconds: float) -> ClientOperator:
        """Set how many seconds to wait for the ack: an hour at most."""
        check_duration("timeout", seconds)
        return ClientOperator(self._socket, volatile=self._is_volatile, timeout=seconds)

    def emit(self, event: str, *args: Any, ack: Callable[..., Any] | None = None) -> None:
        """Send an event.

        With a timeout, `ack` is called with an error or None, then with the arguments of the ack.
        """
        self._socket._emit([event, *args], ack, self._timeout, self._is_volatile)
        return EMITTED

    async def emit_with_ack(self, event: str, *args: Any) -> Any:
        """Send an event and return the first argument of its ack.

        Raises AckTimeoutError, DisconnectedError or BufferFullError.
        """
        answer = await self._socket._request([event, *args], self._timeout, None, self._is_volatile)
        return answer[0] if answer else None
