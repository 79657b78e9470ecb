"""One connection to Redis or Valkey that is opened again, with back-off, whenever it is lost.

redis-py opens the connection (address, TLS, authentication) and parses the replies; this module
encodes commands. `link` has the queue of commands and the subscriptions.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import random
import time
from collections.abc import Callable
from typing import Any, Final, final

from socketio_core.adapters.redis.replies import ReplyReader

logger = logging.getLogger("socketio_core")

CONNECT_TIMEOUT: Final = 5.0
PING_INTERVAL: Final = 5.0
"""Seconds between two checks; a connection without a reply for two of them is closed."""
LONGEST_PAUSE: Final = 1.0
"""Seconds between two attempts to connect, at most."""
_FIRST_PAUSE: Final = 0.05
_CHUNK_BYTES: Final = 256 * 1024
_MISSING: Final = (
    "Redis needs the Python package redis: pip install 'hextrackr-server[redis]', or redis>=5.0.1"
)

OnReply = Callable[[Any], None]


def encode_command(*args: bytes) -> bytes:
    """Return a command in the form of the Redis protocol: an array of bulk strings."""
    parts = [b"*%d\r\n" % len(args)]
    for each in args:
        parts.append(b"$%d\r\n%b\r\n" % (len(each), each))  # noqa: PERF401 - as fast, and shorter
    return b"".join(parts)


def import_redis(module: str) -> Any:
    """Return a module of redis-py. Raises ModuleNotFoundError, with the remedy, without it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(_MISSING, name=error.name) from None


def create_pool(url: str, options: dict[str, Any]) -> Any:
    """Return a connection pool of redis-py for a URL, which only creates connections here.

    Raises ModuleNotFoundError without redis-py, and ValueError for an invalid URL.
    """
    pools = import_redis("redis.asyncio")
    retry = import_redis("redis.asyncio.retry").Retry
    no_backoff = import_redis("redis.backoff").NoBackoff
    if not isinstance(url, str):
        raise TypeError(f"url must be a URL such as redis://localhost:6379, got {url!r}")
    defaults: dict[str, Any] = {
        "protocol": 2,  # replies of subscriptions are arrays; RESP3 has no advantage here
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "retry": retry(no_backoff(), 0),
    }
    pool = pools.ConnectionPool.from_url(url, **(defaults | options))
    if str(pool.connection_kwargs.get("protocol")) != "2":
        raise ValueError("protocol must be 2: remove it from the URL or the options")
    return pool


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
        self._wake: asyncio.Future[None] | None = None
        self._replies = 0
        self.next_batch: Callable[[], list[bytes]] = list
        """Returns the data to write next; an empty list waits for `wake`."""

    def start(self) -> None:
        """Connect in the background."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self._name)

    def wake(self) -> None:
        """Write the next batch soon."""
        wake = self._wake
        if wake is not None and not wake.done():
            wake.set_result(None)

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
                self._on_ready(self)
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
        loop = asyncio.get_running_loop()
        tasks = [
            loop.create_task(self._read(connection)),
            loop.create_task(self._write(connection)),
            loop.create_task(self._watch()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _read(self, connection: Any) -> None:
        # The reader has been an attribute of this name since redis-py 4.2.
        stream = getattr(connection, "_reader", None)
        if isinstance(stream, asyncio.StreamReader):
            await self._read_stream(stream)
        else:
            await self._read_replies(connection)

    async def _read_stream(self, stream: asyncio.StreamReader) -> None:
        reader = ReplyReader()
        while data := await stream.read(_CHUNK_BYTES):
            for reply in reader.feed(data):
                self._replies += 1
                self._on_reply(reply)
        raise ConnectionError("the server closed the connection")

    async def _read_replies(self, connection: Any) -> None:
        response_error: type[Exception] = import_redis("redis.exceptions").ResponseError
        while True:
            try:
                reply = await connection.read_response(disconnect_on_error=False)
            except response_error as error:
                reply = error
            self._replies += 1
            self._on_reply(reply)

    async def _write(self, connection: Any) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._wake = loop.create_future()
            batch = self.next_batch()
            if batch:
                await connection.send_packed_command(batch, check_health=False)
            else:
                await self._wake

    async def _watch(self) -> None:
        """Raise TimeoutError if the server does not answer; `next_batch` writes the PINGs."""
        while True:
            before = self._replies
            await asyncio.sleep(PING_INTERVAL)
            self.wake()
            if self._replies == before:
                await asyncio.sleep(PING_INTERVAL)
                if self._replies == before:
                    raise TimeoutError(f"no reply for {2 * PING_INTERVAL:g} seconds")


async def _disconnect(connection: Any) -> None:
    try:
        await connection.disconnect(nowait=True)
    except Exception as error:
        logger.debug("closing a connection to Redis failed: %s", error)
