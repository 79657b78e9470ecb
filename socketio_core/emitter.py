"""Emitters: send events to the clients of a cluster from a process without a server.

The format depends on the adapter of the servers:

    classic   `@socket.io/redis-emitter` 5.1.0
    streams   `@socket.io/redis-streams-emitter` 0.1.1
    sharded   cluster messages; the official emitter does not reach these servers
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias, final, overload

from socketio_core.adapters.cluster.message import (
    EMITTER_UID,
    Message,
    MessageType,
    encode_message,
    target_options,
)
from socketio_core.adapters.interface import BroadcastTarget
from socketio_core.adapters.redis.classic_format import encode_broadcast, encode_request
from socketio_core.adapters.redis.library import import_redis, read_url
from socketio_core.adapters.streams.entry import (
    DEFAULT_MAX_LEN,
    append_command,
    encode_entry,
)
from socketio_core.broadcast import NO_ROOM, check_event, check_server_event, room_names
from socketio_core.misuse import EMIT_KEYWORDS, refuse_keywords
from socketio_core.namespace import canonical_name
from socketio_core.server_events import P, ServerEvent

AdapterName = Literal["classic", "sharded", "streams"]

Encode: TypeAlias = Callable[[str, Message], tuple[bytes, ...]]
"""Returns the Redis command that sends a message; the first argument is the key."""


def _encode_classic(key: str, message: Message) -> tuple[bytes, ...]:
    data = message.data or {}
    if message.type != MessageType.BROADCAST:
        return b"PUBLISH", f"{key}-request#{message.nsp}#".encode(), encode_request(message)
    rooms = data["opts"]["rooms"]
    room = f"{rooms[0]}#" if len(rooms) == 1 else ""
    return b"PUBLISH", f"{key}#{message.nsp}#{room}".encode(), encode_broadcast(message)


def _encode_sharded(key: str, message: Message) -> tuple[bytes, ...]:
    # All servers subscribe to this channel, in each of their modes.
    return b"SPUBLISH", f"{key}#{message.nsp}#".encode(), encode_message(message)


def _encode_streams(key: str, message: Message) -> tuple[bytes, ...]:
    # Requests are entries as well: the official emitter has no channels.
    return append_command(key, DEFAULT_MAX_LEN, encode_entry(message))


_NO_ANSWERS: Final = "an emitter receives no answers: send the event in a server"
_KEYWORDS: Final = EMIT_KEYWORDS | {
    "namespace": "use .of(namespace).emit(...)",
    "skip_sid": "use .except_(id of the socket).emit(...)",
    "callback": _NO_ANSWERS,
    "ack": _NO_ANSWERS,
    "timeout": _NO_ANSWERS,
}
_FORMATS: Final[dict[str, Encode]] = {
    "classic": _encode_classic,
    "sharded": _encode_sharded,
    "streams": _encode_streams,
}


class EmitterOperator:
    """The audience of an emitter; each method that changes it returns a new object.

    All methods check their arguments as those of a namespace do.
    """

    def __init__(
        self,
        client: Any,
        key: str,
        encode: Encode,
        namespace: str = "/",
        target: BroadcastTarget | None = None,
    ) -> None:
        self._client = client
        self._owned: Any = None  # the client, if `close` must close it
        self._key = key
        self._encode = encode
        self._namespace = namespace
        self._selected = BroadcastTarget() if target is None else target

    def _with(self, target: BroadcastTarget) -> Self:
        copy = type(self).__new__(type(self))
        EmitterOperator.__init__(
            copy, self._client, self._key, self._encode, self._namespace, target
        )
        return copy

    def of(self, namespace: str) -> Self:
        """Select a namespace; its leading slash may be left out."""
        copy = self._with(self._selected)
        copy._namespace = canonical_name(namespace)
        return copy

    def to(self, *rooms: str | Iterable[str]) -> Self:
        """Add rooms to the target. Raises ValueError without a room."""
        new = room_names(rooms)
        if not new:
            raise ValueError(NO_ROOM)
        names = tuple(dict.fromkeys((*self._selected.rooms, *new)))
        return self._with(self._selected._replace(rooms=names))

    def in_(self, *rooms: str | Iterable[str]) -> Self:
        """Add rooms to the target: an alias of `to`, Node's `in`."""
        return self.to(*rooms)

    def except_(self, *rooms: str | Iterable[str]) -> Self:
        """Exclude the sockets in any of these rooms."""
        excluded = self._selected.except_ | frozenset(room_names(rooms))
        return self._with(self._selected._replace(except_=excluded))

    @property
    def volatile(self) -> Self:
        """An operator that drops the event for clients that cannot receive it immediately."""
        return self._with(self._selected._replace(volatile=True))

    def compress(self, compress: bool) -> Self:
        """Set whether the transport may compress the event."""
        return self._with(self._selected._replace(compress=compress))

    # -- commands

    def _command(self, kind: MessageType, content: dict[str, Any]) -> tuple[bytes, ...]:
        return self._encode(self._key, Message(kind, content, EMITTER_UID, self._namespace))

    def _emit(self, event: str, args: tuple[Any, ...]) -> tuple[bytes, ...]:
        check_event(event)
        options = target_options(self._selected)
        return self._command(MessageType.BROADCAST, {
            "packet": {"type": 2, "data": [event, *args], "nsp": self._namespace},
            # The keys have the order of the official emitter.
            "opts": {key: options[key] for key in ("rooms", "flags", "except")},
        })  # fmt: skip

    def _rooms(
        self, kind: MessageType, rooms: tuple[str | Iterable[str], ...]
    ) -> tuple[bytes, ...]:
        names = list(room_names(rooms))
        return self._command(kind, {"opts": target_options(self._selected), "rooms": names})

    def _disconnect(self, close: bool) -> tuple[bytes, ...]:
        content = {"opts": target_options(self._selected), "close": close}
        return self._command(MessageType.DISCONNECT_SOCKETS, content)

    def _server_event(self, event: str, args: tuple[Any, ...]) -> tuple[bytes, ...]:
        check_server_event(event)
        return self._command(MessageType.SERVER_SIDE_EMIT, {"packet": [event, *args]})


def _find_format(adapter: str) -> Encode:
    if adapter not in _FORMATS:
        raise ValueError(f"adapter must be one of {', '.join(_FORMATS)}, got {adapter!r}")
    return _FORMATS[adapter]


@final
class Emitter(EmitterOperator):
    """Sends events to the clients of all servers, from a process without a server.

        async with Emitter("redis://localhost:6379", adapter="sharded") as emitter:
            await emitter.to("room1").emit("news", {"id": 7})

    `adapter` is the adapter of the servers, and `key` their prefix of channels or, for "streams",
    their `stream`. The methods that send return when Redis has the message. They raise the errors
    of redis-py, and TypeError or ValueError for a value that cannot be sent. Acknowledgements are
    not supported.
    """

    def __init__(
        self,
        url: str | Any = "redis://localhost:6379",
        *,
        key: str = "socket.io",
        adapter: AdapterName = "classic",
    ) -> None:
        """Set the address, or a client of `redis.asyncio`, which the caller closes."""
        encode = _find_format(adapter)
        owned = None
        if isinstance(url, str):
            owned = import_redis("redis.asyncio").Redis.from_url(read_url(url))
        super().__init__(url if owned is None else owned, key, encode)
        self._owned = owned

    @overload
    async def emit(self, event: ServerEvent[P, Any], *args: P.args, **kwargs: P.kwargs) -> None: ...
    @overload
    async def emit(self, event: str, *args: Any) -> None: ...

    async def emit(self, event: Any, *args: Any, **unknown: Any) -> None:
        """Send an event to the clients in the target."""
        if unknown:
            refuse_keywords(unknown, _KEYWORDS)
        await self._client.execute_command(*self._emit(event, args))

    async def sockets_join(self, *rooms: str | Iterable[str]) -> None:
        """Add the clients in the target to rooms."""
        await self._client.execute_command(*self._rooms(MessageType.SOCKETS_JOIN, rooms))

    async def sockets_leave(self, *rooms: str | Iterable[str]) -> None:
        """Remove the clients in the target from rooms."""
        await self._client.execute_command(*self._rooms(MessageType.SOCKETS_LEAVE, rooms))

    async def disconnect_sockets(self, close: bool = False) -> None:
        """Disconnect the clients in the target; with `close`, close their connections as well."""
        await self._client.execute_command(*self._disconnect(close))

    async def server_side_emit(self, event: str, *args: Any) -> None:
        """Send an event to the `on_server_event` handlers of all servers."""
        await self._client.execute_command(*self._server_event(event, args))

    async def close(self) -> None:
        """Close the connection, unless the caller passed a client."""
        if self._owned is not None:
            await self._owned.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


@final
class BlockingEmitter(EmitterOperator):
    """An `Emitter` for programs without asyncio: each method blocks until Redis has the message.

        with BlockingEmitter("redis://localhost:6379") as emitter:
            emitter.to("room1").emit("news", {"id": 7})

    The parameters and errors are those of `Emitter`.
    """

    def __init__(
        self,
        url: str | Any = "redis://localhost:6379",
        *,
        key: str = "socket.io",
        adapter: AdapterName = "classic",
    ) -> None:
        """Set the address, or a client of `redis`, which the caller closes."""
        encode = _find_format(adapter)
        owned = None
        if isinstance(url, str):
            owned = import_redis("redis").Redis.from_url(read_url(url))
        super().__init__(url if owned is None else owned, key, encode)
        self._owned = owned

    @overload
    def emit(self, event: ServerEvent[P, Any], *args: P.args, **kwargs: P.kwargs) -> None: ...
    @overload
    def emit(self, event: str, *args: Any) -> None: ...

    def emit(self, event: Any, *args: Any, **unknown: Any) -> None:
        """Send an event to the clients in the target."""
        if unknown:
            refuse_keywords(unknown, _KEYWORDS)
        self._client.execute_command(*self._emit(event, args))

    def sockets_join(self, *rooms: str | Iterable[str]) -> None:
        """Add the clients in the target to rooms."""
        self._client.execute_command(*self._rooms(MessageType.SOCKETS_JOIN, rooms))

    def sockets_leave(self, *rooms: str | Iterable[str]) -> None:
        """Remove the clients in the target from rooms."""
        self._client.execute_command(*self._rooms(MessageType.SOCKETS_LEAVE, rooms))

    def disconnect_sockets(self, close: bool = False) -> None:
        """Disconnect the clients in the target; with `close`, close their connections as well."""
        self._client.execute_command(*self._disconnect(close))

    def server_side_emit(self, event: str, *args: Any) -> None:
        """Send an event to the `on_server_event` handlers of all servers."""
        self._client.execute_command(*self._server_event(event, args))

    def close(self) -> None:
        """Close the connection, unless the caller passed a client."""
        if self._owned is not None:
            self._owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
