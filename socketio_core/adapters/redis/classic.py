"""Redis with PUBLISH and patterns: compatible with `createAdapter` of the official adapter.

The channels are those of `@socket.io/redis-adapter` 8.3.0, to which `@socket.io/redis-emitter`
publishes as well. `classic_format` has the payloads.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Final, final

from socketio_core.adapters.cluster.adapter import ClusterAdapter
from socketio_core.adapters.cluster.message import Message, MessageError, MessageType
from socketio_core.adapters.cluster.transport import TransportListener
from socketio_core.adapters.redis.classic_format import (
    OldRequest,
    encode_answer,
    encode_broadcast,
    encode_request,
    read_broadcast,
    read_request,
    read_response,
)
from socketio_core.adapters.redis.factory import RedisFactory, read_count
from socketio_core.adapters.redis.link import RedisLink
from socketio_core.codec.json_codec import dump_json_with_buffers

_PUBLISH: Final = b"PUBLISH"
_SUBSCRIBE: Final = b"SUBSCRIBE"
_PSUBSCRIBE: Final = b"PSUBSCRIBE"
# The characters of Redis patterns; the name of a namespace may contain them.
_ESCAPES: Final = str.maketrans({each: f"\\{each}" for each in "*?[]\\"})


@final
class RedisClassic(RedisFactory):
    """The adapter for servers that share a Redis of any version.

        io = SocketServer(adapter=RedisClassic("redis://localhost:6379"))

    Node servers use `createAdapter` with the same `key`. With `specific_response_channel`, which
    is the option `publishOnSpecificResponseChannel` on Node, answers go only to the server that
    requested them.
    """

    kind = "redis-classic"

    def __init__(
        self,
        url: str = "redis://localhost:6379",
        *,
        specific_response_channel: bool = False,
        **options: Any,
    ) -> None:
        """Set the address and the response channel; the options are those of `RedisFactory`."""
        super().__init__(url, **options)
        self.specific_response_channel = specific_response_channel

    def make_uid(self) -> str:
        """Return six characters of the URL-safe alphabet."""
        return secrets.token_urlsafe(5)[:6]

    def make_transport(self, namespace: str, uid: str) -> ClassicTransport:
        """Return the transport of one namespace."""
        return ClassicTransport(
            self.link, self.key, namespace, uid, specific=self.specific_response_channel
        )


@final
class ClassicTransport:
    """The channels of one namespace."""

    counts_servers = True

    def __init__(
        self, link: RedisLink, key: str, namespace: str, uid: str, *, specific: bool
    ) -> None:
        self._link = link
        self._namespace = namespace
        self._prefix = f"{key}#{namespace}#"
        self._channel = self._prefix.encode()
        self._pattern = f"{self._prefix.translate(_ESCAPES)}*".encode()
        self._requests = f"{key}-request#{namespace}#".encode()
        self._responses = f"{key}-response#{namespace}#"
        self._own_responses = f"{self._responses}{uid}#".encode()
        # Own broadcasts return from the broker: a MessagePack array that starts with the uid.
        self._own_start = b"\x93%c%b" % (0xA0 | len(uid), uid.encode())
        self._is_specific = specific
        self._listener: TransportListener | None = None
        self._adapter: ClusterAdapter | None = None

    def open(self, listener: TransportListener) -> None:
        """Deliver messages to the listener."""
        self._listener = listener

    def attach(self, adapter: ClusterAdapter) -> None:
        """Subscribe to the channels of the namespace."""
        self._adapter = adapter
        self._link.subscribe(_PSUBSCRIBE, (self._pattern,), self._receive_broadcast)
        self._link.subscribe(_SUBSCRIBE, (self._requests,), self._receive_request)
        responses = (self._responses.encode(), self._own_responses)
        self._link.subscribe(_SUBSCRIBE, responses, self._receive_response)

    # -- to the other servers

    def publish(self, message: Message) -> None:
        """Queue a message for all servers; it also returns to this one, which ignores it."""
        data = message.data or {}
        if message.type != MessageType.BROADCAST or "requestId" in data:
            self._link.publish(_PUBLISH, self._requests, encode_request(message))
            return
        rooms = data["opts"]["rooms"]
        channel = self._channel
        if len(rooms) == 1:
            channel = f"{self._prefix}{rooms[0]}#".encode("utf-8", "replace")
        self._link.publish(_PUBLISH, channel, encode_broadcast(message))

    def publish_response(self, requester_uid: str, message: Message) -> None:
        """Queue an answer, on the common channel unless `specific_response_channel` is set."""
        is_specific = self._is_specific and message.type != MessageType.SERVER_SIDE_EMIT_RESPONSE
        self._answer(requester_uid if is_specific else "", encode_answer(message))

    def _answer(self, uid: str, payload: bytes) -> None:
        channel = f"{self._responses}{uid}#" if uid else self._responses
        self._link.publish(_PUBLISH, channel.encode("utf-8", "replace"), payload)

    def count_servers(self, on_count: Callable[[int | None], None]) -> None:
        """Call `on_count` with the number of subscribers of the request channel."""
        self._link.query(
            lambda reply: on_count(read_count(reply)), b"PUBSUB", b"NUMSUB", self._requests
        )

    # -- from the other servers

    def _receive_broadcast(self, channel: bytes, payload: bytes) -> None:
        if payload.startswith(self._own_start) or not channel.startswith(self._channel):
            return
        room = channel[len(self._channel) : -1]
        adapter = self._adapter
        # Most servers do not have the room: decide without decoding the event.
        if room and adapter is not None and not adapter.has_room(room.decode("utf-8", "replace")):
            return
        self._deliver(read_broadcast, payload)

    def _receive_request(self, channel: bytes, payload: bytes) -> None:
        self._deliver(read_request, payload)

    def _receive_response(self, channel: bytes, payload: bytes) -> None:
        self._deliver(read_response, payload)

    def _deliver(
        self, read: Callable[[bytes, str], Message | OldRequest | None], payload: bytes
    ) -> None:
        listener = self._listener
        if listener is None:
            return
        try:
            message = read(payload, self._namespace)
            if isinstance(message, OldRequest):
                self._execute_old(message, listener)
            elif message is not None:
                listener.on_message(message)
        except MessageError as error:
            listener.on_invalid(error)

    def _execute_old(self, request: OldRequest, listener: TransportListener) -> None:
        """Answer a request of a version before 8, which only the rooms of this server need."""
        adapter = self._adapter
        if adapter is None or request.uid == adapter.uid:
            return
        answer: dict[str, Any] = {"requestId": request.request_id}
        if request.message is not None:
            if not adapter.has_socket(request.socket_id):
                return  # as on Node: only the server of the socket answers
            listener.on_message(request.message)
        elif request.target is not None:
            answer["sockets"] = adapter.sockets(request.target)
        else:
            answer["rooms"] = list(adapter.rooms())
        uid = request.uid if self._is_specific else ""
        self._answer(uid, dump_json_with_buffers(answer))

    def close(self) -> None:
        """End the subscriptions of the namespace."""
        self._listener = None
        self._link.unsubscribe(_PSUBSCRIBE, (self._pattern,))
        channels = (self._requests, self._responses.encode(), self._own_responses)
        self._link.unsubscribe(_SUBSCRIBE, channels)
