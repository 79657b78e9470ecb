"""The connections of one server to a Redis Cluster: one link for each master.

A channel of SPUBLISH and SSUBSCRIBE belongs to a slot, and each slot to one master. This module
finds the masters, chooses the link of a channel, and follows the slots when they move.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from binascii import crc_hqx
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, final
from urllib.parse import urlsplit, urlunsplit

from engineio_core.noop import noop
from socketio_core.adapters.redis.connection import OnReply, encode_command
from socketio_core.adapters.redis.library import create_pool
from socketio_core.adapters.redis.link import MAX_QUEUE_BYTES, Command, RedisLink
from socketio_core.adapters.redis.replies import ReplyReader

SLOTS: Final = 16_384
REFRESH_INTERVAL: Final = 10.0
"""Seconds between two checks of the masters while all are connected."""
_RETRY_INTERVAL: Final = 0.25

Handler = Callable[[bytes, bytes], None]


def find_slot(channel: bytes) -> int:
    """Return the slot of a channel (Redis Cluster specification, "Hash tags")."""
    start = channel.find(b"{")
    if start >= 0:
        end = channel.find(b"}", start + 1)
        if end > start + 1:
            channel = channel[start + 1 : end]
    return crc_hqx(channel, 0) % SLOTS


class Subscription(NamedTuple):
    """A subscription and the master that has it; None before the masters are known."""

    handler: Handler
    node: str | None


@final
class RedisClusterLink:
    """The interface of `RedisLink` for the sharded channels of a Redis Cluster.

    `url` is that of any node. The limit of the queues is shared by the masters.
    """

    def __init__(
        self,
        url: str,
        options: dict[str, Any],
        on_connected: Callable[[], None],
        *,
        on_lost: Callable[[], None] = noop,
        max_queue_bytes: int = MAX_QUEUE_BYTES,
    ) -> None:
        create_pool(url, options)  # raises for an invalid URL
        self._url = url
        self._options = options
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._max_queue_bytes = max_queue_bytes
        self._links: dict[str, RedisLink] = {}
        self._nodes: list[str | None] = [None] * SLOTS
        self._subscriptions: dict[tuple[bytes, bytes], Subscription] = {}
        # Commands whose slot has no master yet
        self._homeless: list[Command] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._refresh: asyncio.Event | None = None
        self._error = "not connected yet"
        self._past_published = 0
        self._past_dropped = 0
        self.connected = False
        self.since = time.time()

    # -- state

    @property
    def error(self) -> str:
        """The last failure; empty while all masters are connected."""
        return self._error or next((link.error for link in self._links.values() if link.error), "")

    @property
    def queued_bytes(self) -> int:
        """The size of the messages that wait for a master."""
        waiting = sum(len(command.data) for command in self._homeless)
        return waiting + sum(link.queued_bytes for link in self._links.values())

    @property
    def published(self) -> int:
        """The number of messages sent."""
        return self._past_published + sum(link.published for link in self._links.values())

    @property
    def dropped(self) -> int:
        """The number of messages lost."""
        return self._past_dropped + sum(link.dropped for link in self._links.values())

    def start(self) -> None:
        """Find the masters and connect to them in the background."""
        self._refresh = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(
            self._run(), name="socketio redis cluster"
        )

    async def close(self) -> None:
        """Send the queued messages, for a second at most, and close all connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*(link.close() for link in self._links.values()), *self._closing)

    # -- the interface of RedisLink

    def publish(self, command: bytes, channel: bytes, payload: bytes) -> None:
        """Queue a message at the master of its channel."""
        link = self._find_link(channel)
        if link is not None:
            link.publish(command, channel, payload)
        else:
            self._keep(Command(encode_command(command, channel, payload), None))

    def query(self, on_reply: OnReply, *args: bytes) -> None:
        """Send a command about a channel, its last argument, over the present connection only."""
        link = self._find_link(args[-1])
        if link is not None:
            link.query(on_reply, *args)
        else:
            on_reply(None)

    def subscribe(self, command: bytes, channels: Iterable[bytes], handler: Handler) -> None:
        """Call `handler(channel, payload)` for messages on these channels from now on."""
        for channel in channels:
            node = self._nodes[find_slot(channel)]
            self._subscriptions[command, channel] = Subscription(handler, node)
            if node is not None:
                self._links[node].subscribe(command, (channel,), handler)

    def unsubscribe(self, command: bytes, channels: Iterable[bytes]) -> None:
        """End subscriptions that were made with the same command."""
        for channel in channels:
            subscription = self._subscriptions.pop((command, channel), None)
            if subscription is not None and subscription.node is not None:
                self._links[subscription.node].unsubscribe(command, (channel,))

    # -- routing

    def _find_link(self, channel: bytes) -> RedisLink | None:
        node = self._nodes[find_slot(channel)]
        return self._links[node] if node is not None else None

    def _keep(self, command: Command) -> None:
        self._homeless.append(command)
        while len(self._homeless) > 1 and self.queued_bytes > self._max_queue_bytes:
            del self._homeless[0]
            self._past_dropped += 1

    def _moved(self, command: Command | None) -> None:
        """Look for the masters again: a slot has moved, with it a command or a subscription."""
        if command is not None and command.is_kept:
            self._keep(command)
        if self._refresh is not None:
            self._refresh.set()

    def _send_again(self) -> None:
        """Send the kept commands to the masters of their slots."""
        commands, self._homeless = self._homeless, []
        for command in commands:
            ((name, channel, payload),) = ReplyReader().feed(command.data)
            self.publish(name, channel, payload)

    # -- the masters

    async def _run(self) -> None:
        assert self._refresh is not None, "set by `start`"
        while True:
            try:
                self._apply(await self._discover())
            except Exception as error:
                self._error = f"{type(error).__name__}: {error}"
            self._state_changed()
            # A short pause between two attempts, since a cluster needs seconds to elect a master
            await asyncio.sleep(_RETRY_INTERVAL)
            pause = REFRESH_INTERVAL if self.connected else 4 * _RETRY_INTERVAL
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._refresh.wait()
            self._refresh.clear()

    async def _discover(self) -> list[str | None]:
        """Return the master of each slot, as one of the known nodes reports it."""
        failure: Exception = ConnectionError("no node of the cluster is available")
        for node in (*self._links, None):
            connection = create_pool(self._name_url(node), self._options).make_connection()
            try:
                await connection.connect()
                await connection.send_command("CLUSTER", "SLOTS")
                reply = await connection.read_response()
                return _read_slots(reply, urlsplit(self._name_url(node)).hostname or "localhost")
            except Exception as error:
                failure = error
            finally:
                with contextlib.suppress(Exception):
                    await connection.disconnect(nowait=True)
        raise failure

    def _name_url(self, node: str | None) -> str:
        if node is None:
            return self._url
        parts = urlsplit(self._url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}{node}"))

    def _apply(self, nodes: list[str | None]) -> None:
        masters = {node for node in nodes if node is not None}
        if not masters:
            raise ConnectionError("no slot of the cluster has a master")
        for node in masters - set(self._links):
            link = self._links[node] = RedisLink(
                self._name_url(node), self._options, self._state_changed,
                on_lost=self._link_lost, on_moved=self._moved,
                max_queue_bytes=max(1, self._max_queue_bytes // len(masters)),
            )  # fmt: skip
            link.start()
        self._nodes = nodes
        for (command, channel), (handler, before) in list(self._subscriptions.items()):
            now = nodes[find_slot(channel)]
            if now == before:
                continue
            if before is not None:
                self._links[before].unsubscribe(command, (channel,))
            if now is not None:
                self._links[now].subscribe(command, (channel,), handler)
            self._subscriptions[command, channel] = Subscription(handler, now)
        for former in set(self._links) - masters:
            self._retire(self._links.pop(former))
        self._error = ""
        self._send_again()

    def _retire(self, link: RedisLink) -> None:
        """Close the link of a node that is no longer a master; keep its queue and counters."""
        self._homeless += link.take_queue()
        self._past_published += link.published
        self._past_dropped += link.dropped
        task = asyncio.get_running_loop().create_task(link.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _link_lost(self) -> None:
        self._moved(None)
        self._state_changed()

    def _state_changed(self) -> None:
        links = self._links.values()
        connected = bool(links) and not self._error and all(link.connected for link in links)
        if connected == self.connected:
            return
        self.connected = connected
        self.since = time.time()
        if connected:
            self._on_connected()
        else:
            self._on_lost()


def _read_slots(reply: Any, own_host: str) -> list[str | None]:
    """Return the master of each slot from the reply of CLUSTER SLOTS."""
    nodes: list[str | None] = [None] * SLOTS
    for first, last, (host, port, *_), *_ in reply:
        # An empty host is that of the node that sent the reply.
        name = host.decode() if host else own_host
        address = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
        nodes[first : last + 1] = [address] * (last + 1 - first)
    return nodes
