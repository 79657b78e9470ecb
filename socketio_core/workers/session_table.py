"""The states of all clients with recovery, kept by the supervisor while workers come and go.

The states are opaque bytes. Each session belongs to one worker at most, so that it is restored
once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from itertools import count
from typing import Any, Final, final

from engineio_core.clock import Clock
from socketio_core.workers.control import (
    Answer,
    Claim,
    Claimed,
    Drop,
    Find,
    Found,
    Hold,
    Left,
    SessionMessage,
    Yield,
    Yielded,
)

MAX_ABSENT: Final = 100_000
"""The number of absent clients; the oldest is dropped first."""
EXPIRY_DELAY: Final = 1.0
"""Seconds from the end of a session to the timer that drops it."""


@final
class _Entry:
    __slots__ = ("lifetime", "owner", "state")

    def __init__(self, owner: int | None, state: bytes, lifetime: float) -> None:
        self.owner = owner  # the worker of a connected client
        self.state = state
        self.lifetime = lifetime


@final
class SessionTable:
    """The sessions by key; `send(worker, message)` sends to a worker.

    A timer of the clock drops the sessions of clients that have not returned in time.
    """

    def __init__(
        self, send: Callable[[int, Yield | Answer], None], clock: Callable[[], Clock]
    ) -> None:
        self._send = send
        self._clock = clock
        self._timer: Any = None  # while any client is absent
        self._entries: dict[str, _Entry] = {}
        self._absent: OrderedDict[str, float] = OrderedDict()  # when each expires
        self._requests = count()
        # number of a Yield -> the worker that must answer, and the Find that waits for it
        self._yields: dict[int, tuple[int, int, Find]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def receive(self, worker: int, message: SessionMessage) -> None:
        """Handle a message of a worker."""
        match message:
            case Hold(key, state, lifetime):
                entry = self._entries.get(key)
                if entry is None or entry.owner in {None, worker}:
                    self._absent.pop(key, None)
                    self._entries[key] = _Entry(worker, state, lifetime)
            case Left(key, state, lifetime):
                entry = self._entries.get(key)
                if entry is None or entry.owner in {None, worker}:
                    self._entries[key] = _Entry(None, state, lifetime)
                    self._expect(key, lifetime)
            case Drop(key):
                entry = self._entries.get(key)
                if entry is not None and entry.owner == worker:
                    del self._entries[key]
            case Find():
                self._find(worker, message)
            case Claim(request, key):
                entry = self._entries.get(key)
                success = entry is not None and entry.owner is None
                if entry is not None and success:
                    entry.owner = worker
                    self._absent.pop(key, None)
                self._send(worker, Claimed(request, success))
            case Yielded(request):
                self._yielded(request)

    def worker_ended(self, worker: int) -> None:
        """Keep the sessions of a worker for the return of their clients."""
        for key, entry in self._entries.items():
            if entry.owner == worker:
                entry.owner = None
                self._expect(key, entry.lifetime)
        for number, (asked, finder, _) in list(self._yields.items()):
            if finder == worker:
                del self._yields[number]
            elif asked == worker:
                self._yielded(number)

    def _find(self, worker: int, find: Find) -> None:
        self._expire()
        expires = self._absent.get(find.key)
        if expires is not None and expires <= self._time():  # behind sessions that expire later
            del self._absent[find.key], self._entries[find.key]
        entry = self._entries.get(find.key)
        if entry is not None and entry.owner not in {None, worker}:
            # The client returned before its worker noticed the end of the connection.
            assert entry.owner is not None
            number = next(self._requests)
            self._yields[number] = (entry.owner, worker, find)
            self._send(entry.owner, Yield(number, find.key))
            return
        self._send(worker, Found(find.request, entry.state if entry is not None else None))

    def _yielded(self, number: int) -> None:
        waiting = self._yields.pop(number, None)
        if waiting is not None:
            _, worker, find = waiting
            entry = self._entries.get(find.key)
            is_held = entry is not None and entry.owner is not None
            state = None if entry is None or is_held else entry.state
            self._send(worker, Found(find.request, state, is_held))

    def _expect(self, key: str, lifetime: float) -> None:
        self._absent.pop(key, None)
        self._absent[key] = self._time() + lifetime
        self._expire()

    def _time(self) -> float:
        return self._clock().time()

    def _on_timer(self) -> None:
        self._timer = None
        self._expire()

    def _expire(self) -> None:
        now = self._time()
        while self._absent:
            key = next(iter(self._absent))
            if self._absent[key] > now and len(self._absent) <= MAX_ABSENT:
                break
            del self._absent[key]
            self._entries.pop(key, None)
        if self._absent and self._timer is None:
            end = next(iter(self._absent.values()))
            self._timer = self._clock().call_at(end + EXPIRY_DELAY, self._on_timer)
