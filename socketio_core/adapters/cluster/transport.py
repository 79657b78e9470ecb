"""The interface between the cluster adapter and a broker: one transport per namespace and server.

A transport moves messages. It has no rooms, no requests and no timeouts of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from socketio_core.adapters.cluster.message import Message


class TransportListener(Protocol):
    """The methods that a transport calls; the cluster adapter implements them. None raises."""

    def on_message(self, message: Message) -> None:
        """Receive a message of another server; own messages and other namespaces are ignored."""

    def on_invalid(self, error: Exception) -> None:
        """Count a payload that could not be decoded; each kind of error is logged once."""

    def on_peer_left(self, uid: str) -> None:
        """Stop waiting for a server whose connection ended, if the transport notices it."""

    def on_connected(self) -> None:
        """Announce this server, because the transport connected (again)."""


class ClusterTransport(Protocol):
    """Sends the messages of one namespace to the other servers.

    No method waits: messages are queued, and dropped with a counter when the queue is full.
    """

    counts_servers: bool
    """Whether the broker counts the servers. If not, the adapter tracks them by heartbeats."""

    def open(self, listener: TransportListener) -> None:
        """Deliver messages to the listener from now on; called once, before other methods.

        May be called without a running event loop, before the connection exists.
        """

    def publish(self, message: Message) -> None:
        """Queue a message for all other servers.

        Raises TypeError or ValueError for a value that cannot be sent.
        """

    def publish_response(self, requester_uid: str, message: Message) -> None:
        """Queue a message for one server, which sent a request. Raises as `publish`."""

    def count_servers(self, on_count: Callable[[int | None], None]) -> None:
        """Call `on_count` with the number of servers, this one included; None: unknown.

        Called only if `counts_servers`; `on_count` must be called, also if the broker is gone.
        """

    def close(self) -> None:
        """Stop delivering; messages that are queued may still be sent."""
