"""PostgreSQL as the connection between servers, for clusters without Redis: LISTEN and NOTIFY.

The format is that of this project (`format`); Node servers have another one.
`link` has the connections.
"""

from __future__ import annotations

from typing import Any, Final, final

from engineio_core.options import check_at_least, check_seconds
from socketio_core.adapters.cluster.adapter import (
    HEARTBEAT_INTERVAL,
    HEARTBEAT_TIMEOUT,
    REQUEST_TIMEOUT,
    ClusterAdapter,
)
from socketio_core.adapters.cluster.message import (
    Message,
    MessageError,
    decode_message,
    encode_message,
)
from socketio_core.adapters.cluster.table import AdapterTable
from socketio_core.adapters.cluster.transport import TransportListener
from socketio_core.adapters.interface import (
    AdapterStatus,
    ClusterNamespace,
    Encode,
    EncodeWithAck,
)
from socketio_core.adapters.postgres.link import PostgresLink
from socketio_core.adapters.recovery import RecoveryLog
from socketio_core.misuse import check_duration

MAX_QUEUE_BYTES: Final = 16 * 1024 * 1024
_LONGEST_NAME: Final = 63


@final
class Postgres:
    """The adapter for servers that share a PostgreSQL database.

        io = SocketServer(adapter=Postgres("postgresql://user@localhost/app"))

    The user needs no rights except CONNECT, and CREATE in the schema for the table of long
    messages, unless the table exists.
    """

    def __init__(
        self,
        url: str,
        *,
        channel: str = "socketio",
        table: str = "socketio_messages",
        request_timeout: float = REQUEST_TIMEOUT,
        heartbeat_interval: float = HEARTBEAT_INTERVAL,
        heartbeat_timeout: float = HEARTBEAT_TIMEOUT,
        max_queue_bytes: int = MAX_QUEUE_BYTES,
        **options: Any,
    ) -> None:
        """Set the address and the limits; nothing is connected before the server starts.

        `url` is a URL or another connection string of libpq. It must lead to PostgreSQL itself or
        to a pooler in session mode: LISTEN needs a connection of its own. The servers of a cluster
        have the same `channel` and `table`. `request_timeout` is how many seconds a request waits
        for other servers; a server without a message for `heartbeat_timeout` seconds is gone.
        Messages wait for PostgreSQL up to a size of `max_queue_bytes`, above it the oldest are
        dropped. Other keywords go to `psycopg.AsyncConnection.connect`.

        Raises ModuleNotFoundError without the package psycopg.
        """
        for name, value in (("url", url), ("channel", channel), ("table", table)):
            if not value:
                raise ValueError(f"{name} must not be empty")
        if len(channel.encode()) > _LONGEST_NAME:
            raise ValueError(f"channel must have at most {_LONGEST_NAME} bytes, got {channel!r}")
        check_duration("request_timeout", request_timeout)
        check_seconds("heartbeat_interval", heartbeat_interval)
        check_seconds("heartbeat_timeout", heartbeat_timeout)
        check_at_least("max_queue_bytes", max_queue_bytes, 1)
        self._adapters = AdapterTable()
        self._settings: dict[str, Any] = {
            "request_timeout": request_timeout,
            "heartbeat_interval": heartbeat_interval,
            "heartbeat_timeout": heartbeat_timeout,
            "on_close": self._adapters.remove,
        }
        self.link = PostgresLink(
            url, channel, table, self._receive, self._refuse, self._connected, max_queue_bytes,
            options,
        )  # fmt: skip
        #: Undecodable messages that arrived without an adapter of "/".
        self._invalid = 0

    def create(
        self,
        namespace: ClusterNamespace,
        encode: Encode,
        encode_with_ack: EncodeWithAck,
        log: RecoveryLog | None,
    ) -> ClusterAdapter:
        """Return the adapter of a new namespace.

        Raises ValueError if the adapter object belongs to another server.
        """
        self._adapters.check_unused(namespace.name)
        adapter = ClusterAdapter(
            namespace, PostgresTransport(self.link), encode, encode_with_ack, log,
            **self._settings,
        )  # fmt: skip
        self._adapters.add(adapter)
        if self.link.connected:
            adapter.on_connected()
        return adapter

    def start(self) -> None:
        """Connect to PostgreSQL in the background."""
        self.link.start()

    async def close(self) -> None:
        """Send the queued messages, for a second at most, and close the connections."""
        await self.link.close()

    def _connected(self) -> None:
        self._adapters.report_connected()

    def _receive(self, receiver: str, payload: bytes) -> None:
        try:
            message = decode_message(payload)
        except MessageError as error:
            self._refuse(error)
            return
        adapter = self._adapters.get(message.nsp)
        if adapter is not None and receiver in ("", adapter.uid):
            adapter.on_message(message)

    def _refuse(self, error: MessageError) -> None:
        main = self._adapters.get("/")
        if main is not None:
            main.on_invalid(error)
        else:
            self._invalid += 1

    def status(self) -> AdapterStatus:
        """Return the state of the connection."""
        link = self.link
        return self._adapters.complete(
            AdapterStatus(
                "postgres", link.connected, link.since, self._adapters.known_peers,
                link.queued_bytes, link.published, dropped=link.dropped, invalid=self._invalid,
                error=link.error,
            )
        )  # fmt: skip


@final
class PostgresTransport:
    """The messages of one namespace; all namespaces share the channel."""

    counts_servers = False

    def __init__(self, link: PostgresLink) -> None:
        self._link = link

    def open(self, listener: TransportListener) -> None:
        """Do nothing: the factory passes on the messages of each namespace."""

    def publish(self, message: Message) -> None:
        """Queue a message for all other servers."""
        self._link.send(encode_message(message))

    def publish_response(self, requester_uid: str, message: Message) -> None:
        """Queue a message for the server that sent a request."""
        self._link.send(encode_message(message), requester_uid)

    def count_servers(self, on_count: Any) -> None:
        """Report that PostgreSQL does not count the servers."""
        on_count(None)

    def close(self) -> None:
        """Do nothing: the factory forgets the adapter."""
