"""One task that passes the packets of all WebSockets of a guest to the host.

A task for each WebSocket would cost more than a packet: a broadcast wakes one task here. A
WebSocket passes the answers to a received message itself: see `websocket`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol, final


class Flushable(Protocol):
    """A WebSocket with queued packets."""

    async def _flush_queue(self, task: asyncio.Task[Any]) -> None:
        """Pass all queued packets to the host, in `task`."""


@final
class GuestSender:
    """Flushes WebSockets one after the other; each in a task of its own if one has to wait.

    The host suspends `send` while a client reads slowly. The other clients do not wait for it: in
    the next iteration of the event loop, they get tasks.
    """

    __slots__ = ("_common", "_loop", "_pending", "_tasks")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pending: deque[Flushable] = deque()
        self._common: asyncio.Task[None] | None = None  # until it ends or the host suspends it
        self._tasks: set[asyncio.Task[None]] = set()

    def enter_loop(self) -> None:
        """Prepare for the running event loop. Each WebSocket calls it at its start."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            self._pending.clear()
            self._common = None
            self._tasks.clear()

    def add(self, websocket: Flushable) -> None:
        """Flush a WebSocket after the current callback of the event loop."""
        self._pending.append(websocket)
        if self._common is None:
            self._common = self._start(self._pending)

    def _start(self, websockets: deque[Flushable]) -> asyncio.Task[None]:
        loop = self._loop
        assert loop is not None, "`enter_loop` precedes `add`"
        task = loop.create_task(self._flush_all(websockets), name="asgi sender")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _flush_all(self, websockets: deque[Flushable]) -> None:
        task = asyncio.current_task()
        assert task is not None, "`_start` creates a task"
        if task is self._common:
            task.get_loop().call_soon(self._overtake, task)
        while websockets:
            await websockets.popleft()._flush_queue(task)
        if task is self._common:
            self._common = None

    def _overtake(self, task: asyncio.Task[None]) -> None:
        """Give the other pending WebSockets tasks if the host has suspended the common task."""
        if task is self._common:
            self._common = None
            pending, self._pending = self._pending, deque()
            while pending:
                self._start(deque((pending.popleft(),)))
