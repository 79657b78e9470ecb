"""Requests to the other servers: the expected answers, the received ones, and the timeout.

Every request ends: when all servers have answered, when the servers that have not are gone, or
after its timeout. `cluster` sends the requests; the clock is an argument.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Any, Final, final

from engineio_core.clock import Clock
from socketio_core.adapters.interface import RemoteMissing

MAX_REQUESTS: Final = 10_000
"""The number of open requests of one namespace; above it, the oldest ends."""

ANY_SERVER: Final = ""
"""The uid of answers whose sender is unknown."""

OnValue = Callable[[Any], None]
OnEnd = Callable[[RemoteMissing], None]


@final
class Request:
    """One request: collects the answers of servers and, for broadcasts, the acks of clients.

    The servers that must answer are a set of uids (`expect_peers`) or a number (`expect_count`).
    Before either is known, the request waits.
    """

    __slots__ = (
        "_answered",
        "_end",
        "_expected",
        "_lost_clients",
        "_missing",
        "_on_end",
        "_on_value",
        "_open_acks",
        "_timer",
        "_uids",
        "id",
    )  # fmt: skip

    def __init__(self, request_id: str, on_value: OnValue, on_end: OnEnd) -> None:
        self.id = request_id
        self._on_value = on_value
        self._on_end: OnEnd | None = on_end
        self._end: Callable[[Request], None] | None = None
        self._timer: Any = None
        self._missing: set[str] | None = None
        self._expected: int | None = None
        self._answered = 0
        self._uids: set[str] = set()
        self._open_acks: dict[str, int] = {}
        self._lost_clients = 0

    @property
    def is_open(self) -> bool:
        """Whether answers may still arrive."""
        return self._on_end is not None

    def expect_peers(self, uids: Iterable[str]) -> None:
        """Set the servers that must answer."""
        self._missing = set(uids) - self._uids
        self._check()

    def expect_count(self, servers: int) -> None:
        """Set the number of servers that must answer."""
        self._expected = servers
        self._check()

    def answer(self, uid: str, value: Any) -> None:
        """Take the only answer of a server."""
        if self._take(uid):
            self._on_value(value)
            self._check()

    def count_clients(self, uid: str, clients: int) -> None:
        """Take the number of clients of a server that will send an ack."""
        if self._take(uid):
            self._open_acks[uid] = self._open_acks.get(uid, 0) + clients
            self._check()

    def ack(self, uid: str, value: Any) -> None:
        """Take the ack of one client; acks above the reported number are ignored."""
        still_open = self._open_acks.get(uid, 0)
        if still_open > 0 and self.is_open:
            self._open_acks[uid] = still_open - 1
            self._on_value(value)
            self._check()

    def peer_left(self, uid: str) -> None:
        """Stop waiting for a server that is gone, and for its clients."""
        self._lost_clients += max(self._open_acks.pop(uid, 0), 0)
        if self._missing is not None:
            self._missing.discard(uid)
        self._check()

    def _take(self, uid: str) -> bool:
        """Count a server; return False for a second answer."""
        if not self.is_open or (uid != ANY_SERVER and uid in self._uids):
            return False
        self._uids.add(uid)
        self._answered += 1
        if self._missing is not None:
            self._missing.discard(uid)
        return True

    @property
    def missing(self) -> RemoteMissing:
        """The answers that have not arrived."""
        clients = self._lost_clients + sum(self._open_acks.values())
        if self._missing is not None:
            return RemoteMissing(clients, len(self._missing))
        if self._expected is not None:
            return RemoteMissing(clients, max(0, self._expected - self._answered))
        return RemoteMissing(clients, 1)  # the number of servers is unknown

    def _check(self) -> None:
        if self._missing is None and self._expected is None:
            return
        if self.missing.servers == 0 and not any(self._open_acks.values()):
            self.finish()

    def finish(self) -> RemoteMissing:
        """End the request; return the answers that have not arrived."""
        on_end, self._on_end = self._on_end, None
        missing = self.missing
        if on_end is not None:
            if self._timer is not None:
                self._timer.cancel()
            if self._end is not None:
                self._end(self)
            on_end(missing)
        return missing


@final
class Requests:
    """The open requests of one namespace."""

    __slots__ = ("_by_id", "_clock")

    def __init__(self, clock: Callable[[], Clock]) -> None:
        self._clock = clock
        self._by_id: dict[str, Request] = {}

    def open(self, timeout: float, on_value: OnValue, on_end: OnEnd, digits: int = 16) -> Request:
        """Return a new request that ends after `timeout` seconds at the latest.

        `on_value(value)` is called for each answer or ack, `on_end(missing)` once.
        """
        if len(self._by_id) >= MAX_REQUESTS:
            next(iter(self._by_id.values())).finish()
        request = Request(secrets.token_hex(digits // 2), on_value, on_end)
        request._end = self._forget
        self._by_id[request.id] = request
        request._timer = self._clock().call_later(timeout, request.finish)
        return request

    def find(self, request_id: Any) -> Request | None:
        """Return an open request; None for one that has ended or belongs to another server."""
        return self._by_id.get(request_id) if isinstance(request_id, str) else None

    def peer_left(self, uid: str) -> None:
        """End the waiting for a server that is gone, in all requests."""
        for request in list(self._by_id.values()):
            request.peer_left(uid)

    def close(self) -> None:
        """End all requests with the answers that have arrived."""
        for request in list(self._by_id.values()):
            request.finish()

    def _forget(self, request: Request) -> None:
        self._by_id.pop(request.id, None)

    def __len__(self) -> int:
        return len(self._by_id)
