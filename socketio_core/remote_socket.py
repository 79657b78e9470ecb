"""A socket of another server, as `fetch_sockets` returns it.

Its state is a copy of that time. The methods send requests to its server through the adapter.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Protocol, final, overload

from socketio_core.acknowledgement import BroadcastAnswers
from socketio_core.adapters.interface import RemoteState
from socketio_core.errors import AckTimeoutError
from socketio_core.server_events import Answer, P, ServerEvent

ADMIN_KEY: Final = "_admin"
"""The key in the data of a fetched socket under which servers with the admin UI add an entry."""
_NO_ENTRY: Final[Mapping[str, Any]] = {}


def read_admin_entry(data: Any) -> tuple[Any, Mapping[str, Any]]:
    """Return the data of a fetched socket without the entry of the admin UI, and the entry."""
    entry = data.get(ADMIN_KEY) if isinstance(data, dict) else None
    if not isinstance(entry, dict) or "clientId" not in entry:
        return data, _NO_ENTRY
    return {key: value for key, value in data.items() if key != ADMIN_KEY}, entry


class Operator(Protocol):
    """The broadcast operator of one room; `Broadcast` implements it."""

    def timeout(self, seconds: float) -> Operator:
        """Set the timeout of acks."""

    def emit(self, event: str, *args: Any) -> None:
        """Send an event to the socket."""

    def emit_with_ack(self, event: str, *args: Any) -> Awaitable[BroadcastAnswers]:
        """Send an event and return the acks."""

    def sockets_join(self, *rooms: str | Iterable[str]) -> Awaitable[None]:
        """Add the socket to rooms."""

    def sockets_leave(self, *rooms: str | Iterable[str]) -> Awaitable[None]:
        """Remove the socket from rooms."""

    def disconnect_sockets(self, close: bool = False) -> Awaitable[None]:
        """Disconnect the socket, optionally with its connection."""


@final
class RemoteHandshake:
    """The handshake of a client of another server: the attributes of `Handshake`."""

    __slots__ = ("address", "auth", "headers", "issued", "query", "secure", "time", "url",
                 "xdomain")  # fmt: skip

    def __init__(self, values: Mapping[str, Any]) -> None:
        def read(name: str, kind: Callable[[], Any]) -> Any:
            value = values.get(name)
            return value if isinstance(value, type(kind())) else kind()

        self.headers: dict[str, Any] = read("headers", dict)
        self.query: dict[str, Any] = read("query", dict)
        self.auth: dict[str, Any] = read("auth", dict)
        self.address: str = read("address", str)
        self.url: str = read("url", str)
        self.time: str = read("time", str)
        self.secure: bool = read("secure", bool)
        self.xdomain: bool = read("xdomain", bool)
        self.issued: int = read("issued", int)


@final
class RemoteSocket:
    """A client of another server: `id`, `rooms`, `data` and `handshake` at the time of the fetch.

    Changes of `data` stay in this copy.
    """

    __slots__ = ("_only", "data", "handshake", "id", "rooms")

    def __init__(self, state: RemoteState, only: Operator) -> None:
        self.id = state.id
        self.rooms = set(state.rooms)
        self.data = read_admin_entry(state.data)[0]
        self.handshake = RemoteHandshake(state.handshake)
        self._only = only

    def __repr__(self) -> str:
        return f"<RemoteSocket {self.id}>"

    @overload
    def emit(self, event: ServerEvent[P, Any], *args: P.args, **kwargs: P.kwargs) -> None: ...
    @overload
    def emit(self, event: str, *args: Any) -> None: ...

    def emit(self, event: Any, *args: Any) -> None:  # type: ignore[misc]  # a keyword raises
        """Send an event to this client."""
        self._only.emit(event, *args)

    def timeout(self, seconds: float) -> RemoteSocket:
        """Return this socket with a timeout in seconds for `emit_with_ack`."""
        state = RemoteState(self.id, {}, frozenset(self.rooms), self.data)
        copy = RemoteSocket(state, self._only.timeout(seconds))
        copy.handshake = self.handshake
        return copy

    @overload
    async def emit_with_ack(
        self, event: ServerEvent[P, Answer], *args: P.args, **kwargs: P.kwargs
    ) -> Answer: ...
    @overload
    async def emit_with_ack(self, event: str, *args: Any) -> Any: ...

    async def emit_with_ack(  # type: ignore[misc]  # a keyword raises TypeError
        self, event: Any, *args: Any
    ) -> Any:
        """Send an event and return the first argument of its ack.

        Raises AckTimeoutError if no answer arrives in time, also if the client has left.
        """
        answers = await self._only.emit_with_ack(event, *args)
        if not answers.responses:
            raise AckTimeoutError
        return answers.responses[0]

    def join(self, *rooms: str | Iterable[str]) -> Awaitable[None]:
        """Add the client to rooms."""
        return self._only.sockets_join(*rooms)

    def leave(self, *rooms: str | Iterable[str]) -> Awaitable[None]:
        """Remove the client from rooms."""
        return self._only.sockets_leave(*rooms)

    def disconnect(self, close: bool = False) -> Awaitable[None]:
        """Disconnect the client from its namespace; with `close`, from all its namespaces."""
        return self._only.disconnect_sockets(close)
