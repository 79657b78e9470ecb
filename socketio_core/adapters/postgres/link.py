"""The connections of one server to PostgreSQL: one listens, the other sends.

Messages are queued, sent in batches and kept until PostgreSQL has confirmed them; receivers ignore
repetitions (`format`). Lost connections are opened again with back-off. PostgreSQL does
not keep notifications: what other servers send meanwhile is lost, and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from socketio_core.adapters.cluster.message import MessageError
from socketio_core.adapters.postgres.format import (
    Senders,
    encode_content,
    encode_head,
    fits,
    parse_notification,
)
from socketio_core.adapters.postgres.statements import Statements, ensure_table, import_psycopg

if TYPE_CHECKING:
    from psycopg import AsyncConnection

logger = logging.getLogger("socketio_core")

CONNECT_TIMEOUT: Final = 5
CHECK_INTERVAL: Final = 5.0
"""Seconds between two checks, which are notifications that this server receives itself."""
CHECK_TIMEOUT: Final = 12.0
CLEANUP_INTERVAL: Final = 30.0
ROW_LIFETIME: Final = 60
"""Seconds that the row of a long message is kept."""
LONGEST_PAUSE: Final = 2.0
"""Seconds between two attempts to connect, at most."""
RETURN_PAUSE: Final = LONGEST_PAUSE + 0.5
"""Seconds between an interruption and the first message: by then, other servers listen again."""
_FIRST_PAUSE: Final = 0.05
_MAX_BATCH: Final = 500

Receive = Callable[[str, bytes], None]
"""Receives the uid of the receiver, or an empty string, and a message."""


class Outgoing(NamedTuple):
    """A queued message: the beginning of its notification, and its content."""

    head: str
    content: str
    message: bytes

    @property
    def size(self) -> int:
        """The bytes that the message takes in the queue."""
        return len(self.head) + len(self.content)


@final
class PostgresLink:
    """The notifications of one channel.

    `receive(receiver, message)` is called for each message of another server, `on_connected()`
    after each connect. Above `max_queue_bytes` the oldest queued messages are dropped.
    """

    def __init__(
        self,
        url: str,
        channel: str,
        table: str,
        receive: Receive,
        on_invalid: Callable[[MessageError], None],
        on_connected: Callable[[], None],
        max_queue_bytes: int,
        options: dict[str, Any],
    ) -> None:
        self._psycopg = import_psycopg()
        self._statements = Statements(channel, table)
        self._url = url
        self._channel = channel
        self._receive = receive
        self._on_invalid = on_invalid
        self._on_connected = on_connected
        self._max_queue_bytes = max_queue_bytes
        self._options = options
        self._server = secrets.token_hex(8)
        self._number = 0
        self._queue: deque[Outgoing] = deque()
        self._sending = 0  # messages at the front of the queue that are being sent
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._senders = Senders()
        self._received_at = 0.0
        self._has_table = False
        self._was_connected = False
        self._task: asyncio.Task[None] | None = None
        self.connected = False
        self.since = time.time()
        self.error = "not connected yet"
        self.queued_bytes = 0
        self.published = 0
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """The number of messages that were lost on the way to or from other servers."""
        return self._dropped + self._senders.lost

    # -- sending

    def send(self, message: bytes, receiver: str = "") -> None:
        """Queue a message for all servers, or for the one with this uid."""
        self._append(encode_content(message), message, receiver)

    def _append(self, content: str, message: bytes, receiver: str) -> None:
        self._number += 1
        outgoing = Outgoing(encode_head(self._server, self._number, receiver), content, message)
        self._queue.append(outgoing)
        self._idle.clear()
        self.queued_bytes += outgoing.size
        while self.queued_bytes > self._max_queue_bytes and len(self._queue) > self._sending + 1:
            oldest = self._queue[self._sending]
            del self._queue[self._sending]
            self.queued_bytes -= oldest.size
            self._dropped += 1
        self._wake.set()

    async def _send(self, connection: AsyncConnection[Any]) -> None:
        if self._was_connected:
            await asyncio.sleep(RETURN_PAUSE)
        self._was_connected = True
        while True:
            self._wake.clear()
            while self._queue:
                await self._send_batch(connection)
            self._idle.set()
            await self._wake.wait()

    async def _send_batch(self, connection: AsyncConnection[Any]) -> None:
        batch: list[str] = []
        for outgoing in self._queue:
            if len(batch) == _MAX_BATCH or not fits(outgoing.head, outgoing.content):
                break
            batch.append(outgoing.head + outgoing.content)
        self._sending = len(batch) or 1
        if batch:
            await connection.execute(self._statements.notify, (self._channel, batch))
            self.published += len(batch)
        else:
            await self._send_row(connection, self._queue[0])
        for _ in range(self._sending):
            self.queued_bytes -= self._queue.popleft().size
        self._sending = 0

    async def _send_row(self, connection: AsyncConnection[Any], outgoing: Outgoing) -> None:
        """Send a message that is too long for a notification."""
        if not self._has_table:
            self._dropped += 1
            return
        parameters = (outgoing.message, self._channel, f"{outgoing.head}#")
        await connection.execute(self._statements.insert, parameters)
        self.published += 1

    # -- receiving

    async def _listen(self, listening: AsyncConnection[Any], sending: AsyncConnection[Any]) -> None:
        # The generator holds the lock of the connection until it is closed.
        async with contextlib.aclosing(listening.notifies()) as notifications:
            async for notification in notifications:
                self._received_at = time.monotonic()
                try:
                    await self._take(notification.payload, sending)
                except MessageError as error:
                    self._on_invalid(error)
        raise ConnectionError("the connection that listens has ended")

    async def _take(self, payload: str, sending: AsyncConnection[Any]) -> None:
        if payload.startswith(self._server):
            return
        server, number, receiver, message, row = parse_notification(payload)
        if not self._senders.accept(server, number):
            return
        if row is not None:
            message = await self._fetch(row, sending)
        if message is not None:
            self._receive(receiver, message)

    async def _fetch(self, row: int, sending: AsyncConnection[Any]) -> bytes:
        cursor = await sending.execute(self._statements.fetch, (row,))
        found = await cursor.fetchone()
        if found is None:
            raise MessageError("the row of a long message was removed before it was read")
        return bytes(found[0])

    # -- the connections

    def start(self) -> None:
        """Connect in the background."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="socketio postgres")

    async def close(self, patience: float = 1.0) -> None:
        """Send the queued messages, for at most `patience` seconds, and close the connections."""
        if self._task is None:
            return
        if self.connected and self._queue:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._idle.wait()
        await _end([self._task], 5.0)  # longer than that of its own tasks
        self.error = ""
        self._set_connected(False)

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            started = time.monotonic()
            try:
                await self._serve()
            except Exception as error:
                self._note_error(f"{type(error).__name__}: {str(error).strip()}")
                self._set_connected(False)
            self._sending = 0
            if time.monotonic() - started > LONGEST_PAUSE:
                pause = _FIRST_PAUSE
            # Jitter, so that not all servers of a cluster return at once
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, LONGEST_PAUSE)

    @contextlib.asynccontextmanager
    async def _connect(self) -> AsyncIterator[AsyncConnection[Any]]:
        defaults = {"connect_timeout": CONNECT_TIMEOUT, "application_name": "socketio"}
        connection: AsyncConnection[Any] = await self._psycopg.AsyncConnection.connect(
            self._url, autocommit=True, **(defaults | self._options)
        )
        try:
            yield connection
        finally:
            await connection.close()

    async def _serve(self) -> None:
        async with self._connect() as sending, self._connect() as listening:
            self._has_table = await ensure_table(sending, self._statements)
            await listening.execute(self._statements.listen)
            self._received_at = time.monotonic()
            tasks = [
                asyncio.create_task(self._listen(listening, sending)),
                asyncio.create_task(self._send(sending)),
                asyncio.create_task(self._check()),
                asyncio.create_task(self._clean_up(sending)),
            ]
            self.error = ""
            self._set_connected(True)
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                await _end(tasks, 0.5)

    async def _check(self) -> None:
        """Raise TimeoutError if the notifications of this server do not arrive."""
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            silence = time.monotonic() - self._received_at
            if silence > CHECK_TIMEOUT:
                raise TimeoutError(f"no notification for {silence:.0f} seconds")
            self._append("", b"", "")

    async def _clean_up(self, connection: AsyncConnection[Any]) -> None:
        while True:
            await asyncio.sleep(CLEANUP_INTERVAL)
            if self._has_table:
                await connection.execute(self._statements.clean_up, (ROW_LIFETIME,))

    def _note_error(self, error: str) -> None:
        if error != self.error:
            logger.warning("connection to PostgreSQL: %s", error)
        self.error = error

    def _set_connected(self, connected: bool) -> None:
        if connected == self.connected:
            return
        self.connected, self.since = connected, time.time()
        if connected:
            logger.info("connected to PostgreSQL")
            self._on_connected()


async def _end(tasks: Iterable[asyncio.Task[None]], patience: float) -> None:
    """Cancel tasks and wait until they have ended.

    A task that has not ended after `patience` seconds is canceled again: psycopg uses
    `asyncio.wait_for`, which before Python 3.12 ignores a cancellation at its timeout.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=patience)
