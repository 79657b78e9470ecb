"""Messages to users that are brought again until one of their sockets has acknowledged them.

Knows: when a message is brought, how often, that it is kept meanwhile.
Does not know: sockets, SQL, what messages say.  On the loop's thread.

One ack is enough for all sockets of a user.  A message may come twice, be it that the ack was
lost: clients tell by its `id`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import orjson

from hextrackr_server.clock import Clock
from hextrackr_server.collaboration.notification_store import Notification, NotificationStore
from hextrackr_server.errors import ErrorCode, ServiceError, invalid
from hextrackr_server.rooms import AckEmitter
from hextrackr_server.security.principal import is_user_id
from hextrackr_server.storage.background_writer import BackgroundWriter
from hextrackr_server.telemetry import log_setup

logger = logging.getLogger(__name__)

EVENT = "user-notification"
MAXIMUM_BYTES = 64 * 1024
#: On their way at once, to all users; and not yet written down.
MAXIMUM_UNDER_WAY = 10_000
STOP_SECONDS = 2.0


class NotificationDelivery:
    """Brings what is sent to users now, and what they missed when they come back."""

    def __init__(
        self,
        store: NotificationStore,
        writer: BackgroundWriter,
        emitter: AckEmitter,
        clock: Clock,
        *,
        timeout: float,
        attempts: int,
    ) -> None:
        """Each of so many attempts waits for an ack for `timeout` seconds."""
        self._store = store
        self._writer = writer
        self._emitter = emitter
        self._clock = clock
        self._timeout = timeout
        self._attempts = attempts
        # What is under way, by id, and how many attempts are left for it.
        self._left: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._left)

    def start(self) -> None:
        """Forget what is too old since the last start."""
        self._writer.soon(self._store.forget_old, self._clock.epoch_ms())

    async def stop(self) -> None:
        """Bring nothing more; what was not acknowledged is kept."""
        if self._tasks:
            # Where the sockets have gone before, all of them end by themselves.
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def send(self, user_id: str, payload: dict[str, Any]) -> None:
        """Keep a message, which has an `id`, and bring it to its user.

        ServiceError UNAVAILABLE where too many are on their way.
        """
        if not is_user_id(user_id):
            raise invalid("Invalid user", [("userId", "must be the id of a user")])
        if max(len(self._left), self._writer.waiting) >= MAXIMUM_UNDER_WAY:
            raise ServiceError(
                ErrorCode.UNAVAILABLE, "Too many notifications are on their way: try again later"
            )
        message = Notification(payload["id"], user_id, _encoded(payload), self._clock.epoch_ms())
        # Written while it is brought: an import that ends may keep the database for a while.
        self._writer.soon(self._store.add, message)
        self._bring(message)

    def returned(self, user_id: str) -> None:
        """A user has one more socket: what he has not acknowledged is brought to him."""
        self._begin(self._look(user_id))

    async def _look(self, user_id: str) -> None:
        try:
            now_ms = self._clock.epoch_ms()
            waiting = await self._writer.run(self._store.waiting, user_id, now_ms)
        except Exception:
            # They are still kept, for the next time that he comes.
            logger.exception(
                "notifications could not be read", extra=log_setup.fields(user=user_id)
            )
            return
        for message in waiting:
            if message.id in self._left:
                # The attempts so far may all have gone to a socket that was dead already.
                self._left[message.id] = self._attempts
            elif len(self._left) < MAXIMUM_UNDER_WAY:
                self._bring(message)

    def _bring(self, message: Notification) -> None:
        self._left[message.id] = self._attempts
        self._begin(self._deliver(message))

    async def _deliver(self, message: Notification) -> None:
        payload = orjson.loads(message.payload)
        try:
            while self._left[message.id] > 0:
                self._left[message.id] -= 1
                if await self._emitter.emit_to_user_with_ack(
                    message.user_id, EVENT, payload, self._timeout
                ):
                    self._writer.soon(self._store.remove, message.id)
                    return
        except Exception:
            # It is kept; others are brought all the same.
            logger.exception("a notification broke", extra=log_setup.fields(id=message.id))
        finally:
            del self._left[message.id]

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="hextrackr notification")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _encoded(payload: dict[str, Any]) -> str:
    try:
        # As it goes out: what the wire does not take must not be kept for it.
        orjson.dumps([EVENT, payload])
    except orjson.JSONEncodeError as error:
        raise invalid("Invalid notification", [("data", f"is no JSON: {error}")]) from error
    encoded = orjson.dumps(payload)
    if len(encoded) > MAXIMUM_BYTES:
        text = f"must have {MAXIMUM_BYTES} bytes at most, with the message"
        raise invalid("Invalid notification", [("data", text)])
    return encoded.decode()
