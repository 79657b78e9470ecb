"""Delivers notifications to users until one of their sockets acknowledges them.

Unacknowledged notifications are stored and sent again when the user connects. An ack from any
socket of the user is sufficient. A notification may arrive twice, for example if its ack is lost:
clients compare its `id`. The module is used on the event loop's thread.
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
from hextrackr_server.telemetry.failures import log_failure

logger = logging.getLogger(__name__)

EVENT = "user-notification"
MAXIMUM_BYTES = 64 * 1024
#: Notifications of all users that are being delivered, or that are not yet stored.
MAXIMUM_IN_DELIVERY = 10_000
STOP_SECONDS = 2.0


class NotificationDelivery:
    """The delivery of new notifications, and of stored ones when their users connect."""

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
        """Create a delivery that makes `attempts` and waits `timeout` seconds for each ack."""
        self._store = store
        self._writer = writer
        self._emitter = emitter
        self._clock = clock
        self._timeout = timeout
        self._attempts = attempts
        # Remaining attempts of the notifications that are being delivered, by ID.
        self._attempts_left: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._attempts_left)

    def start(self) -> None:
        """Delete the stored notifications that expired since the last start."""
        self._writer.soon(self._store.delete_expired, self._clock.epoch_ms())

    async def stop(self) -> None:
        """Stop all deliveries; unacknowledged notifications stay stored."""
        if self._tasks:
            # If all sockets are closed already, the deliveries end by themselves.
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def send(self, user_id: str, payload: dict[str, Any]) -> None:
        """Store a notification, which has an `id`, and start its delivery.

        Raises ServiceError UNAVAILABLE if too many notifications are being delivered.
        """
        if not is_user_id(user_id):
            raise invalid("Invalid user", [("userId", "must be the ID of a user")])
        if max(len(self._attempts_left), self._writer.waiting) >= MAXIMUM_IN_DELIVERY:
            text = "Too many notifications are being delivered: try again later"
            raise ServiceError(ErrorCode.UNAVAILABLE, text)
        message = Notification(payload["id"], user_id, _encoded(payload), self._clock.epoch_ms())
        # Stored concurrently with the delivery: the end of an import may block the database.
        self._writer.soon(self._store.add, message)
        self._start(message)

    def returned(self, user_id: str) -> None:
        """Deliver the stored notifications of a user who has a new socket."""
        self._spawn(self._deliver_stored(user_id))

    async def _deliver_stored(self, user_id: str) -> None:
        try:
            now_ms = self._clock.epoch_ms()
            waiting = await self._writer.run(self._store.waiting, user_id, now_ms)
        except Exception as error:
            # They stay stored until the user connects again.
            log_failure(logger, "reading notifications failed", error, user=user_id)
            return
        for message in waiting:
            if message.id in self._attempts_left:
                # Earlier attempts may all have gone to a dead socket.
                self._attempts_left[message.id] = self._attempts
            elif len(self._attempts_left) < MAXIMUM_IN_DELIVERY:
                self._start(message)

    def _start(self, message: Notification) -> None:
        self._attempts_left[message.id] = self._attempts
        self._spawn(self._deliver(message))

    async def _deliver(self, message: Notification) -> None:
        payload = orjson.loads(message.payload)
        try:
            while self._attempts_left[message.id] > 0:
                self._attempts_left[message.id] -= 1
                if await self._emitter.emit_to_user_with_ack(
                    message.user_id, EVENT, payload, self._timeout
                ):
                    self._writer.soon(self._store.remove, message.id)
                    return
        except Exception as error:
            # The notification stays stored; other deliveries continue.
            log_failure(logger, "delivering a notification failed", error, id=message.id)
        finally:
            del self._attempts_left[message.id]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="hextrackr notification")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _encoded(payload: dict[str, Any]) -> str:
    try:
        # Encoded as an event, so that only payloads that can be sent are stored.
        orjson.dumps([EVENT, payload])
    except orjson.JSONEncodeError as error:
        problem = f"must be JSON, the encoder reports: {error}"
        raise invalid("Invalid notification", [("data", problem)]) from error
    encoded = orjson.dumps(payload)
    if len(encoded) > MAXIMUM_BYTES:
        text = f"must have at most {MAXIMUM_BYTES} bytes with the message, got {len(encoded)}"
        raise invalid("Invalid notification", [("data", text)])
    return encoded.decode()
