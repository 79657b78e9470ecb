"""One worker process: its connections to the supervisor and to the other workers, and its end."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
import threading
import time
from ssl import SSLContext
from typing import Final, final

from engineio_core.http.listener import Tls
from socketio_core.adapters.default import use_by_default
from socketio_core.server import SocketServer
from socketio_core.workers.adapter import WorkerAdapters
from socketio_core.workers.bus import Bus
from socketio_core.workers.control import Bound, Peers, Ready, decode_from_supervisor, encode
from socketio_core.workers.environment import WorkerEnvironment
from socketio_core.workers.frames import FrameLink, encode_frame
from socketio_core.workers.router import Router
from socketio_core.workers.sessions import Sessions

logger = logging.getLogger("socketio_core")

LINK_TIMEOUT: Final = 5.0
"""Seconds that a new worker waits for the connections to the others."""
SYNCHRONIZATION_STEP: Final = 0.005
SYNCHRONIZATION_STEPS: Final = 1000
"""The number and length of the waits of a new worker for the events of the others."""
ORPHAN_LIMIT: Final = 10.0
"""Seconds after the end of the supervisor in which a worker must have ended."""


@final
class Worker:
    """This process as a worker; create it before the application is imported."""

    def __init__(self, environment: WorkerEnvironment) -> None:
        self._environment = environment
        self._bus = Bus(environment)
        self._router: Router | None = None
        self._is_orphan = False
        self._peers_known = asyncio.Event()
        self._stopped = asyncio.Event()
        for descriptor in (environment.listener, environment.control, environment.lifeline):
            os.set_inheritable(descriptor, False)
        self._sessions = Sessions()
        self._adapters: list[WorkerAdapters] = []
        use_by_default(self._make_adapters)
        threading.Thread(
            target=_end_with_supervisor, args=(environment.lifeline,), daemon=True
        ).start()

    async def serve(self, io: SocketServer, ssl: SSLContext | Tls | None = None) -> None:
        """Serve until SIGTERM, or the end of the supervisor.

        The worker accepts connections when all other workers are connected, so that it receives
        every broadcast. Raises OSError if a Unix socket cannot be created.
        """
        environment = self._environment
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopped.set)
        router = self._router = Router(environment, io.engine)
        router.open()
        await self._bus.open()
        control = FrameLink(self._received, self._supervisor_lost)
        await loop.connect_accepted_socket(
            lambda: control, socket.socket(fileno=environment.control)
        )
        self._sessions.send = lambda message: control.send(encode_frame(encode(message)))
        control.send(encode_frame(encode(Bound())))
        await self._peers_known.wait()
        if not await self._bus.wait_linked(LINK_TIMEOUT):
            logger.warning("not all workers are connected after %g seconds", LINK_TIMEOUT)
        for _ in range(SYNCHRONIZATION_STEPS):
            if all(adapters.is_synchronized for adapters in self._adapters):
                break
            await asyncio.sleep(SYNCHRONIZATION_STEP)
        async with io:
            listener = await io.listen(fd=environment.listener, ssl=ssl)
            control.send(encode_frame(encode(Ready(list(listener.addresses)))))
            loop.add_signal_handler(signal.SIGHUP, io.engine.reload_tls)
            await self._stopped.wait()
            router.drain()
            if router.has_takers:
                listener.close()  # another process accepts connections on the same address
            await io.shutdown(drain=environment.drain)
        router.close()
        await self._bus.close()
        control.close()
        if self._is_orphan:
            shutil.rmtree(environment.directory, ignore_errors=True)

    def _make_adapters(self) -> WorkerAdapters:
        adapters = WorkerAdapters(self._environment, self._bus, self._sessions)
        self._adapters.append(adapters)
        return adapters

    def _received(self, payload: bytes) -> None:
        message = decode_from_supervisor(payload)
        if isinstance(message, Peers):
            self._set_peers(message)
        else:
            self._sessions.receive(message)

    def _supervisor_lost(self) -> None:
        self._is_orphan = not self._stopped.is_set()
        self._stopped.set()

    def _set_peers(self, peers: Peers) -> None:
        numbers = set(peers.workers)
        self._bus.set_peers(numbers)
        if self._router is not None:
            self._router.set_workers(numbers, set(peers.ready))
        if self._environment.number in numbers:
            self._peers_known.set()


def _end_with_supervisor(lifeline: int) -> None:
    """End a process whose event loop is blocked when the supervisor has ended."""
    os.read(lifeline, 1)  # returns at the end of the supervisor, which never writes
    time.sleep(ORPHAN_LIMIT)
    os._exit(1)
