"""Redis Streams: compatible with `@socket.io/redis-streams-adapter` 0.3.1, with recovery.

Most messages of a namespace are entries of one stream; requests and their answers are published on
channels. `link` reads and appends entries, `recovery` is the adapter of a namespace
with connection state recovery.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Protocol, final

from engineio_core.options import check_at_least
from socketio_core.adapters.cluster.adapter import ClusterAdapter
from socketio_core.adapters.cluster.message import (
    Message,
    MessageError,
    decode_message,
    encode_msgpack,
    to_dict,
)
from socketio_core.adapters.cluster.transport import TransportListener
from socketio_core.adapters.interface import (
    AdapterStatus,
    ClusterNamespace,
    Encode,
    EncodeWithAck,
)
from socketio_core.adapters.recovery import RecoveryLog
from socketio_core.adapters.redis.factory import RedisFactory, read_count
from socketio_core.adapters.streams.entry import (
    DEFAULT_MAX_LEN,
    decode_entry,
    encode_entry,
    is_ephemeral,
)
from socketio_core.adapters.streams.link import Fields, Stream
from socketio_core.adapters.streams.recovery import StreamsRecoveryAdapter
from socketio_core.adapters.streams.sessions import StreamsSessions


@final
class RedisStreams(RedisFactory):
    """The adapter for servers that share a Redis stream; it has connection state recovery.

        io = SocketServer(adapter=RedisStreams("redis://localhost:6379"), recovery=Recovery())

    With `recovery`, a client may return to another server: its session and its missed events are
    in Redis. Node servers use `createAdapter` of `@socket.io/redis-streams-adapter` with the same
    `streamName` (here `stream`), `channelPrefix` (`key`), `sessionKeyPrefix` (`session_prefix`) and
    `streamCount: 1`: with more streams, 0.3.1 computes negative numbers for some namespaces, and
    writes their messages into streams that it does not read.
    """

    kind = "redis-streams"

    def __init__(
        self,
        url: str = "redis://localhost:6379",
        *,
        stream: str = "socket.io",
        session_prefix: str = "sio:session:",
        max_len: int = DEFAULT_MAX_LEN,
        **options: Any,
    ) -> None:
        """Set the address and the names; the other options are those of `RedisFactory`.

        Redis keeps about `max_len` messages, so that a server can read them after an interruption
        and a client can recover them.
        """
        check_at_least("max_len", max_len, 1)
        super().__init__(url, **options)
        self.session_prefix = session_prefix
        self.stream = Stream(self.link, stream, max_len, self.max_queue_bytes)

    def create(
        self,
        namespace: ClusterNamespace,
        encode: Encode,
        encode_with_ack: EncodeWithAck,
        log: RecoveryLog | None,
    ) -> ClusterAdapter:
        """Return the adapter of a new namespace; of `log`, only the rules are used.

        Raises ValueError if the adapter object belongs to another server.
        """
        self._adapters.check_unused(namespace.name)
        uid = secrets.token_hex(8)
        transport = StreamsTransport(self.stream, self.key, namespace.name, uid)
        adapter: ClusterAdapter
        if log is None:
            adapter = ClusterAdapter(
                namespace, transport, encode, encode_with_ack,
                uid=uid, request_timeout=self.request_timeout, on_close=self._adapters.remove,
            )  # fmt: skip
        else:
            sessions = StreamsSessions(
                self.stream, namespace.name, self.session_prefix, log, encode
            )
            adapter = StreamsRecoveryAdapter(
                namespace, transport, encode, encode_with_ack, sessions, self.stream.cursor,
                uid=uid, request_timeout=self.request_timeout, on_close=self._adapters.remove,
            )  # fmt: skip
            transport.recovery = adapter
        transport.attach(adapter)
        self._adapters.add(adapter)
        return adapter

    def start(self) -> None:
        """Connect to Redis in the background."""
        super().start()
        self.stream.start()

    def _connected(self) -> None:
        self.stream.resume()
        super()._connected()

    def _lost(self) -> None:
        self.stream.suspend()

    async def close(self) -> None:
        """Write the queued commands, for a second at most, and close the connections."""
        await super().close()
        await self.stream.close()

    def status(self) -> AdapterStatus:
        """Return the state of the connection."""
        status, stream = super().status(), self.stream
        return status._replace(
            connected=stream.is_up,
            since=stream.since,
            queued_bytes=max(status.queued_bytes, stream.queued_bytes),
            published=status.published + stream.published,
            dropped=status.dropped + stream.dropped,
        )


class EntryListener(Protocol):
    """The reports of the transport to the adapter of a namespace with recovery."""

    def on_own_entry(self, body: bytes) -> None:
        """Receive an entry of this server."""

    def on_dropped(self, body: bytes) -> None:
        """Continue without an entry that will not be written."""

    def on_state(self, is_up: bool) -> None:
        """Continue with or without Redis."""


@final
class StreamsTransport:
    """The entries and the channels of one namespace."""

    counts_servers = True

    def __init__(self, stream: Stream, key: str, namespace: str, uid: str) -> None:
        self.recovery: EntryListener | None = None
        self._stream = stream
        self._namespace = namespace
        self._uid = uid
        self._prefix = f"{key}#{namespace}#"
        self._channels = self._prefix.encode(), f"{self._prefix}{uid}#".encode()
        # Own messages return from the broker; their end identifies them before they are decoded.
        self._own_end = encode_msgpack({"uid": uid})[1:]
        self._listener: TransportListener | None = None

    def open(self, listener: TransportListener) -> None:
        """Deliver messages to the listener."""
        self._listener = listener

    def attach(self, adapter: ClusterAdapter) -> None:
        """Receive the entries and subscribe to the channels of the namespace."""
        self._stream.add(self._namespace, self._uid, self)
        self._stream.link.subscribe(b"SUBSCRIBE", self._channels, self._receive)

    # -- to the other servers

    def publish(self, message: Message) -> None:
        """Append a message to the stream, or publish a request."""
        if is_ephemeral(message):
            self._publish(self._channels[0], message)
        else:
            self.append(encode_entry(message))

    def append(self, fields: dict[str, str | bytes]) -> None:
        """Append an entry to the stream."""
        self._stream.append(fields, self)

    def publish_response(self, requester_uid: str, message: Message) -> None:
        """Publish an answer on the channel of the server that sent the request."""
        self._publish(f"{self._prefix}{requester_uid}#".encode("utf-8", "replace"), message)

    def _publish(self, channel: bytes, message: Message) -> None:
        self._stream.link.publish(b"PUBLISH", channel, encode_msgpack(to_dict(message)))

    def count_servers(self, on_count: Callable[[int | None], None]) -> None:
        """Call `on_count` with the number of subscribers of the channel of the namespace."""
        self._stream.link.query(
            lambda reply: on_count(read_count(reply)), b"PUBSUB", b"NUMSUB", self._channels[0]
        )

    def close(self) -> None:
        """Stop receiving entries and messages of the channels."""
        self._listener = None
        self._stream.remove(self._namespace, self._uid)
        self._stream.link.unsubscribe(b"SUBSCRIBE", self._channels)

    # -- from the other servers

    def _receive(self, channel: bytes, payload: bytes) -> None:
        if self._own_end not in payload[-600:]:
            self._execute(lambda: decode_message(payload))

    def on_entry(self, fields: Fields) -> None:
        """Execute an entry of another server."""
        self._execute(lambda: decode_entry(fields))

    def _execute(self, decode: Callable[[], Message | None]) -> None:
        listener = self._listener
        if listener is None:
            return
        try:
            message = decode()
        except MessageError as error:
            listener.on_invalid(error)
            return
        if message is not None:
            listener.on_message(message)

    def on_own_entry(self, body: bytes) -> None:
        """Report an entry of this server."""
        if self.recovery is not None:
            self.recovery.on_own_entry(body)

    def on_dropped(self, body: bytes) -> None:
        """Report an entry that will not be written."""
        if self.recovery is not None:
            self.recovery.on_dropped(body)

    def on_state(self, is_up: bool) -> None:
        """Report whether entries are read and written."""
        if self.recovery is not None:
            self.recovery.on_state(is_up)
