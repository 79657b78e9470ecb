"""The other servers of one namespace, tracked by heartbeats.

A server is known from its first message. It is removed when it closes, when its connection ends,
or after `heartbeat_timeout` seconds without a message. The clock is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, final

from engineio_core.clock import Clock

MAX_PEERS: Final = 10_000
"""The number of servers that one namespace tracks; further ones are ignored."""


@final
class Peers:
    """The known servers, and the times of their last messages.

    `beat()` sends a heartbeat; `on_left(uid)` is called for each server that is gone. With
    `interval` None there are no heartbeats, and servers leave only by `remove`.
    """

    __slots__ = (
        "_beat",
        "_clock",
        "_interval",
        "_is_closed",
        "_on_left",
        "_seen",
        "_sent_at",
        "_timeout",
        "_timer",
    )  # fmt: skip

    def __init__(
        self,
        clock: Callable[[], Clock],
        interval: float | None,
        timeout: float,
        beat: Callable[[], None],
        on_left: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._interval = interval
        self._timeout = timeout
        self._beat = beat
        self._on_left = on_left
        self._seen: dict[str, float] = {}
        self._sent_at = 0.0
        self._timer: Any = None
        self._is_closed = False

    def start(self) -> None:
        """Send heartbeats from now on, and remove silent servers."""
        if self._interval is not None and self._timer is None and not self._is_closed:
            self._sent_at = self._clock().time()
            self._schedule()

    def _schedule(self) -> None:
        assert self._interval is not None, "only called with heartbeats"
        # The step bounds both the delay of a heartbeat and the age of a silent server.
        step = min(self._interval, self._timeout) / 5
        self._timer = self._clock().call_later(step, self._tick)

    def _tick(self) -> None:
        self._schedule()
        now = self._clock().time()
        for uid, seen_at in list(self._seen.items()):
            if now - seen_at >= self._timeout:
                self.remove(uid)
        if self._interval is not None and now - self._sent_at >= self._interval:
            self._sent_at = now
            self._beat()

    def sent(self) -> None:
        """Postpone the next heartbeat: any message serves as one."""
        if self._timer is not None:
            self._sent_at = self._clock().time()

    def saw(self, uid: str) -> None:
        """Add a server, or note that it is alive."""
        if uid in self._seen or len(self._seen) < MAX_PEERS:
            self._seen[uid] = self._clock().time() if self._interval is not None else 0.0

    def remove(self, uid: str) -> None:
        """Remove a server that is gone."""
        if self._seen.pop(uid, None) is not None:
            self._on_left(uid)

    def close(self) -> None:
        """Stop the heartbeats and forget all servers."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._seen.clear()

    def __iter__(self) -> Iterator[str]:
        return iter(self._seen)

    def __len__(self) -> int:
        return len(self._seen)
