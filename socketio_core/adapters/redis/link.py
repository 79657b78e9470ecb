"""The connections of one server to Redis or Valkey: one for commands, one for subscriptions.

Commands are queued and written in batches; the queue is bounded in bytes. After an interruption,
the subscriptions are made again. The adapters decide which messages are published.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, final

from engineio_core.noop import noop
from socketio_core.adapters.redis.connection import (
    PING_INTERVAL,
    OnReply,
    RedisConnection,
    encode_command,
)
from socketio_core.adapters.redis.library import create_pool

logger = logging.getLogger("socketio_core")

MAX_QUEUE_BYTES: Final = 16 * 1024 * 1024
LOG_INTERVAL: Final = 60.0
"""Seconds before the same error is logged again."""
MAX_ERRORS: Final = 100
_BATCH_BYTES: Final = 256 * 1024
_PING: Final = encode_command(b"PING")


class Command(NamedTuple):
    """A queued command, encoded, and the function that receives its reply."""

    data: bytes
    on_reply: OnReply | None
    is_kept: bool = True
    """Whether the command waits for the next connection if it was not sent."""


@final
class RedisLink:
    """The two connections of one server, the queue of commands and the subscriptions.

    `on_connected()` is called when commands and all subscriptions work, also after an
    interruption; `on_lost()` when they no longer do. While there is no connection, published
    messages wait in the queue; above `max_queue_bytes` the oldest ones are dropped. In a Redis
    Cluster, `on_moved(command)` receives a command whose slot has another master, or None for a
    subscription.
    """

    def __init__(
        self,
        url: str,
        options: dict[str, Any],
        on_connected: Callable[[], None],
        *,
        on_lost: Callable[[], None] = noop,
        on_moved: Callable[[Command | None], None] = noop,
        max_queue_bytes: int = MAX_QUEUE_BYTES,
    ) -> None:
        pool = create_pool(url, options)
        self.make_connection: Callable[[], Any] = pool.make_connection
        """Creates a connection of redis-py with the same options."""
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._on_moved = on_moved
        self._max_queue_bytes = max_queue_bytes
        self._queue: deque[Command] = deque()
        self._in_flight: deque[Command] = deque()
        # Commands that Redis refused in a state that ends, such as loading its data set
        self._refused: list[Command] = []
        self._commands = RedisConnection(
            pool.make_connection, "socketio redis commands", self._commands_ready, self._replied,
            self._commands_lost,
        )  # fmt: skip
        self._commands.next_batch = self._next_commands
        self._subscriptions = RedisConnection(
            pool.make_connection, "socketio redis subscriptions", self._subscriptions_ready,
            self._received, self._subscriptions_lost,
        )  # fmt: skip
        self._subscriptions.next_batch = self._next_changes
        self._handlers: dict[tuple[bytes, bytes], Callable[[bytes, bytes], None]] = {}
        self._changes: deque[bytes] = deque()
        self._is_probing = False
        self._has_commands = False
        self._has_subscriptions = False
        self._subscriptions_open = False
        self._is_closing = False
        self._idle: asyncio.Event | None = None
        self._last_ping = 0.0
        self._last_change = 0.0
        self.connected = False
        self.since = time.time()
        self.error = "not connected yet"
        self._logged: dict[str, float] = {}  # error -> the time of its next log line
        self.queued_bytes = 0
        self.published = 0
        self.dropped = 0

    def start(self) -> None:
        """Connect in the background."""
        self._commands.start()
        self._subscriptions.start()

    async def close(self, patience: float = 1.0) -> None:
        """Send the queued commands, for at most `patience` seconds, and close the connections."""
        self._is_closing = True
        if self._has_commands and (self._queue or self._in_flight):
            self._idle = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._idle.wait()
        await self._subscriptions.close()
        await self._commands.close()
        self._drop_all()
        self._set_connected()

    # -- commands

    def publish(self, command: bytes, channel: bytes, payload: bytes) -> None:
        """Queue PUBLISH or SPUBLISH; the oldest messages are dropped if the queue is full."""
        self.send(None, command, channel, payload)

    def send(self, on_reply: OnReply | None, *args: bytes) -> None:
        """Queue a command; `on_reply` receives the reply, or None if the command was dropped."""
        command = Command(encode_command(*args), on_reply)
        if self._is_closing and not self._has_commands:
            self._drop(command)
        else:
            self._append(command)

    def query(self, on_reply: OnReply, *args: bytes) -> None:
        """Send a command over the present connection only: without one, reply None."""
        if self._has_commands:
            self._append(Command(encode_command(*args), on_reply, is_kept=False))
        else:
            on_reply(None)

    @property
    def can_send(self) -> bool:
        """Whether there is a connection for commands."""
        return self._has_commands

    def _append(self, command: Command) -> None:
        self._queue.append(command)
        self.queued_bytes += len(command.data)
        while self.queued_bytes > self._max_queue_bytes and len(self._queue) > 1:
            oldest = self._queue.popleft()
            self.queued_bytes -= len(oldest.data)
            self._drop(oldest)
        self._commands.wake()

    def take_queue(self) -> list[Command]:
        """Return the messages that were not sent, and forget them."""
        queue = [each for each in (*self._refused, *self._queue) if each.is_kept]
        self._refused.clear()
        self._queue.clear()
        self.queued_bytes = 0
        return queue

    def _drop(self, command: Command) -> None:
        self.dropped += command.is_kept
        if command.on_reply is not None:
            command.on_reply(None)

    def _next_commands(self) -> list[bytes]:
        if self._is_probing:
            if self._in_flight:
                return []
            self._in_flight.append(Command(_PING, self._probed, is_kept=False))
            return [_PING]
        batch: list[bytes] = []
        size = 0
        while self._queue and size < _BATCH_BYTES and not self._refused:
            command = self._queue.popleft()
            self._in_flight.append(command)
            batch.append(command.data)
            size += len(command.data)
        self.queued_bytes -= size
        now = time.monotonic()
        if not batch and now - self._last_ping >= PING_INTERVAL / 2:
            self._in_flight.append(Command(_PING, _ignore_reply, is_kept=False))
            batch.append(_PING)
        if batch:
            self._last_ping = now
        if self._queue and not self._refused:
            self._commands.wake()
        return batch

    def _replied(self, reply: Any) -> None:
        command = self._in_flight.popleft()
        if isinstance(reply, Exception):
            self._failed(command, reply)
        elif command.on_reply is None:
            self.published += 1
        else:
            command.on_reply(reply)
        if self._refused and not self._in_flight:
            raise ConnectionError(self.error)  # connect again, after a pause
        if self._idle is not None and not (self._queue or self._in_flight):
            self._idle.set()

    def _failed(self, command: Command, error: Exception) -> None:
        if self._is_probing or str(error).partition(" ")[0] in _TEMPORARY:
            self.note_error(str(error))
            self._refused.append(command)
            return
        if self._on_moved is not noop and str(error).startswith("MOVED "):
            self._on_moved(command)
        else:
            self.dropped += command.is_kept
            self.note_error(f"{type(error).__name__}: {error}")
        if command.on_reply is not None:
            command.on_reply(None)

    def _commands_ready(self, connection: RedisConnection) -> None:
        self._is_probing = True  # Redis may refuse commands, for example while it loads its data

    def _probed(self, reply: Any) -> None:
        """Send the commands, because Redis has answered the first PING."""
        if reply is not None:
            self._is_probing = False
            self._has_commands = True
            self._set_connected()
            self._commands.wake()

    def _commands_lost(self, error: str) -> None:
        self._has_commands = self._is_probing = False
        # Redis may have executed these commands: sending them again could deliver events twice.
        in_flight, self._in_flight = self._in_flight, deque()
        waiting, self._refused = [*self._refused, *self._queue], []
        self._queue.clear()
        self.queued_bytes = 0
        for command in waiting:
            if command.is_kept:
                self._queue.append(command)
                self.queued_bytes += len(command.data)
            else:
                in_flight.append(command)
        for command in in_flight:
            if command.on_reply is not _ignore_reply:
                self._drop(command)
        self.note_error(error)
        self._set_connected()

    def _drop_all(self) -> None:
        self._has_commands = self._has_subscriptions = False
        for command in (*self._in_flight, *self._refused, *self._queue):
            if command.on_reply is not _ignore_reply:
                self._drop(command)
        self._in_flight.clear()
        self._refused.clear()
        self._queue.clear()
        self.queued_bytes = 0

    # -- subscriptions

    def subscribe(
        self, command: bytes, channels: Iterable[bytes], handler: Callable[[bytes, bytes], None]
    ) -> None:
        """Call `handler(channel, payload)` for messages on these channels from now on.

        `command` is SUBSCRIBE, PSUBSCRIBE or SSUBSCRIBE.
        """
        for channel in channels:
            self._handlers[command, channel] = handler
        if self._subscriptions_open:
            # One command for each channel: the channels of SSUBSCRIBE must share a slot.
            self._change(encode_command(command, channel) for channel in channels)

    def unsubscribe(self, command: bytes, channels: Iterable[bytes]) -> None:
        """End subscriptions that were made with the same command."""
        for channel in channels:
            self._handlers.pop((command, channel), None)
        if self._subscriptions_open:
            self._change(encode_command(_OPPOSITES[command], channel) for channel in channels)

    def _change(self, commands: Iterable[bytes]) -> None:
        self._changes.extend(commands)
        self._subscriptions.wake()

    def _next_changes(self) -> list[bytes]:
        changes = list(self._changes)
        self._changes.clear()
        now = time.monotonic()
        if not changes and now - self._last_change >= PING_INTERVAL / 2:
            changes.append(_PING)
        if changes:
            self._last_change = now
        return changes

    def _subscriptions_ready(self, connection: RedisConnection) -> None:
        self._changes.clear()
        self._subscriptions_open = True
        self._changes.extend(encode_command(*key) for key in self._handlers)
        self._changes.append(_PING)  # its reply follows the confirmations of the subscriptions

    def _received(self, reply: Any) -> None:
        if isinstance(reply, Exception):
            if self._on_moved is not noop and str(reply).startswith("MOVED "):
                self._on_moved(None)
                return
            raise reply  # without its subscriptions, the connection is of no use
        if not isinstance(reply, list) or not reply:
            self._confirm()  # a PING without subscriptions is answered by a simple string
            return
        kind = reply[0]
        command = _COMMANDS.get(kind)
        if command is not None:
            handler = self._handlers.get((command, reply[1]))
            if handler is not None:
                handler(reply[-2], reply[-1])
        elif kind == b"pong":
            self._confirm()
        elif kind == b"sunsubscribe" and (b"SSUBSCRIBE", reply[1]) in self._handlers:
            self._on_moved(None)  # Redis ends the subscriptions of a slot that moves

    def _confirm(self) -> None:
        if not self._has_subscriptions:
            self._has_subscriptions = True
            self._set_connected()

    def _subscriptions_lost(self, error: str) -> None:
        self._subscriptions_open = self._has_subscriptions = False
        self.note_error(error)
        self._set_connected()

    # -- state

    def note_error(self, error: str) -> None:
        """Keep an error in `error`, and log it unless it is a recent repetition."""
        self.error = error
        now = time.monotonic()
        if now >= self._logged.get(error, now):
            if len(self._logged) >= MAX_ERRORS:
                self._logged.clear()
            self._logged[error] = now + LOG_INTERVAL
            logger.warning("connection to Redis: %s", error)

    def _set_connected(self) -> None:
        connected = self._has_commands and self._has_subscriptions
        if connected == self.connected:
            return
        self.connected = connected
        self.since = time.time()
        if connected:
            self.error = ""
            logger.info("connected to Redis")
            self._on_connected()
        else:
            self._on_lost()


def _ignore_reply(reply: Any) -> None:
    """Drop the reply of a PING."""


# Redis refuses commands while it loads its data set, before the authentication, as a replica, or
# without a majority of its cluster. The commands were not executed: they are sent again.
_TEMPORARY: Final = frozenset({
    "LOADING", "NOAUTH", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "BUSY", "NOREPLICAS",
})  # fmt: skip
_OPPOSITES: Final = {
    b"SUBSCRIBE": b"UNSUBSCRIBE",
    b"PSUBSCRIBE": b"PUNSUBSCRIBE",
    b"SSUBSCRIBE": b"SUNSUBSCRIBE",
}
_COMMANDS: Final = {
    b"message": b"SUBSCRIBE",
    b"pmessage": b"PSUBSCRIBE",
    b"smessage": b"SSUBSCRIBE",
}
