"""An event for one socket with flags: volatile, compress, timeout.

The socket sends the event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, Unpack, final, overload

from engineio_core.options import check_bool
from socketio_core.acknowledgement import EmitOptions
from socketio_core.broadcast import Broadcast, check_event
from socketio_core.misuse import EMIT_KEYWORDS, EMITTED, check_duration, refuse_keywords
from socketio_core.server_events import Answer, P, ServerEvent


class FlagTarget(Protocol):
    """The part of a socket that its operator uses."""

    def _emit_with_flags(self, data: list[Any], *, volatile: bool, compress: bool) -> None:
        """Send an event, `[name, *args]`."""

    async def _emit_with_timeout(
        self, event: str, args: tuple[Any, ...], timeout: float | None
    ) -> Any:
        """Send an event and return the first argument of its ack."""

    def _emit_with_callback(
        self, event: str, args: tuple[Any, ...], ack: Callable[..., Any], timeout: float | None
    ) -> None:
        """Send an event and call a function with its ack."""

    @property
    def broadcast(self) -> Broadcast[Any]:
        """An operator for all sockets in the namespace except this one."""


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
        """Set how many seconds `emit_with_ack`, or `ack` of `emit`, waits: an hour at most."""
        check_duration("timeout", seconds)
        return self._with(timeout=seconds)

    def _with(self, **changes: Any) -> SocketOperator:
        flags = {
            "volatile": self._is_volatile,
            "compress": self._compress,
            "timeout": self._timeout,
        }
        return SocketOperator(self._socket, **{**flags, **changes})

    # -- other clients, with the same flags

    @property
    def broadcast(self) -> Broadcast[Any]:
        """An operator for all sockets in the namespace except this one."""
        selected = self._socket.broadcast
        if self._is_volatile:
            selected = selected.volatile
        if not self._compress:
            selected = selected.compress(False)
        return selected if self._timeout is None else selected.timeout(self._timeout)

    @property
    def local(self) -> Broadcast[Any]:
        """An operator for all sockets on this server, except this one."""
        return self.broadcast.local

    def to(self, *rooms: str | Iterable[str]) -> Broadcast[Any]:
        """Select the sockets in these rooms, except this one."""
        return self.broadcast.to(*rooms)

    def in_(self, *rooms: str | Iterable[str]) -> Broadcast[Any]:
        """Select the sockets in these rooms: an alias of `to`, Node's `in`."""
        return self.broadcast.to(*rooms)

    def except_(self, *rooms: str | Iterable[str]) -> Broadcast[Any]:
        """Select all sockets except this one and those in these rooms."""
        return self.broadcast.except_(*rooms)

    # -- sending

    @overload
    def emit(self, event: ServerEvent[P, Any], *args: P.args, **kwargs: P.kwargs) -> None: ...
    @overload
    def emit(self, event: str, *args: Any, **options: Unpack[EmitOptions]) -> None: ...

    def emit(self, event: Any, *args: Any, **options: Any) -> None:
        """Send the event with these flags.

        `ack`, plain or async, is called with the client's answer as `ack(*args)`; after `timeout`
        as `ack(error, *args)`, where the error is None, AckTimeoutError or DisconnectedError.
        """
        ack = options.pop("ack", None)
        if options:
            refuse_keywords(options, EMIT_KEYWORDS)
        if ack is not None:
            self._socket._emit_with_callback(event, args, ack, self._timeout)
            return EMITTED
        check_event(event)
        self._socket._emit_with_flags(
            [event, *args], volatile=self._is_volatile, compress=self._compress
        )
        return EMITTED

    @overload
    async def emit_with_ack(
        self, event: ServerEvent[P, Answer], *args: P.args, **kwargs: P.kwargs
    ) -> Answer: ...
    @overload
    async def emit_with_ack(self, event: str, *args: Any) -> Any: ...

    async def emit_with_ack(  # type: ignore[misc]  # a keyword raises TypeError
        self, event: Any, *args: Any
    ) -> Any:
        """Send the event and return the first argument of its ack.

        Raises AckTimeoutError, and DisconnectedError as soon as the client leaves.
        """
        return await self._socket._emit_with_timeout(event, args, self._timeout)
