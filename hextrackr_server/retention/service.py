"""Runs retention in the background: once after the start, then every hour."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from typing import Final

from hextrackr_server.clock import Clock, Timer
from hextrackr_server.retention.store import RetentionStore
from hextrackr_server.storage.background_writer import BackgroundWriter
from hextrackr_server.telemetry import log_setup

logger = logging.getLogger(__name__)

FIRST_SECONDS: Final = 60.0
INTERVAL_SECONDS: Final = 3600.0


class RetentionService:
    """The schedule of deletions, and their counters; used on the event loop's thread."""

    def __init__(self, store: RetentionStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._writer = BackgroundWriter("hextrackr-retention")
        self._stopping = threading.Event()
        self._timer: Timer | None = None
        #: Rows deleted since the start, by kind.
        self.deleted: Counter[str] = Counter()
        #: Completed runs since the start.
        self.runs = 0

    def start(self) -> None:
        """Schedule the first run."""
        self._timer = self._clock.call_later(FIRST_SECONDS, self._run)

    async def stop(self) -> None:
        """End the schedule, and a running deletion after its current transaction."""
        self._stopping.set()
        if self._timer is not None:
            self._timer.cancel()
        await self._writer.close()

    def _run(self) -> None:
        self._timer = self._clock.call_later(INTERVAL_SECONDS, self._run)
        if not self._writer.waiting:
            loop = asyncio.get_running_loop()
            self._writer.soon(self._delete, loop)

    def _delete(self, loop: asyncio.AbstractEventLoop) -> None:
        """Delete expired rows, on the thread of the writer."""
        deleted = self._store.delete_expired(self._clock.epoch_ms(), self._stopping.is_set)
        if any(deleted.values()):
            logger.info("retention: rows deleted", extra=log_setup.fields(**deleted))
        if not self._stopping.is_set():
            loop.call_soon_threadsafe(self._count, deleted)

    def _count(self, deleted: dict[str, int]) -> None:
        self.deleted.update(deleted)
        self.runs += 1
