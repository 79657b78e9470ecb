"""Routes requests to the worker that owns their session; `handover` moves the connections.

A worker that ends passes new sessions to the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, final

from engineio_core.http.detached import Detached, detach, take_socket
from engineio_core.http.exchange import Exchange
from engineio_core.http.tls_bridge import open_bridge
from engineio_core.ids import WorkerIds, worker_of
from engineio_core.server import Engine
from socketio_core.workers.environment import WorkerEnvironment
from socketio_core.workers.handover import HandoverReceiver, HandoverSender, Parcel

logger = logging.getLogger("socketio_core")


@final
class Router:
    """The owners of the sessions of one server, as the engine of a worker sees them."""

    def __init__(self, environment: WorkerEnvironment, engine: Engine) -> None:
        self._environment = environment
        self._engine = engine
        self._ids = WorkerIds(environment.number)
        self._receiver: HandoverReceiver | None = None
        self._senders: dict[int, HandoverSender] = {}
        self._owners: frozenset[int] = frozenset()
        self._takers: list[int] = []  # the workers that take new sessions instead of this one
        self._is_draining = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.sent = 0
        """The number of connections that were handed over to other workers."""
        self.received = 0
        """The number of connections of other workers."""
        engine._share_port(self)

    def open(self) -> None:
        """Receive connections of other processes. Raises OSError."""
        self._receiver = HandoverReceiver(self._environment.path("handover"), self._adopt)
        self._receiver.start()

    def set_workers(self, numbers: set[int], ready: set[int]) -> None:
        """Set the workers that own sessions, and those that take new sessions."""
        own = self._environment.number
        self._owners = frozenset(numbers - {own})
        self._takers = sorted(ready - {own})
        for number in set(self._senders) - self._owners:
            self._senders.pop(number).close()

    @property
    def has_takers(self) -> bool:
        """Whether another worker takes new sessions."""
        return bool(self._takers)

    def drain(self) -> None:
        """Hand over the handshakes of new sessions from now on."""
        self._is_draining = True

    def close(self) -> None:
        """Stop receiving and sending."""
        if self._receiver is not None:
            self._receiver.close()
        for sender in self._senders.values():
            sender.close()

    # -- SessionOwners

    def generate_sid(self) -> str:
        """Return a sid that contains the number of this worker."""
        return self._ids.generate()

    def forward(self, exchange: Exchange) -> bool:
        """Hand over a request of another worker's session; return whether it does.

        If the owner has ended, this worker answers `Session ID unknown`.
        """
        sid = exchange.request.query.get("sid")
        if sid:
            owner = worker_of(sid)
            if owner not in self._owners:
                return False
        elif self._is_draining and self._takers:
            owner = self._takers.pop(0)
            self._takers.append(owner)
        else:
            return False
        number = owner
        assert number is not None, "a member of a set of numbers"
        detach(exchange, lambda detached: self._hand_over(number, detached))
        return True

    def _hand_over(self, owner: int, detached: Detached) -> None:
        tcp, data, origin = detached
        if tcp.get_extra_info("sslcontext") is not None:
            self._start(self._bridge(owner, detached))
            return
        try:
            connection = take_socket(tcp)
        except OSError as error:
            logger.error("a connection was closed: it cannot be handed over: %s", error)
            tcp.abort()
            return
        self._send(owner, Parcel(connection, data, origin))

    async def _bridge(self, owner: int, detached: Detached) -> None:
        try:
            connection = await open_bridge(detached.tcp, self._engine._upgraded)
        except OSError as error:
            logger.error("a TLS connection was closed: it cannot be handed over: %s", error)
            detached.tcp.abort()
            return
        self._send(owner, Parcel(connection, detached.data, detached.origin))

    def _send(self, owner: int, parcel: Parcel) -> None:
        sender = self._senders.get(owner)
        if sender is None:
            path = self._environment.path("handover", owner)
            sender = HandoverSender(path, lambda parcel: self._not_taken(owner, parcel))
            self._senders[owner] = sender
        self.sent += 1
        sender.send(parcel)

    def _not_taken(self, owner: int, parcel: Parcel) -> None:
        """Answer a request whose owner has ended before the supervisor reported it."""
        self._owners -= {owner}
        self._takers = [number for number in self._takers if number != owner]
        self._adopt(parcel)

    def _adopt(self, parcel: Parcel) -> None:
        self.received += 1
        self._start(self._engine._adopt(*parcel))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
