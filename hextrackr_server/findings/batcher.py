"""Many small updates in one event.

Knows: `batch-updates`, how long an update waits, how much a batch may hold.
Does not know: sockets, what the updates say.  It is called on one thread.

A batch is `{<type>: [data, ...]}`: within a type the order is kept, between types it is not.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from hextrackr_server.clock import Clock, Timer
from hextrackr_server.rooms import Emitter

INTERVAL_SECONDS = 0.5
MAXIMUM_UPDATES = 500
MAXIMUM_BYTES = 256 * 1024
MAXIMUM_ROOMS = 1000

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9:_-]{0,63}")
# In a browser these are no keys like others: `updates[type]` would find what nobody put there.
_NOT_IN_A_BROWSER = frozenset({"constructor", "prototype", "toString", "valueOf", "hasOwnProperty"})


class _Batch:
    """What waits for one room."""

    __slots__ = ("count", "size", "timer", "updates")

    def __init__(self) -> None:
        self.updates: dict[str, list[Any]] = {}
        self.count = 0
        self.size = 0
        self.timer: Timer | None = None


class UpdateBatcher:
    """Collects updates for rooms, and sends them together, after an interval at the latest."""

    def __init__(
        self,
        emitter: Emitter,
        clock: Clock,
        *,
        interval: float = INTERVAL_SECONDS,
        maximum_updates: int = MAXIMUM_UPDATES,
        maximum_bytes: int = MAXIMUM_BYTES,
    ) -> None:
        self._emitter = emitter
        self._clock = clock
        self._interval = interval
        self._maximum_updates = maximum_updates
        self._maximum_bytes = maximum_bytes
        self._batches: dict[str, _Batch] = {}

    def add(self, room: str, update_type: str, data: Any) -> None:
        """Send an update soon; ValueError for a type that is no plain name.

        TypeError for what is no JSON.
        """
        if not _TYPE.fullmatch(update_type) or update_type in _NOT_IN_A_BROWSER:
            raise ValueError(f"{update_type!r} is no type of updates")
        size = len(msgspec.json.encode(data)) + len(update_type)
        batch = self._batch(room, size)
        batch.updates.setdefault(update_type, []).append(data)
        batch.count += 1
        batch.size += size
        if batch.count >= self._maximum_updates or batch.size >= self._maximum_bytes:
            self.flush(room)

    def flush(self, room: str) -> None:
        """Send what waits for a room now."""
        batch = self._batches.pop(room, None)
        if batch is None:
            return
        if batch.timer is not None:
            batch.timer.cancel()
        self._emitter.emit(room, "batch-updates", batch.updates)

    def close(self) -> None:
        """Send all that waits; nothing is lost at the end."""
        for room in list(self._batches):
            self.flush(room)

    def _batch(self, room: str, size: int) -> _Batch:
        """The batch of a room that has space for an update of a size."""
        batch = self._batches.get(room)
        if batch is not None and batch.size + size > self._maximum_bytes:
            self.flush(room)
            batch = None
        if batch is None:
            if len(self._batches) >= MAXIMUM_ROOMS:
                self.flush(next(iter(self._batches)))
            batch = self._batches[room] = _Batch()
            batch.timer = self._clock.call_later(self._interval, lambda: self.flush(room))
        return batch
