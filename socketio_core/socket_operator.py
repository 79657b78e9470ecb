"""An event for one socket with flags: volatile, compress, timeout.

The socket sends the event.
"""

from __future__ import annotations

from typing import Any, Final, Never, Protocol, final

from engineio_core.options import check_bool
from socketio_core.broadcast import check_event
from socketio_core.misuse import EMIT_KEYWORDS, EMITTED, check_duration, refuse_keywords

_ACK: Final = "use 'answer = await ....emit_with_ack(event, *args)'"
_KEYWORDS: Final = EMIT_KEYWORDS | {"ack": _ACK, "callback": _ACK}


class FlagTarget(Protocol):
    """The part of a socket that its operator uses."""

    def _emit_with_flags(self, data: list[Any], *, volatile: bool, compress: bool) -> None:
        """Send an event, `[name, *args]`."""

    async def _emit_with_timeout(
        self, event: str, args: tuple[Any, ...], timeout: float | None
    ) -> Any:
        """Send an event and return the first argument of its ack."""


@final
class SocketOperator:
    """An event for one socket with flags; each method that sets a flag returns a new operator."""

    __slots__ = ("_compress", "_is_volatile", "_socket", "_timeout")

    def __init__(
        self,
        socket: FlagTarget,
        *,
        volatile: bool = False,
        compress: bool = True,
        timeout: float | None = None,
    ) -> None:
        self._socket = socket
        self._is_volatile = volatile  # mypyc derives C names: `_volatile` would be a keyword
        self._compress = compress
        self._timeout = timeout

    @property
    def volatile(self) -> SocketOperator:
        """An operator that drops the event if the client cannot receive it immediately."""
        return self._with(volatile=True)

    def compress(self, compress: bool) -> SocketOperator:
        """Set whether the transport may compress the event."""
        check_bool("compress", compress)
        return self._with(compress=compress)

    def timeout(self, seconds: float) -> SocketOperator:
        """Set how many seconds `emit_with_ack` waits for the ack, an hour at most."""
        check_duration("timeout", seconds)
        return self._with(timeout=seconds)

    def _with(self, **changes: Any) -> SocketOperator:
        flags = {
            "volatile": self._is_volatile,
            "compress": self._compress,
            "timeout": self._timeout,
        }
        return SocketOperator(self._socket, **{**flags, **changes})

    def emit(self, event: str, *args: Any, **unknown: Never) -> None:
        """Send the event with these flags."""
        if unknown:
            refuse_keywords(unknown, _KEYWORDS)
        check_event(event)
        self._socket._emit_with_flags(
            [event, *args], volatile=self._is_volatile, compress=self._compress
        )
        return EMITTED

    async def emit_with_ack(self, event: str, *args: Any) -> Any:
        """Send the event and return the first argument of its ack.

        Raises AckTimeoutError, and DisconnectedError as soon as the client leaves.
        """
        return await self._socket._emit_with_timeout(event, args, self._timeout)
