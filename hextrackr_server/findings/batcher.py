"""Collects updates for rooms and sends them together as `batch-updates` events.

A batch is `{<type>: [data, ...]}`. Updates of one type keep their order; the order between types
is lost. The batcher is used on one thread.
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
# Property names of every JavaScript object: a client that reads `updates[type]` would find
# inherited functions.
_RESERVED = frozenset({"constructor", "prototype", "toString", "valueOf", "hasOwnProperty"})


class _Batch:
    """The updates that wait for one room, with their number and size in bytes."""

    __slots__ = ("count", "size", "timer", "updates")

    def __init__(self) -> None:
        self.updates: dict[str, list[Any]] = {}
        self.count = 0
        self.size = 0
        self.timer: Timer | None = None


class UpdateBatcher:
    """A collector that sends the updates of a room together, at most an interval later."""

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
        """Add an update to the batch of a room.

        Raises ValueError if the type is not a plain name, TypeError if the data is not JSON.
        """
        if update_type in _RESERVED:
            text = "an update type must not be a property of every JavaScript object"
            raise ValueError(f"{text}, got {update_type!r}")
        if not _TYPE.fullmatch(update_type):
            text = "an update type must be 1 to 64 letters, digits or : _ - and begin with a letter"
            raise ValueError(f"{text}, got {update_type!r}")
        size = len(msgspec.json.encode(data)) + len(update_type)
        batch = self._batch(room, size)
        batch.updates.setdefault(update_type, []).append(data)
        batch.count += 1
        batch.size += size
        if batch.count >= self._maximum_updates or batch.size >= self._maximum_bytes:
            self.flush(room)

    def flush(self, room: str) -> None:
        """Send the batch of a room now."""
        batch = self._batches.pop(room, None)
        if batch is None:
            return
        if batch.timer is not None:
            batch.timer.cancel()
        self._emitter.emit(room, "batch-updates", batch.updates)

    def close(self) -> None:
        """Send all batches, so that no update is lost."""
        for room in list(self._batches):
            self.flush(room)

    def _batch(self, room: str, size: int) -> _Batch:
        """Return the batch of a room with space for an update; send a full one first."""
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
