"""Redis with sharded channels: compatible with `createShardedAdapter` of the official adapter.

The format is that of `@socket.io/redis-adapter` 8.3.0. It needs Redis or Valkey 7 or later, for
SSUBSCRIBE and SPUBLISH.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from time import monotonic
from typing import Any, Final, Literal, final

from engineio_core.options import check_bool
from socketio_core.adapters.cluster.adapter import ClusterAdapter
from socketio_core.adapters.cluster.message import (
    Message,
    MessageError,
    MessageType,
    decode_message,
    encode_message,
)
from socketio_core.adapters.cluster.transport import TransportListener
from socketio_core.adapters.interface import RoomEvent
from socketio_core.adapters.redis.cluster import RedisClusterLink
from socketio_core.adapters.redis.factory import RedisFactory, read_count
from socketio_core.adapters.redis.link import RedisLink

SubscriptionMode = Literal["dynamic", "dynamic-private", "static"]

_MODES: Final = ("dynamic", "dynamic-private", "static")
_SPUBLISH: Final = b"SPUBLISH"
_SSUBSCRIBE: Final = b"SSUBSCRIBE"
_SOCKET_ID_LENGTH: Final = 20
_JOIN_SECONDS: Final = 30.0
"""How long events of a room use the channel of the namespace after a request to join the room."""


@final
class RedisSharded(RedisFactory):
    """The adapter for servers that share a Redis with sharded channels (Redis 7 or later).

        io = SocketServer(adapter=RedisSharded("redis://localhost:6379"))

    Node servers use `createShardedAdapter` with the same `channelPrefix` (here `key`) and
    `subscriptionMode`. With `cluster=True`, the channels are spread over the masters of a Redis
    Cluster. Modes: "dynamic": a channel for each room, except the rooms of socket ids, so that
    a server receives only the events of rooms that it has; "dynamic-private": rooms of socket ids
    as well; "static": one channel for all events.
    """

    kind = "redis-sharded"

    def __init__(
        self,
        url: str = "redis://localhost:6379",
        *,
        subscription_mode: SubscriptionMode = "dynamic",
        cluster: bool = False,
        **options: Any,
    ) -> None:
        """Set the address and the mode; the options are those of `RedisFactory`.

        With `cluster`, the address is that of any node of a Redis Cluster.
        """
        if subscription_mode not in _MODES:
            raise ValueError(
                f"subscription_mode must be one of {', '.join(_MODES)}, got {subscription_mode!r}"
            )
        check_bool("cluster", cluster)
        super().__init__(url, **options)
        self.subscription_mode: SubscriptionMode = subscription_mode
        if cluster:
            self.broker = RedisClusterLink(
                self._url, self._options, self._connected, on_lost=self._lost,
                max_queue_bytes=self.max_queue_bytes,
            )  # fmt: skip

    def make_uid(self) -> str:
        """Return 16 hexadecimal digits."""
        return secrets.token_hex(8)

    def make_transport(self, namespace: str, uid: str) -> ShardedTransport:
        """Return the transport of one namespace."""
        return ShardedTransport(self.broker, self.key, namespace, uid, self.subscription_mode)


@final
class ShardedTransport:
    """The channels of one namespace."""

    counts_servers = True

    def __init__(
        self,
        link: RedisLink | RedisClusterLink,
        key: str,
        namespace: str,
        uid: str,
        mode: SubscriptionMode,
    ) -> None:
        self._link = link
        self._prefix = f"{key}#{namespace}#"
        self._channel = self._prefix.encode()
        self._own_channel = f"{self._prefix}{uid}#".encode()
        # Own messages return from the broker; their end identifies them before they are decoded.
        self._own_end = encode_message(Message(0, None, uid, namespace)).removeprefix(b'{"type":0')
        self._mode = mode
        self._listener: TransportListener | None = None
        self._adapter: ClusterAdapter | None = None
        self._room_channels: dict[str, bytes] = {}
        # Rooms that sockets of other servers join by a request, and the end of _JOIN_SECONDS.
        self._joined: dict[str, float] = {}

    def open(self, listener: TransportListener) -> None:
        """Deliver messages to the listener."""
        self._listener = listener

    def attach(self, adapter: ClusterAdapter) -> None:
        """Subscribe to the channels of the namespace and, in dynamic modes, of its rooms."""
        self._adapter = adapter
        self._link.subscribe(_SSUBSCRIBE, (self._channel, self._own_channel), self._receive)
        if self._mode != "static":
            adapter.on_room_event(self._on_room_event)

    def _on_room_event(self, event: RoomEvent, room: str, socket_id: str | None) -> None:
        if event == "create":
            is_private = self._adapter is not None and self._adapter.has_socket(room)
            if self._mode == "dynamic-private" or not is_private:
                channel = self._room_channels[room] = self._name_channel(room)
                self._link.subscribe(_SSUBSCRIBE, (channel,), self._receive)
        elif event == "delete":
            channel = self._room_channels.pop(room, b"")
            if channel:
                self._link.unsubscribe(_SSUBSCRIBE, (channel,))

    def _name_channel(self, room: str) -> bytes:
        return f"{self._prefix}{room}#".encode("utf-8", "replace")

    def choose_channel(self, message: Message) -> bytes:
        """Return the channel of a message: that of its room, if it has one.

        Another server subscribes to the channel of a room only when it receives the request to
        join the room. Until then, its sockets get the events of the room over the channel of the
        namespace, behind the request.
        """
        data = message.data
        if message.type != MessageType.BROADCAST or data is None or "requestId" in data:
            return self._channel
        rooms = data["opts"]["rooms"]
        if self._mode == "static" or len(rooms) != 1:
            return self._channel
        room = str(rooms[0])
        # Node takes a room for private if its name has the length of a socket id.
        if self._mode == "dynamic" and _utf16_length(room) == _SOCKET_ID_LENGTH:
            return self._channel
        if self._joined and self._joined.get(room, 0.0) > monotonic():
            return self._channel
        return self._name_channel(room)

    def publish(self, message: Message) -> None:
        """Queue a message for all servers that have its room."""
        payload = encode_message(message)
        self._link.publish(_SPUBLISH, self.choose_channel(message), payload)
        if message.type == MessageType.SOCKETS_JOIN and message.data is not None:
            self._note_join(message.data["rooms"])

    def _note_join(self, rooms: list[str]) -> None:
        now = monotonic()
        joined = self._joined
        for room in rooms:
            joined.pop(room, None)  # to the end: the order is that of the times
            joined[room] = now + _JOIN_SECONDS
        while joined and joined[first := next(iter(joined))] <= now:
            del joined[first]

    def publish_response(self, requester_uid: str, message: Message) -> None:
        """Queue an answer on the channel of the server that sent the request."""
        channel = f"{self._prefix}{requester_uid}#".encode("utf-8", "replace")
        self._link.publish(_SPUBLISH, channel, encode_message(message))

    def count_servers(self, on_count: Callable[[int | None], None]) -> None:
        """Call `on_count` with the number of subscribers of the channel of the namespace."""
        self._link.query(
            lambda reply: on_count(read_count(reply)), b"PUBSUB", b"SHARDNUMSUB", self._channel
        )

    def _receive(self, channel: bytes, payload: bytes) -> None:
        listener = self._listener
        if listener is None or payload.endswith(self._own_end):
            return
        try:
            message = decode_message(payload)
        except MessageError as error:
            listener.on_invalid(error)
            return
        listener.on_message(message)

    def close(self) -> None:
        """End the subscriptions of the namespace and its rooms."""
        self._listener = None
        channels = [*self._room_channels.values(), self._channel, self._own_channel]
        self._link.unsubscribe(_SSUBSCRIBE, channels)
        self._room_channels.clear()


def _utf16_length(text: str) -> int:
    """Return the length of a string in JavaScript."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
