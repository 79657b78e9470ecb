"""Received events as an asynchronous iterator."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Self, final

from engineio_core.client.deadline import Deadline
from engineio_core.clock import Clock
from socketio_core.client.errors import BufferFullError
from socketio_core.errors import DisconnectedError


@final
class EventStream:
    """The events of one socket from now on, each as `(name, *args)`.

    The iteration ends when the socket is disconnected and does not connect again by itself. It
    raises BufferFullError after `limit` events that were received and not iterated over. `close`,
    or the end of `async with`, ends the stream earlier.
    """

    def __init__(
        self, limit: int, clock: Callable[[], Clock], closed: Callable[[EventStream], None]
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._closed = closed
        self._events: deque[tuple[Any, ...]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._has_ended = False
        self._is_full = False

    async def receive(self, timeout: float | None = None) -> tuple[Any, ...]:
        """Return the next event, `(name, *args)`.

        Raises TimeoutError, BufferFullError, or DisconnectedError after the end of the stream.
        """
        async with Deadline(self._clock(), timeout):
            while not self._events:
                if self._is_full:
                    raise BufferFullError(
                        f"a stream keeps at most {self._limit} events that were not read: read "
                        "them faster, or pass a larger limit to events()"
                    )
                if self._has_ended:
                    raise DisconnectedError
                if self._waiter is not None:
                    raise RuntimeError("an event stream must have one reader only, got a second")
                self._waiter = asyncio.get_running_loop().create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
        return self._events.popleft()

    def close(self) -> None:
        """End the stream; events that were received before can still be read."""
        self._end()
        self._closed(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[Any, ...]:
        try:
            return await self.receive()
        except DisconnectedError:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    # -- called by the socket

    def _put(self, *event: Any) -> None:
        if self._has_ended:
            return
        if len(self._events) >= self._limit:
            self._is_full = True
            self.close()
            return
        self._events.append(event)
        self._wake()

    def _end(self) -> None:
        self._has_ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
