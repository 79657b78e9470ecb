"""One connection to Redis or Valkey that is opened again, with back-off, whenever it is lost.

redis-py opens the connection (address, TLS, authentication); `stream` reads and writes the bytes.
This module encodes commands. `link` has the queue of commands and the subscriptions.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Any, Final, final

from socketio_core.adapters.redis.stream import CommandStream, open_stream

logger = logging.getLogger("socketio_core")

PING_INTERVAL: Final = 5.0
"""Seconds between two checks; a connection without a reply for two of them is closed."""
LONGEST_PAUSE: Final = 1.0
"""Seconds between two attempts to connect, at most."""
_FIRST_PAUSE: Final = 0.05

OnReply = Callable[[Any], None]


def encode_command(*args: bytes) -> bytes:
    """Return a command in the form of the Redis protocol: an array of bulk strings."""
    parts = [b"*%d\r\n" % len(args)]
    for each in args:
        parts.append(b"$%d\r\n%b\r\n" % (len(each), each))  # noqa: PERF401 - as fast, and shorter
    return b"".join(parts)


@final
class RedisConnection:
    """One connection that is opened again whenever it is lost.

    `on_ready(connection)` is called after each connect; what it writes is sent first.
    `on_reply(reply)` receives each reply, or the exception of an error reply. `on_lost(error)` is
    called when the connection is lost and when an attempt fails.
    """

    def __init__(
        self,
        create: Callable[[], Any],
        name: str,
        on_ready: Callable[[RedisConnection], None],
        on_reply: OnReply,
        on_lost: Callable[[str], None],
    ) -> None:
        self._create = create
        self._name = name
        self._on_ready = on_ready
        self._on_reply = on_reply
        self._on_lost = on_lost
        self._task: asyncio.Task[None] | None = None
        self._stream: CommandStream | None = None
        self._has_flush = False
        self._replies = 0
        self.next_batch: Callable[[], list[bytes]] = list
        """Returns the data to write next; an empty list waits for `wake`."""

    def start(self) -> None:
        """Connect in the background."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run(), name=self._name)

    def wake(self) -> None:
        """Write the next batches at the end of the present turn of the event loop."""
        # hot path: all commands of a turn leave in one write
        if not self._has_flush and self._stream is not None:
            self._has_flush = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._has_flush = False
        stream = self._stream
        if stream is not None and stream.is_writable and (batch := self.next_batch()):
            stream.write(batch)

    async def close(self) -> None:
        """Close the connection at the end of the server."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            connection = self._create()
            started = time.monotonic()
            try:
                await connection.connect()
                await self._serve(connection)
            except Exception as error:
                self._on_lost(f"{type(error).__name__}: {error}")
            finally:
                await _disconnect(connection)
            if time.monotonic() - started > LONGEST_PAUSE:
                pause = _FIRST_PAUSE
            # Jitter, so that not all servers of a cluster return to the broker at once
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _serve(self, connection: Any) -> None:
        """Read and write until the connection fails; raise its error."""
        stream = self._stream = open_stream(connection, self._received, self._flush)
        try:
            self._on_ready(self)
            self._flush()
            await self._watch(stream)
        finally:
            self._stream = None
            stream.close()

    def _received(self, replies: list[Any]) -> None:
        self._replies += len(replies)
        for reply in replies:
            self._on_reply(reply)

    async def _watch(self, stream: CommandStream) -> None:
        """Raise TimeoutError if the server does not answer; `next_batch` writes the PINGs."""
        while True:
            before = self._replies
            await stream.wait(PING_INTERVAL)
            self.wake()
            if self._replies == before:
                await stream.wait(PING_INTERVAL)
                if self._replies == before:
                    raise TimeoutError(f"no reply for {2 * PING_INTERVAL:g} seconds")


async def _disconnect(connection: Any) -> None:
    try:
        await connection.disconnect(nowait=True)
    except Exception as error:
        logger.debug("closing a connection to Redis failed: %s", error)
